"""Hooks read and replace what they say, and are gone afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from memla.models.hooks import (
    capture_inputs,
    capture_outputs,
    replace_input,
    replace_output,
    stopped_after,
)
from memla.models.tiny import tiny_model


class Named(nn.Module):
    """Takes its input by keyword and returns a tuple, as some blocks do."""

    def forward(self, *, stream: Tensor, scale: float = 2.0) -> tuple[Tensor, str]:
        return stream * scale, "attention"


class AddsInPlace(nn.Module):
    """Changes in place what its layer returned, as Falcon does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, stream: Tensor) -> Tensor:
        written = self.layer(stream * 1)
        written += 10
        return written


def count_hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_inputs_and_outputs_of_every_module_are_caught() -> None:
    layers = {0: nn.Linear(3, 4), 7: nn.Linear(4, 2)}
    value = torch.randn(5, 3)
    with capture_inputs(layers) as inputs, capture_outputs(layers) as outputs:
        result = layers[7](layers[0](value))
    assert inputs[0] is value
    assert torch.equal(inputs[7], outputs[0])
    assert torch.equal(outputs[7], result)


def test_a_second_pass_overwrites_the_first() -> None:
    layer = nn.Identity()
    with capture_outputs({0: layer}) as outputs:
        layer(torch.zeros(2))
        layer(torch.ones(2))
    assert torch.equal(outputs[0], torch.ones(2))


def test_tuples_and_keywords_are_read_at_their_first_tensor() -> None:
    module = Named()
    with capture_inputs({0: module}) as inputs, capture_outputs({0: module}) as outputs:
        result = module(stream=torch.ones(2), scale=3.0)
    assert torch.equal(inputs[0], torch.ones(2))
    assert torch.equal(outputs[0], torch.full((2,), 3.0))
    assert result[1] == "attention"


def test_tuples_and_keywords_are_replaced_at_their_first_tensor() -> None:
    module = Named()
    with replace_output(module, lambda stream: stream + 1):
        stream, rest = module(stream=torch.ones(2))
    assert torch.equal(stream, torch.full((2,), 3.0))
    assert rest == "attention"
    with replace_input(module, lambda stream: stream + 1):
        assert torch.equal(module(stream=torch.ones(2))[0], torch.full((2,), 4.0))


def test_a_positional_input_is_replaced_and_the_rest_kept() -> None:
    layer = nn.Bilinear(2, 2, 1)
    left, right = torch.randn(3, 2), torch.randn(3, 2)
    with replace_input(layer, torch.zeros_like):
        assert torch.equal(layer(left, right), layer.bias.expand(3, 1))


def test_what_was_caught_survives_a_change_in_place() -> None:
    module = AddsInPlace()
    value = torch.ones(2, requires_grad=True)
    with capture_outputs({0: module.layer}) as outputs:
        result = module(value)
    assert torch.equal(outputs[0], torch.ones(2))
    assert torch.equal(torch.autograd.grad(result.sum(), outputs[0])[0], torch.ones(2))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_hooks_are_gone_after_an_exception(error: type[BaseException]) -> None:
    model = tiny_model("falcon").model
    modules = dict(enumerate(model.modules()))

    def fail(_stream: Tensor) -> Tensor:
        assert count_hooks(model) == 2 * len(modules) + 2
        raise error

    with (
        pytest.raises(error),
        capture_inputs(modules),
        capture_outputs(modules),
        replace_input(model, fail),
        replace_output(model, fail),
    ):
        model(torch.tensor([[1, 2]]))
    assert count_hooks(model) == 0


def test_a_pass_ends_after_a_module_and_the_outer_of_two_ends_can_be_met_first() -> None:
    layers = nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))
    with (
        capture_outputs(dict(enumerate(layers))) as outputs,
        stopped_after(layers[0]),
        stopped_after(layers[1]),
    ):
        layers(torch.ones(1, 2))
    assert set(outputs) == {0}
    assert count_hooks(layers) == 0
    assert layers(torch.ones(1, 2)).shape == (1, 2)
