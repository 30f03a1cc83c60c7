"""A plot of points with intervals: named, joined by lines, or with numbers and a key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from memla.evaluation.summary import Cell
from memla.reports.drawing import Canvas, Number
from memla.reports.placing import Box, cut_text, place_labels, text_width
from memla.reports.tables import metric_name, source_name

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 436.0, 380.0, 50.0, 12.0, 34.0, 46.0
"""Of a plot: narrow enough to be seen whole on a phone."""

GROW = 1.4
"""How much larger a plot is drawn where there is room."""

NAMED, NAME_WIDTH = 12, 200
"""Points of a plot that have their names beside them at most, and the widest of such names; more
points, or wider names, have numbers and a key."""

SHORT = 90
"""Width of a name that stands beside the first point of its colour among numbers."""

STEPS = ((40, 10), (20, 5), (-1, 2))
"""Percent on an axis, and how far apart its ticks are if there are more."""

KEY_ROW, KEY_SIZE = 16, 10
"""Height of a line of the key, and the size in which its texts are as wide as bold ones."""

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
    is_unfinished: bool = False
    """Whether cases of it are still to come."""


Numbered = Sequence[tuple[int, Point]]
"""Points with the numbers that a table gives them."""


def scatter(
    numbered: Numbered,
    joined: Sequence[Sequence[str]],
    *,
    title: str,
    names: tuple[str, str],
) -> str:
    """Draw points of what is kept and what is reached.

    Args:
        numbered: The points.
        joined: Labels of points that lines join, in order.
        title: What is shown.
        names: Of the two axes.

    Returns:
        The drawing as SVG.
    """
    found = [point for _, point in numbered]
    texts = _names(found)
    colours = list(dict.fromkeys(point.ink for point in found))
    by_colour = sorted(numbered, key=lambda one: colours.index(one[1].ink))
    key = [] if texts else [(point, f"{place} {point.label}") for place, point in by_colour]
    columns = _key_columns([text for _, text in key])
    canvas = Canvas(
        WIDTH,
        HEIGHT + KEY_ROW * math.ceil(len(key) / columns) + (8 if key else 0),
        title,
        "Each point is an editor; higher and further right is better. The table below has the"
        " same numbers.",
        grow=GROW,
    )
    start = (floor([p.kept.low for p in found]), floor([p.reached.low for p in found]))
    _frame(canvas, start, names)
    if len({point.source for point in found}) == 1:
        best = sorted(_place(p.kept.value, p.reached.value, start) for p in found if p.is_best)
        canvas.path(best, class_="front")
    for labels in joined:
        _join(canvas, labels, found, start)
    _marks(canvas, numbered, texts or _numbers(numbered), start)
    _key(canvas, key, columns)
    return canvas.svg()


def _join(canvas: Canvas, labels: Sequence[str], found: Sequence[Point], start: Start) -> None:
    """Lines between the points of a curve that follow one another, in each source."""
    for source in dict.fromkeys(point.source for point in found):
        by_label = {point.label: point for point in found if point.source == source}
        for one, other in pairwise(by_label.get(label) for label in labels):
            if one is not None and other is not None:
                ends = [_place(p.kept.value, p.reached.value, start) for p in (one, other)]
                canvas.path(ends, stroke=one.ink, stroke_width="2.5", stroke_opacity="0.8")


def _names(found: Sequence[Point]) -> list[str]:
    """What stands beside the points if names find room there; else nothing."""
    many = len({point.source for point in found}) > 1
    names = [p.label + (f", {source_name(p.source)}" if many else "") for p in found]
    fit = len(names) <= NAMED and all(text_width(name) <= NAME_WIDTH for name in names)
    return names if fit else []


def _numbers(numbered: Numbered) -> list[str]:
    """A number for each point, and for the first of each colour its name if that is short."""
    seen: set[str] = set()
    texts = []
    for place, point in numbered:
        is_named = point.ink not in seen and text_width(point.label) <= SHORT
        texts.append(point.label if is_named else str(place))
        seen.add(point.ink)
    return texts


def _key_columns(texts: Sequence[str]) -> int:
    """How many columns a key with these texts has."""
    widest = max((text_width(text, KEY_SIZE) for text in texts), default=WIDTH) + 24
    return max(1, int((WIDTH - 10) // widest))


def _key(canvas: Canvas, key: Sequence[tuple[Point, str]], columns: int) -> None:
    """What each number means, in columns that are read downwards."""
    rows = math.ceil(len(key) / columns)
    for index, (point, text) in enumerate(key):
        x = 10 + (WIDTH - 10) / columns * (index // rows)
        y = HEIGHT + 8 + KEY_ROW * (index % rows)
        canvas.dot(x, y, point.ink, is_hollow=point.is_unfinished)
        shown = cut_text(text, WIDTH / columns - 24, KEY_SIZE)
        canvas.label(x + 12, y + 4, shown, class_="key")


def floor(lows: Sequence[Number]) -> Number:
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
        step = next(s for room, s in STEPS if 100 - start[axis] > room)
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
    numbered: Numbered,
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
        canvas.dot(*place, ink, _hint(index, point), is_hollow=point.is_unfinished)
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
        + (", unfinished" if point.is_unfinished else "")
    )
