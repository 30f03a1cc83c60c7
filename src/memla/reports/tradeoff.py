"""Transfer against retention: what an editor reaches in other languages, and what it leaves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from memla.evaluation.summary import TRANSFER, Cell
from memla.reports.curves import Curve, curves
from memla.reports.drawing import Canvas, Figure, Number
from memla.reports.groups import Group
from memla.reports.placing import Box, cut_text, place_labels, text_width
from memla.reports.tables import Entry, Table, metric_name, number, pairs, source_name

REACHED = ("ES", "edit_success", "efficacy", "rewrite_acc", "reliability_F1")
"""Metrics of the edit itself; a protocol has one of them."""

KEPT = ("NS_retention", "NS", "specificity", "locality", "locality_F1")
"""Metrics of what should stay; the first that a protocol has is taken."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f")
"""Of points, which what stands beside them tells apart too."""

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 436.0, 380.0, 50.0, 12.0, 14.0, 46.0
"""Of a plot: narrow enough to be seen whole on a phone."""

GROW = 1.4
"""How much larger a plot is drawn where there is room."""

NAMED, NAME_WIDTH = 12, 200
"""Points of a plot that have their names beside them at most, and the widest of such names; more
points, or wider names, have numbers and a key."""

KEY_ROW, KEY_SIZE = 18, 11
"""Height of a line of the key, and the size in which its texts are as wide as bold ones."""

CORNER, IN_CORNER = 80.0, 4
"""Percent from which points are in the corner at the upper right, and how many there have to be for
it to be drawn again, larger."""

Start = tuple[Number, Number]
"""Where the two axes begin."""


@dataclass(frozen=True, slots=True)
class Point:
    """A method edited in one source."""

    label: str
    source: str
    kept: Cell
    reached: Cell
    ink: str
    """Its colour: its editor's where editors are curves, its own where each is one point."""
    is_best: bool = False
    """Whether no other of the same source is as good in both and better in one."""


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
            plain.append(Point(method.label, source, kept, reached, ink))
    order = {source: index for index, source in enumerate(group.sources)}
    plain.sort(key=lambda point: order[point.source])
    return [replace(one, is_best=not any(_beats(o, one) for o in plain)) for one in plain]


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
            Entry(source_name(point.source)),
            Entry("yes" if point.is_best else ""),
            number(point.reached),
            number(point.kept),
        )
        for place, point in enumerate(found, start=1)
    ]
    return Table(
        "Transfer and retention in the other languages, in percent with 95 % intervals; n prompts."
        f" Best: no other editor is better in one and as good in the other. {group.provenance}.",
        ("no.", "editor", "edited in", "best", metric_name(reached), metric_name(kept)),
        tuple(rows),
        numbers=2,
    )


