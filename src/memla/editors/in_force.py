"""Which edits are in force in a model, what stood in its weights before, and the way back there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from memla.models.language_model import LanguageModel

Saved: TypeAlias = tuple[Tensor, Tensor | None, Tensor]
"""A weight, the rows of it that an edit changes (None: all), and what stood there."""


@dataclass(slots=True, eq=False)
class InForce:
    """An edit that is in force, or several on top of each other."""

    before: str
    """Fingerprint of the model's weights before it."""
    saved: list[Saved] = field(default_factory=list)
    """What it replaced, in the order in which it did."""


_in_force: WeakKeyDictionary[nn.Module, list[InForce]] = WeakKeyDictionary()


def in_force(model: LanguageModel) -> list[InForce]:
    """The edits in force in a model, the first one first.

    Who applies an edit adds to the list, and takes out again what it has added.
    """
    return _in_force.setdefault(model.model, [])


@contextmanager
def unedited(model: LanguageModel) -> Iterator[str]:
    """Put a model's weights back to before all edits in force, until the block ends.

    For what an editor knows of a model as such, like how its keys are spread: that is read once,
    and stays what it is while edits are made on top of each other. An edit of a kind that is not
    kept in the list of those in force stays in the weights.

    Yields:
        The fingerprint of these weights.
    """
    edits = in_force(model)
    now: list[Saved] = []
    try:
        for weight, rows, values in reversed([saved for one in edits for saved in one.saved]):
            now.append((weight, rows, weight.clone() if rows is None else weight[rows]))
            write(weight, rows, values)
        _in_force[model.model] = []
        yield model.fingerprint()
    finally:
        try:
            take_back(now)
        finally:
            _in_force[model.model] = edits


@torch.no_grad()
def write(weight: Tensor, rows: Tensor | None, values: Tensor) -> None:
    """Write values into a weight in place: into some of its rows, or all."""
    if rows is None:
        weight.copy_(values)
    else:
        weight[rows] = values


def take_back(saved: list[Saved]) -> None:
    """Copy what was saved back, the last first; Ctrl-C is heard only when all is back."""
    interrupt: KeyboardInterrupt | None = None
    while saved:
        try:
            write(*saved[-1])
            saved.pop()
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt
