from __future__ import annotations

import torch

from memla.editors.memla.adam import Adam


def test_adam_takes_the_same_steps_as_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(4, 3, generator=generator), torch.randn(5, generator=generator)]
    mine = [value.clone().requires_grad_() for value in start]
    theirs = [value.clone().requires_grad_() for value in start]
    adam = Adam(mine, [1e-2, 0.5])
    reference = torch.optim.Adam(
        [{"params": [theirs[0]], "lr": 1e-2}, {"params": [theirs[1]], "lr": 0.5}], foreach=False
    )
    for _ in range(7):
        gradients = [torch.randn(value.shape, generator=generator) for value in start]
        adam.step(gradients)
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient
        reference.step()
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
