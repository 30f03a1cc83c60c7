"""Which edits are in force in a model, and how its weights are put back."""

from __future__ import annotations

from typing import TypeAlias
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from memla.models.language_model import LanguageModel

Saved: TypeAlias = tuple[Tensor, Tensor | None, Tensor]
"""A weight, the rows of it that an edit changes (None: all), and what stood there."""

_in_force: WeakKeyDictionary[nn.Module, list[str]] = WeakKeyDictionary()


def in_force(model: LanguageModel) -> list[str]:
    """Fingerprints of a model's weights before each edit in force, the first edit's first.

    Lets edits nest that were made for the unedited model. Who applies an edit adds to the list,
    and takes out again what it has added.
    """
    return _in_force.setdefault(model.model, [])


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
