"""What was worked out before with the same weights, so that it is not worked out again.

The facts that others are contrasted with come up with every fact of their relation, and a fact
comes up again with every setting that is tried on it. Whatever is remembered must be worked out by
itself, never in a batch with what else happened to be missing: then it is bit for bit what would be
computed, and no result depends on what was asked for before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

from torch import nn

from memla.models.language_model import LanguageModel

N_BYTES = 256 << 20
"""Most memory for each model; what was not asked for longest is forgotten first."""

Value = TypeVar("Value")


class Remembered:
    """Values by key, up to a number of bytes; the least recently used are forgotten.

    Args:
        n_bytes: Most bytes that all values may take together.
    """

    def __init__(self, n_bytes: int = N_BYTES) -> None:
        self._room = n_bytes
        self._kept: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(
        self, key: Hashable, compute: Callable[[], Value], n_bytes: Callable[[Value], int]
    ) -> Value:
        """The value of a key, computed if it is not there.

        Args:
            key: Everything that decides the value.
            compute: Works it out.
            n_bytes: The memory that it takes. What takes more than there is, is not kept.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return cast("Value", self._kept[key][0])
        value = compute()
        size = n_bytes(value)
        self._kept[key] = value, size
        self._room -= size
        while self._room < 0:
            _, (_, freed) = self._kept.popitem(last=False)
            self._room += freed
        return value


_by_model: WeakKeyDictionary[nn.Module, Remembered] = WeakKeyDictionary()


class Recall:
    """What is remembered of a model as its weights are now.

    Args:
        model: The model. Its weights must stay as they are while this is used.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._weights = model.fingerprint()
        self._remembered = _by_model.setdefault(model.model, Remembered())

    def get(
        self, key: Hashable, compute: Callable[[], Value], n_bytes: Callable[[Value], int]
    ) -> Value:
        """See :meth:`Remembered.get`; the key need not say anything of the model."""
        return self._remembered.get((self._weights, key), compute, n_bytes)
