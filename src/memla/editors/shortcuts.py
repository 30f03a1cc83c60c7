"""Parts of a forward pass that need not be computed, left out inside a ``with`` block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from memla.models.architectures import submodule
from memla.models.hooks import replace_input, replace_output
from memla.models.language_model import LanguageModel


@contextmanager
def kinds_of_output(blocks: dict[int, nn.Module]) -> Iterator[dict[int, int | None]]:
    """Yield a dict that a pass fills: None for a tensor, else how many things come beside it."""
    kinds: dict[int, int | None] = {}

    def note(index: int, _module: nn.Module, _args: object, output: Any) -> None:  # noqa: ANN401
        kinds[index] = None if isinstance(output, Tensor) else len(output) - 1

    with ExitStack() as stack:
        for index, block in blocks.items():
            stack.callback(block.register_forward_hook(partial(note, index)).remove)
        yield kinds


@contextmanager
def forward_replaced(module: nn.Module, function: Callable[..., Any]) -> Iterator[None]:
    """Let a module return what ``function`` does inside the ``with`` block; its hooks still run."""
    own = module.__dict__.get("forward")
    module.__dict__["forward"] = function
    try:
        yield
    finally:
        if own is None:
            module.__dict__.pop("forward", None)
        else:
            module.__dict__["forward"] = own


@contextmanager
def mlp_only_at(model: LanguageModel, layer: int, places: Int[Tensor, " kept"]) -> Iterator[None]:
    """Compute a layer's MLP at some tokens alone; it returns zeros at the others.

    Between its matrices an MLP treats each token by itself, so what it returns is the same. Only
    of use in the last layer, whose other tokens nobody reads.

    Args:
        model: The model.
        layer: The layer.
        places: Row times length plus column of the tokens.
    """
    shapes: list[torch.Size] = []

    def pick(given: Tensor) -> Tensor:
        shapes.append(given.shape)
        picked = given.reshape(-1, given.shape[-1])[places.to(given.device)]
        # Some families flatten batch and tokens inside the MLP.
        return picked if given.ndim == 2 else picked[None]

    def put_back(output: Tensor) -> Tensor:
        shape = (*shapes[-1][:-1], output.shape[-1])
        table = output.new_zeros(shape).reshape(-1, shape[-1])
        kept = places.to(output.device)
        return table.index_copy(0, kept, output.reshape(-1, shape[-1])).reshape(shape)

    paths = {model.architecture.up, model.architecture.gate or model.architecture.up}
    with ExitStack() as stack:
        for path in sorted(paths):
            module = submodule(model.block(layer), path)
            assert module is not None
            stack.enter_context(replace_input(module, pick))
        stack.enter_context(replace_output(model.down_projection(layer), put_back))
        yield
