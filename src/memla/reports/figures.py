"""Figures of a report: heat maps, transfer against retention, neurons by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from memla.evaluation.results import source_parts
from memla.evaluation.summary import TRANSFER, Cell
from memla.languages import language_name
from memla.reports.drawing import Canvas, Figure, Number
from memla.reports.groups import Group, Method
from memla.reports.placing import cut_text, text_width
from memla.reports.tables import Neurons, counts, metric_name, pairs, source_name

CELL, ROW, LEFT, TOP, GAP, RIGHT = 28, 22, 58, 44, 8, 10
"""Width and height of a heat map's cell, room for its rows' names, for what it is of and its
columns' names, before the mean and after it: narrow enough that twelve languages are seen at once
on a phone."""

GROW = 1.3
"""How much larger a heat map is drawn where there is room."""

PANEL, WIDEST = 112, 436
"""Height of one method's bars, and how wide panels side by side may become."""

SCALE = ((247, 251, 255), (158, 202, 225), (66, 130, 190), (8, 48, 107))
"""Colours of 0, 33, 67 and 100 percent; light to dark, so that print in grey keeps the order."""


def luminance(colour: str) -> float:
    """How light a colour is, from 0 to 1, as WCAG 2 defines it."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ink_on(colour: str) -> str:
    """Black or white, whichever is read better on a colour."""
    return "#000" if luminance(colour) > 0.179 else "#fff"


def colour(percent: Number) -> str:
    """The colour of a number of percent; below 0 as 0, above 100 as 100."""
    place = min(max(percent, 0), 100) / 100 * (len(SCALE) - 1)
    low = min(int(place), len(SCALE) - 2)
    mixed = (
        round(a + (b - a) * (place - low)) for a, b in zip(SCALE[low], SCALE[low + 1], strict=True)
    )
    return "#" + "".join(f"{part:02x}" for part in mixed)


def heat_map(group: Group, metric: str) -> Figure:
    """One metric of every method: source languages by target languages."""
    columns = (*group.targets, TRANSFER)
    rows = pairs(group, metric)
    blocks = [(method, [s for _, s in found]) for method, found in groupby(rows, lambda r: r[0])]
    width = LEFT + CELL * len(columns) + GAP + RIGHT
    height = TOP + ROW * (len(rows) + len(blocks)) + 8
    used = [
        method.cell(metric, source, target) for method, source in rows for target in group.targets
    ]
    name = metric_name(metric)
    canvas = Canvas(
        width,
        height,
        f"Heat map of {name}",
        "Rows are languages of the edit, columns languages of the question; darker is higher."
        " The table below has the same numbers.",
        grow=GROW,
    )
    canvas.label(4, 16, f"{name}, %")
    for index, target in enumerate(columns):
        x = LEFT + CELL * (index + 0.5) + (GAP if target == TRANSFER else 0)
        shown = "mean" if target == TRANSFER else target
        canvas.label(x, TOP - 10, shown, text_anchor="middle", class_="name")
    y = float(TOP)
    for method, sources in blocks:
        canvas.label(4, y + 16, cut_text(method.label, width - 8), class_="block")
        y += ROW
        for source in sources:
            _heat_row(canvas, method, metric, source, columns, y)
            y += ROW
    starred = " *: unfinished." if any(method.is_unfinished(s) for method, s in rows) else ""
    return Figure(
        f"{name} in percent, colours from 0 to 100. Rows: language of the edit; columns: of the"
        f" question; mean: over the other languages; framed: edited in this language.{starred}"
        f" {counts(used)} prompts a number. {group.provenance}.",
        canvas.svg(),
    )


def _heat_row(
    canvas: Canvas, method: Method, metric: str, source: str, columns: Sequence[str], y: Number
) -> None:
    short = source if len(source) < 7 else f"{len(source_parts(source))} lang."
    short += "*" if method.is_unfinished(source) else ""
    canvas.label(LEFT - 6, y + 15, short, text_anchor="end", class_="name")
    own = source_parts(source)
    for index, target in enumerate(columns):
        x = LEFT + CELL * index + (GAP if target == TRANSFER else 0)
        found = method.cell(metric, source, target)
        box = (x + 1, y + 1, CELL - 2, ROW - 2)
        if found is None:
            canvas.rectangle(*box, class_="missing")
            continue
        hint = _hint(method, metric, source, found)
        kind = "own" if target in own else "value"
        canvas.rectangle(*box, hint, fill=colour(found.value), class_=kind)
        place, ink = (x + CELL / 2, y + 15), ink_on(colour(found.value))
        canvas.label(*place, f"{found.value:.0f}", text_anchor="middle", fill=ink, class_="cell")


def _hint(method: Method, metric: str, source: str, cell: Cell) -> str:
    target = cell.target if cell.target == TRANSFER else language_name(cell.target)
    return (
        f"{method.label}, {metric_name(metric)}, edited in {source_name(source)}, asked in"
        f" {target}: {cell.value:.1f} % [{cell.low:.1f}, {cell.high:.1f}], n {cell.n},"
        f" {cell.protocol}"
    )


def layers(group: Group, sets: Sequence[Neurons]) -> Figure | None:
    """Neurons that edits change, by layer: shared between languages, and the source's own."""
    if not sets:
        return None
    n_layers = max(len(one.shared) for one in sets)
    top = max(max(map(sum, zip(one.shared, one.specific, strict=True))) for one in sets) or 1
    bar = min(24.0, (WIDEST - 90) / n_layers)
    names = max(text_width(_panel_name(one)) for one in sets)
    width = min(max(70 + bar * n_layers + 20, names + 8), WIDEST)
    columns = min(len(sets), max(1, int(WIDEST // width)))
    canvas = Canvas(
        max(width * columns, 300),
        PANEL * math.ceil(len(sets) / columns) + 40,
        "Neurons by layer",
        "Bars: mean number of neurons an edit changes in each layer, dark where languages share"
        " them. The table below has the same numbers.",
        grow=GROW,
    )
    _key(canvas)
    for index, one in enumerate(sets):
        place = (width * (index % columns), 40.0 + PANEL * (index // columns + 1) - 34)
        _panel(canvas, one, place, (width, bar), top)
    edits = sorted({one.n_edits for one in sets})
    n = f"n {edits[0]}" if len(edits) == 1 else f"n {edits[0]} to {edits[-1]}"
    return Figure(
        f"Neurons that an edit changes, by layer, mean over edits ({n}). {group.provenance}.",
        canvas.svg(),
    )


def _panel_name(one: Neurons) -> str:
    return f"{one.method.label}, {source_name(one.source)}"


def _panel(
    canvas: Canvas,
    one: Neurons,
    place: tuple[Number, Number],
    widths: tuple[Number, Number],
    top: Number,
) -> None:
    """Bars of one method; their left and base, and the widths of the panel and of a bar."""
    (start, base), (width, bar) = place, widths
    n_layers, zero = len(one.shared), start + 60
    canvas.label(start + 4, base - 72, cut_text(_panel_name(one), width - 8))
    canvas.line(zero, base, zero + bar * n_layers, base, class_="axis")
    canvas.label(zero - 6, base - 52, f"{top:.0f}", text_anchor="end", class_="name")
    canvas.label(zero - 6, base + 2, "0", text_anchor="end", class_="name")
    for layer, (shared, own) in enumerate(zip(one.shared, one.specific, strict=True)):
        x, tall = zero + bar * layer, 56 / top
        text = f"layer {layer}: {shared:.1f} shared, {own:.1f} own, n {one.n_edits} edits"
        low, left, wide = base - shared * tall, x + bar * 0.15, bar * 0.7
        canvas.rectangle(left, low, wide, shared * tall, text, class_="shared")
        canvas.rectangle(left, low - own * tall, wide, own * tall, text, class_="single")
        if n_layers <= 16 or layer % 4 == 0:
            middle = x + bar / 2
            canvas.label(middle, base + 14, str(layer), text_anchor="middle", class_="name")


def _key(canvas: Canvas) -> None:
    for x, kind, text in ((60, "shared", "shared between languages"), (240, "single", "own")):
        canvas.rectangle(x, 6, 12, 12, class_=kind)
        canvas.label(x + 18, 16, text, class_="name")
