"""Edits on top of each other."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from memla.editors.edits import Edit, WeightDelta
from memla.editors.in_force import InForce, Saved, in_force, take_back
from memla.models.language_model import LanguageModel


class EditSequence:
    """Edits that are applied on top of each other and taken back together.

    The model's weights are those of nested ``applied`` blocks, bit for bit. But what stood in a
    layer is kept once, so that the memory does not grow with the number of edits.

    Args:
        model: The model; unedited again after the ``with`` block.

    Attributes:
        model: The model with the edits so far.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self._stack = ExitStack()
        self._layers: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def apply(self, edit: Edit) -> LanguageModel:
        """The model with one more edit; where that fails, it is as it was.

        Raises:
            EditMismatchError: The edit was made for other sizes, or for other weights than the
                model has or had before one of the edits in force.
        """
        if not isinstance(edit, WeightDelta):
            self.model = self._stack.enter_context(edit.applied(self.model))
            return self.model
        one = InForce(edit.checked(self.model, strict=True))
        replaced: list[Saved] = []
        try:
            for layer in sorted(set(edit.deltas) - self._layers):
                weight = self.model.value_rows(layer)
                one.saved.append((weight, None, weight.clone()))
            edit.write_into(self.model, replaced)
        except BaseException:
            take_back(replaced)
            raise
        self._layers |= set(edit.deltas)
        in_force(self.model).append(one)
        self._stack.callback(in_force(self.model).remove, one)
        self._stack.callback(take_back, one.saved)
        return self.model
