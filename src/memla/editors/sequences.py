"""Edits on top of each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from memla.editors.edits import Edit, WeightDelta
from memla.editors.in_force import InForce, Saved, in_force
from memla.errors import EditMismatchError
from memla.models.language_model import LanguageModel


class EditSequence:
    """Edits that are applied on top of each other and taken back together.

    The model's weights are those of nested ``applied`` blocks, bit for bit. But what stood in a
    weight is kept once, so that the memory does not grow with the number of edits.

    Args:
        model: The model; as it was again after the ``with`` block.

    Attributes:
        model: The model with the edits so far.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = self._before = model
        self._stack = ExitStack()
        self._newest: InForce | None = None
        self._kept: dict[int, Tensor] = {}
        """By layer, whether it is kept what stood in a row."""

    def __enter__(self) -> Self:
        self._newest = _newest(self.model)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.model = self._before
        self._kept.clear()
        self._stack.__exit__(kind, error, traceback)

    def apply(self, edit: Edit) -> LanguageModel:
        """The model with one more edit; where that fails, it is as it was.

        Raises:
            EditMismatchError: The edit was made for other sizes, or for other weights than the
                model has or had before one of the edits in force; or an edit that is not of the
                sequence is in force on top of it.
        """
        if _newest(self.model) is not self._newest:
            raise EditMismatchError(
                "an edit that is not of the sequence is in force on top of it",
                hint="leave that edit's block first, or apply it in the sequence",
            )
        self.model = self._stack.enter_context(edit.applied(self.model))
        self._newest = _newest(self.model)
        if isinstance(edit, WeightDelta) and self._newest is not None:
            replaced = zip(sorted(edit.deltas), self._newest.saved, strict=True)
            self._newest.saved = [
                found for layer, saved in replaced for found in self._first_time(layer, saved)
            ]
        return self.model

    def _first_time(self, layer: int, saved: Saved) -> Iterator[Saved]:
        """What of it stood there before the sequence, and was not put there by an earlier edit."""
        weight, rows, values = saved
        kept = self._kept.setdefault(layer, torch.zeros(len(weight), dtype=torch.bool))
        where = slice(None) if rows is None else rows.cpu()
        new = ~kept[where]
        kept[where] = True
        if rows is None and new.any():
            yield saved  # whole, as nearly all of it is new
        elif new.any():
            assert rows is not None
            new = new.to(rows.device)
            yield weight, rows[new], values[new]


def _newest(model: LanguageModel) -> InForce | None:
    return next(reversed(in_force(model)), None)
