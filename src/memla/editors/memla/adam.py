"""Adam, step for step as torch has it, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FIRST_DECAY, SECOND_DECAY = 0.9, 0.999
EPSILON = 1e-8


class Adam:
    """Adam (Kingma and Ba, 2015) with its usual constants and a rate for each parameter.

    ``torch.optim`` calls into torch's compiler and profiler at every step, and keeps its state in
    ``.grad``. An edit of a few rows needs the four operations below.

    Args:
        parameters: What is updated, in place.
        rates: Learning rate of each.
    """

    def __init__(self, parameters: Sequence[Tensor], rates: Sequence[float]) -> None:
        self.parameters = list(parameters)
        self.rates = list(rates)
        self.steps = 0
        self._means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Update each parameter once; the gradients are in the same order."""
        self.steps += 1
        first = 1 - FIRST_DECAY**self.steps
        second = 1 - SECOND_DECAY**self.steps
        for parameter, rate, gradient, mean, square in zip(
            self.parameters, self.rates, gradients, self._means, self._squares, strict=True
        ):
            mean.lerp_(gradient, 1 - FIRST_DECAY)
            square.mul_(SECOND_DECAY).addcmul_(gradient, gradient, value=1 - SECOND_DECAY)
            size = (square.sqrt() / second**0.5).add_(EPSILON)
            parameter.addcdiv_(mean, size, value=-(rate / first))
