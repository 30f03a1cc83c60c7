"""Names to objects, without importing what nobody asked for."""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from memla.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from a name to ``"module:attribute"``, imported on first use.

    Other packages add to it with an entry point in ``group``; their names never hide ours.

    Args:
        kind: What is registered, for messages: "editor", "benchmark".
        group: Entry-point group, such as ``"memla.editors"``.
        targets: Name to ``"module:attribute"``.
    """

    def __init__(self, kind: str, group: str, targets: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._own = dict(targets)
        self._all: dict[str, str] | None = None

    def _targets(self) -> dict[str, str]:
        if self._all is None:
            found = {point.name: point.value for point in entry_points(group=self.group)}
            self._all = found | self._own
        return self._all

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._targets()))

    def __len__(self) -> int:
        return len(self._targets())

    def __contains__(self, name: object) -> bool:
        return name in self._targets()

    def __getitem__(self, name: str) -> T:
        """Import and return what is registered under ``name``.

        Raises:
            UnknownNameError: Nothing is; the message suggests the nearest name.
        """
        targets = self._targets()
        if name not in targets:
            raise unknown_name(self.kind, name, targets)
        module, _, attribute = targets[name].partition(":")
        return cast("T", getattr(import_module(module), attribute))


def unknown_name(kind: str, name: str, known: Mapping[str, object]) -> UnknownNameError:
    """The error for a name that is not among the ``known``, with the nearest of them."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    choices = ", ".join(sorted(known))
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UnknownNameError(f"there is no {kind} named {name!r}", hint=f"{hint}known: {choices}")
