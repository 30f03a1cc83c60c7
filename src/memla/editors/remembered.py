"""Reuse of what the blocks below the edited layers return while an edit is worked out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from memla.models.language_model import LanguageModel


@contextmanager
def lower_blocks_remembered(model: LanguageModel, layer: int) -> Iterator[None]:
    """Compute the blocks below ``layer`` in the first forward pass and reuse what they returned.

    Nothing below the first edited layer changes while an edit is trained. Every pass inside the
    ``with`` block must get the same batch.
    """
    with ExitStack() as stack:
        for block in map(model.block, range(layer)):
            stack.callback(_give_back_forward, block, block.__dict__.get("forward"))
            block.__dict__["forward"] = _once(block.forward)
        yield


def _once(function: Callable[..., Any]) -> Callable[..., Any]:
    kept: list[Any] = []

    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if not kept:
            kept.append(function(*args, **kwargs))
        return kept[0]

    return call


def _give_back_forward(block: nn.Module, own: Callable[..., Any] | None) -> None:
    if own is None:
        block.__dict__.pop("forward", None)
    else:
        block.__dict__["forward"] = own
