"""What decides it: differences between two methods on the cases they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from memla.evaluation.recipes import Contrast
from memla.evaluation.summary import TRANSFER, Cell, Collected, compare
from memla.reports.groups import Group, Method
from memla.reports.tables import Entry, Table, metric_name, source_name


@dataclass(frozen=True, slots=True)
class Difference:
    """What one method has more than another in the languages the edit was not made in."""

    contrast: Contrast
    source: str
    cells: Mapping[str, Cell]
    """In points, by metric."""


def paired(one: Method, other: Method, source: str) -> dict[str, Cell]:
    """What one method transfers more than another, in points, by metric.

    Empty where they share no case edited in the source.
    """
    first, second = (_values(method, source) for method in (one, other))
    if first is None or second is None:
        return {}
    if not first.by_source[source].cases & second.by_source[source].cases:
        return {}
    return {
        cell.metric: cell
        for cell in compare(first, second)
        if cell.source == source and cell.target == TRANSFER
    }


def _values(method: Method, source: str) -> Collected | None:
    found = (run.collected for run in method.runs if source in run.plan.source_languages)
    return next(found, None)


def differences(group: Group) -> list[Difference]:
    """The recipe's contrasts, each in every source that both methods have."""
    by_name = {method.label: method for method in group.methods}
    found = []
    for contrast in group.recipe.contrasts if group.recipe else ():
        one, other = by_name.get(contrast.of), by_name.get(contrast.against)
        if one is None or other is None:
            continue
        for source in group.sources:
            if cells := paired(one, other, source):
                found.append(Difference(contrast, source, cells))
    return found


def sentences(group: Group, found: Iterable[Difference]) -> Iterator[str]:
    """What each difference says, in words."""
    for one in found:
        higher: list[str] = []
        lower: list[str] = []
        level: list[str] = []
        for metric in group.metrics:
            if (cell := one.cells.get(metric)) is not None:
                words = f"{metric_name(metric)} {signed(cell).text}"
                (higher if cell.low > 0 else lower if cell.high < 0 else level).append(words)
        about = f" ({one.contrast.about})" if one.contrast.about else ""
        parts = [
            f"{name} {', '.join(cells)}"
            for name, cells in (
                ("higher in", higher),
                ("lower in", lower),
                ("not told apart from zero in", level),
            )
            if cells
        ]
        yield (
            f"{one.contrast.of} against {one.contrast.against}{about}, edited in"
            f" {source_name(one.source)}: {'; '.join(parts)}."
        )


def table(group: Group, found: Sequence[Difference]) -> Table | None:
    """The differences in numbers; None if there are none."""
    if not found:
        return None
    rows = [
        (
            Entry(one.contrast.of),
            Entry(one.contrast.against),
            Entry(source_name(one.source)),
            *(signed(one.cells.get(metric)) for metric in group.metrics),
        )
        for one in found
    ]
    return Table(
        "Differences in the other languages, the first minus the second, in points, paired by case"
        " with 95 % intervals: one that does not hold 0 is told apart from it; n prompts."
        f" {group.provenance}.",
        (
            *("variant", "against", "edited in"),
            *(f"{metric_name(metric)} transfer" for metric in group.metrics),
        ),
        tuple(rows),
        numbers=len(group.metrics),
    )


def signed(cell: Cell | None) -> Entry:
    """A difference in points with its interval."""
    if cell is None:
        return Entry("–")
    return Entry(f"{cell.value:+.1f} [{cell.low:+.1f}, {cell.high:+.1f}]", f"n {cell.n}")