def trade_offs(group: Group, found: Sequence[Point]) -> list[Figure]:
    """A plot for each source in which editors can be compared; one of all if there is no such.

    Where most points crowd in the corner of all who are good in both, it is drawn again, larger.
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
        near = [one for one in shown if min(one[1].kept.value, one[1].reached.value) >= CORNER]
        if IN_CORNER <= len(near) < len(shown) and _floor(_lows(shown)) < CORNER - 20:
            figures.append(
                _trade_off(group, near, f" Only the {len(near)} in the upper right corner.")
            )
    return figures


def _lows(numbered: Sequence[tuple[int, Point]]) -> list[Number]:
    return [value for _, one in numbered for value in (one.kept.low, one.reached.low)]


def _trade_off(group: Group, numbered: Sequence[tuple[int, Point]], which: str = "") -> Figure:
    """A point with its intervals for each method, named or numbered as in the table."""
    found = [point for _, point in numbered]
    kept, reached = (metric_name(metric) for metric in axes(group) or ("", ""))
    sources = ", ".join(dict.fromkeys(source_name(point.source) for point in found))
    names = _names(found)
    key = [] if names else [(p.ink, f"{place} {p.label}") for place, p in numbered]
    columns = _key_columns([text for _, text in key])
    canvas = Canvas(
        WIDTH,
        HEIGHT + KEY_ROW * math.ceil(len(key) / columns) + (8 if key else 0),
        f"{reached} in other languages against {kept}, edited in {sources}",
        "Each point is an editor; higher and further right is better. The table below has the"
        " same numbers.",
        grow=GROW,
    )
    start = (_floor([p.kept.low for p in found]), _floor([p.reached.low for p in found]))
    _frame(canvas, start, (f"{kept}, %", f"{reached} transfer, %"))
    if len({point.source for point in found}) == 1:
        best = sorted(_place(p.kept.value, p.reached.value, start) for p in found if p.is_best)
        canvas.path(best, class_="front")
    joined = curves(group)
    for curve in joined:
        _join(canvas, curve, found, start)
    _marks(canvas, numbered, names or [str(place) for place, _ in numbered], start)
    _key(canvas, key, columns)
    n = sorted({cell.n for point in found for cell in (point.kept, point.reached)})
    return Figure(
        f"Edited in {sources}: what transfers against what is kept, both in the other languages,"
        f" with 95 % intervals; dashed: no editor is better in both.{_lines(joined, found)}{which}"
        f" n {n[0]} to {n[-1]} prompts a number. {group.provenance}.",
        canvas.svg(),
    )


def _join(canvas: Canvas, curve: Curve, found: Sequence[Point], start: Start) -> None:
    """Lines between the points of a curve that follow one another, in each source."""
    for source in dict.fromkeys(point.source for point in found):
        by_label = {point.label: point for point in found if point.source == source}
        for one, other in pairwise(by_label.get(label) for label in curve.labels):
            if one is not None and other is not None:
                ends = [_place(p.kept.value, p.reached.value, start) for p in (one, other)]
                canvas.path(ends, stroke=one.ink, stroke_width="2.5", stroke_opacity="0.8")


def _lines(joined: Sequence[Curve], found: Sequence[Point]) -> str:
    """What is said of the lines."""
    there = {point.label for point in found}
    shown = [curve for curve in joined if len(there.intersection(curve.labels)) > 1]
    if not shown:
        return ""
    told = "; ".join(f"{curve.labels[0]} to {curve.labels[-1]}: {curve.setting}" for curve in shown)
    return f" Lines join an editor's points in the order of one setting ({told})."


def _names(found: Sequence[Point]) -> list[str]:
    """What stands beside the points if names find room there; else nothing."""
    many = len({point.source for point in found}) > 1
    names = [p.label + (f", {source_name(p.source)}" if many else "") for p in found]
    fit = len(names) <= NAMED and all(text_width(name) <= NAME_WIDTH for name in names)
    return names if fit else []


def _key_columns(texts: Sequence[str]) -> int:
    """How many columns a key with these texts has."""
    widest = max((text_width(text, KEY_SIZE) for text in texts), default=WIDTH) + 24
    return max(1, int((WIDTH - 10) // widest))


def _key(canvas: Canvas, key: Sequence[tuple[str, str]], columns: int) -> None:
    """What each number means, in columns that are read downwards."""
    rows = math.ceil(len(key) / columns)
    for index, (ink, text) in enumerate(key):
        x = 10 + (WIDTH - 10) / columns * (index // rows)
        y = HEIGHT + 8 + KEY_ROW * (index % rows)
        canvas.dot(x, y, ink)
        canvas.label(x + 12, y + 4, cut_text(text, WIDTH / columns - 24, KEY_SIZE))


def _floor(lows: Sequence[Number]) -> Number:
    """Where an axis starts: a multiple of ten below everything on it, 90 at most."""
    return max(0.0, min(90.0, 10 * math.floor((min(lows) - 1) / 10)))


def _place(kept: Number, reached: Number, start: Start) -> tuple[Number, Number]:
    across = (kept - start[0]) / (102 - start[0])
    up = (reached - start[1]) / (102 - start[1])
    return (
        LEFT + across * (WIDTH - LEFT - RIGHT),
        HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
    )


def _frame(canvas: Canvas, start: Start, names: tuple[str, str]) -> None:
    left, bottom = _place(*start, start)
    right, top = _place(102, 102, start)
    for axis in (0, 1):
        step = 10 if 100 - start[axis] > 20 else 2
        for tick in range(int(start[axis]), 101, step):
            if axis == 0:
                x, _ = _place(tick, start[1], start)
                canvas.line(x, bottom, x, top, class_="grid")
                canvas.label(x, bottom + 16, str(tick), text_anchor="middle", class_="name")
            else:
                _, y = _place(start[0], tick, start)
                canvas.line(left, y, right, y, class_="grid")
                canvas.label(left - 8, y + 4, str(tick), text_anchor="end", class_="name")
    canvas.label((left + right) / 2, HEIGHT - 8, names[0], text_anchor="middle")
    turn = f"rotate(-90 14 {(top + bottom) / 2:.0f})"
    canvas.label(14, (top + bottom) / 2, names[1], text_anchor="middle", transform=turn)


def _marks(
    canvas: Canvas,
    numbered: Sequence[tuple[int, Point]],
    names: Sequence[str],
    start: Start,
) -> None:
    """Intervals of all, then points of all, then what they are called: nothing hides a name."""
    places = [_place(point.kept.value, point.reached.value, start) for _, point in numbered]
    inks = [point.ink for _, point in numbered]
    for _, point in numbered:
        _intervals(canvas, point, start)
    spots = place_labels(places, names, Box(LEFT, 2, WIDTH - 2, HEIGHT - BOTTOM))
    for place, spot, ink in zip(places, spots, inks, strict=True):
        canvas.line(*place, *spot, stroke=ink, stroke_opacity="0.5")
    for (index, point), place, ink in zip(numbered, places, inks, strict=True):
        canvas.dot(*place, ink, _hint(index, point))
    for name, spot in zip(names, spots, strict=True):
        canvas.label(spot[0], spot[1] + 4, name, text_anchor="middle", class_="point")


def _intervals(canvas: Canvas, point: Point, start: Start) -> None:
    kept, reached = point.kept, point.reached
    for ends in (
        (*_place(kept.low, reached.value, start), *_place(kept.high, reached.value, start)),
        (*_place(kept.value, reached.low, start), *_place(kept.value, reached.high, start)),
    ):
        canvas.line(*ends, stroke=point.ink, stroke_opacity="0.55", stroke_width="1.5")


def _hint(index: int, point: Point) -> str:
    kept, reached = point.kept, point.reached
    return (
        f"{index}: {point.label}, edited in {source_name(point.source)}:"
        f" {reached.metric} transfer {reached.value:.1f} %, {metric_name(kept.metric)}"
        f" {kept.value:.1f} %, n {reached.n} and {kept.n}"
    )
