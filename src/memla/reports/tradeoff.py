"""Transfer against retention: what an editor reaches in other languages, and what it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memla.evaluation.summary import TRANSFER
from memla.reports.curves import Curve, curves
from memla.reports.drawing import Figure
from memla.reports.groups import Group
from memla.reports.scatter import Numbered, Point, floor, scatter
from memla.reports.tables import Entry, Table, counts, metric_name, number, pairs, source_name

REACHED = ("ES", "edit_success", "efficacy", "rewrite_acc", "reliability_F1")
"""Metrics of the edit itself; a protocol has one of them."""

KEPT = ("NS_retention", "NS", "specificity", "locality", "locality_F1")
"""Metrics of what should stay; the first that a protocol has is taken."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f")
"""Of points, which what stands beside them tells apart too."""

GOOD, MOST, CROWD = 80.0, 0.6, 4
"""Percent from which a point is good in a metric; what share of all points has to be good for them
to be drawn again, larger, without the others; and how many there have to be at least."""


def axes(group: Group) -> tuple[str, str] | None:
    """Metrics of what is kept and what is reached; None if the protocol lacks one."""
    kept = next((metric for metric in KEPT if metric in group.metrics), None)
    reached = next((metric for metric in REACHED if metric in group.metrics), None)
    return (kept, reached) if kept and reached else None


def points(group: Group) -> list[Point]:
    """What there is to plot, by source; joint edits in all languages have no transfer."""
    if (found := axes(group)) is None:
        return []
    plain = []
    inks = _inks(group)
    for index, (method, source) in enumerate(pairs(group)):
        kept, reached = (method.cell(metric, source, TRANSFER) for metric in found)
        if kept is not None and reached is not None:
            ink = inks[method.label] if len(inks) > 1 else COLOURS[index % len(COLOURS)]
            is_unfinished = method.is_unfinished(source)
            plain.append(
                Point(method.label, source, kept, reached, ink, is_unfinished=is_unfinished)
            )
    order = {source: index for index, source in enumerate(group.sources)}
    plain.sort(key=lambda point: order[point.source])
    # What is unfinished has other cases than the rest: it neither is best nor takes that away.
    whole = [point for point in plain if not point.is_unfinished]
    return [
        replace(one, is_best=one in whole and not any(_beats(other, one) for other in whole))
        for one in plain
    ]


def _inks(group: Group) -> dict[str, str]:
    """A colour for each method: the same for all of an editor where several are curves."""
    editors = {method.label: method.runs[0].plan.editor for method in group.methods}
    by_editor = len(set(editors.values())) > 1 and curves(group)
    kinds = list(dict.fromkeys(editors.values() if by_editor else editors))
    return {
        label: COLOURS[kinds.index(editor if by_editor else label) % len(COLOURS)]
        for label, editor in editors.items()
    }


def _beats(other: Point, one: Point) -> bool:
    theirs, ours = ((point.kept.value, point.reached.value) for point in (other, one))
    no_worse = theirs[0] >= ours[0] and theirs[1] >= ours[1]
    return other.source == one.source and no_worse and theirs != ours


def trade_off_table(group: Group, found: Sequence[Point]) -> Table:
    """The points in numbers; what they are called in the plot."""
    kept, reached = axes(group) or ("", "")
    rows = [
        (
            Entry(str(place)),
            Entry(point.label),
            Entry(source_name(point.source), "unfinished" if point.is_unfinished else ""),
            Entry("yes" if point.is_best else ""),
            number(point.reached),
            number(point.kept),
        )
        for place, point in enumerate(found, start=1)
    ]
    return Table(
        "Transfer and retention in the other languages, in percent with 95 % intervals; n prompts."
        " Best: no other editor is better in one and as good in the other; unfinished runs do not"
        f" take part. {group.provenance}.",
        ("no.", "editor", "edited in", "best", metric_name(reached), metric_name(kept)),
        tuple(rows),
        numbers=2,
    )


def trade_offs(group: Group, found: Sequence[Point]) -> list[Figure]:
    """A plot for each source in which editors can be compared; one of all if there is no such.

    Where a few bad points press most others together, the others are drawn again, larger.
    """
    numbered = list(enumerate(found, start=1))
    by_source = [
        [(place, point) for place, point in numbered if point.source == source]
        for source in dict.fromkeys(point.source for point in found)
    ]
    several = [shown for shown in by_source if len(shown) > 1]
    figures = []
    for shown in several or [numbered]:
        figures.append(_trade_off(group, shown))
        near, where = _crowd(group, shown)
        if where:
            told = f" Only the {len(near)} with at least {GOOD:.0f} % in {where}."
            figures.append(_trade_off(group, near, told))
    return figures


def _crowd(group: Group, shown: Numbered) -> tuple[Numbered, str]:
    """Most of the points, if they are pressed together in a part of the plot; and in which part."""
    near, where = shown, []
    for name, cells in zip(
        (metric_name(metric) for metric in axes(group) or ()),
        ([one.kept for _, one in shown], [one.reached for _, one in shown]),
        strict=True,
    ):
        good = sum(cell.value >= GOOD for cell in cells)
        if floor([cell.low for cell in cells]) < GOOD - 20 and good >= MOST * len(shown):
            high = {index for (index, _), c in zip(shown, cells, strict=True) if c.value >= GOOD}
            near = [one for one in near if one[0] in high]
            where.append(name)
    return (near, " and ".join(where)) if CROWD <= len(near) < len(shown) else (shown, "")


def _trade_off(group: Group, numbered: Numbered, which: str = "") -> Figure:
    """A point with its intervals for each method, named or numbered as in the table."""
    found = [point for _, point in numbered]
    kept, reached = (metric_name(metric) for metric in axes(group) or ("", ""))
    sources = ", ".join(dict.fromkeys(source_name(point.source) for point in found))
    joined = curves(group)
    drawn = scatter(
        numbered,
        [curve.labels for curve in joined],
        title=f"{reached} in other languages against {kept}, edited in {sources}",
        names=(f"{kept}, %", f"{reached} transfer, %"),
    )
    n = counts(cell for point in found for cell in (point.kept, point.reached))
    hollow = " Hollow: unfinished." if any(point.is_unfinished for point in found) else ""
    return Figure(
        f"Edited in {sources}: what transfers against what is kept, both in the other languages,"
        " with 95 % intervals; dashed: no editor is better in both."
        f"{hollow}{_lines(joined, found)}{which}"
        f" {n} prompts a number. {group.provenance}.",
        drawn,
    )


def _lines(joined: Sequence[Curve], found: Sequence[Point]) -> str:
    """What is said of the lines."""
    there = {point.label for point in found}
    shown = [curve for curve in joined if len(there.intersection(curve.labels)) > 1]
    if not shown:
        return ""
    told = "; ".join(dict.fromkeys(map(_swept, shown)))
    return f" Lines join an editor's points in the order of one setting ({told})."


def _swept(curve: Curve) -> str:
    others = ", where other settings change too" if curve.is_mixed else ""
    return f"{curve.setting} of {curve.editor}{others}"
