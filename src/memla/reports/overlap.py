"""What languages have in common: of the neurons in which an edit found its fact, in figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from memla.languages import language_name
from memla.reports.drawing import Canvas, Figure, Number
from memla.reports.figures import (
    CELL,
    GAP,
    GROW,
    LEFT,
    RIGHT,
    ROW,
    TOP,
    WIDEST,
    colour,
    ink_on,
)
from memla.reports.groups import Group, Method
from memla.reports.neuron_sums import NeuronSums, Pair
from memla.reports.tables import Entry, Table, neuron_sums, source_name

SHOWN_METHODS = 3
"""Methods with the same neurons that a caption names at most."""

PANEL_GAP, PANEL_TOP, SMALL = 14, 20, 8
"""Room between panels of layers and above each for its name, and the width of their cells."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Neurons in which facts were found in each language, by methods that found the same."""

    methods: tuple[str, ...]
    sources: tuple[str, ...]
    languages: tuple[str, ...]
    sums: NeuronSums
    shares: Mapping[Pair, tuple[float | None, ...]]
    """By two languages, the percent they have in common in each layer."""
    top: int
    """The percent that is drawn darkest: the next ten above every number."""

    @classmethod
    def of(
        cls, method: Method, sources: tuple[str, ...], targets: Sequence[str], sums: NeuronSums
    ) -> Overlap:
        """What a method found in some sources, languages in the order of the targets."""
        order = [target for target in targets if target in sums.located]
        shares = {pair: found.percent_by_layer() for pair, found in sums.overlaps.items()}
        known = [value for one in shares.values() for value in one if value is not None]
        return cls(
            methods=(method.label,),
            sources=sources,
            languages=(*order, *sorted(set(sums.located) - set(order))),
            sums=sums,
            shares=shares,
            top=10 * math.ceil(max(*known, 10) / 10),
        )

    @property
    def n_edits(self) -> int:
        """Edits behind the numbers."""
        return max(one.n for one in self.sums.located.values())

    @property
    def name(self) -> str:
        """The methods and their sources, for a caption."""
        shown = ", ".join(self.methods[:SHOWN_METHODS])
        more = len(self.methods) - SHOWN_METHODS
        rest = f" and {more} more that found the same" if more > 0 else ""
        return f"{shown}{rest}, edited in {', '.join(map(source_name, self.sources))}"

    def percent(self, one: str, other: str) -> float | None:
        """Mean share that two languages have in common, over all layers."""
        found = self.sums.overlaps.get((min(one, other), max(one, other)))
        return found.percent() if found else None

    def by_layer(self, one: str, other: str) -> tuple[float | None, ...]:
        """The same for each layer."""
        return self.shares.get((min(one, other), max(one, other)), ())

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers in which a fact was found in some language."""
        sums = [one.sums for one in self.sums.located.values()]
        n_layers = max(map(len, sums))
        return tuple(
            layer
            for layer in range(n_layers)
            if any(layer < len(one) and one[layer] for one in sums)
        )


def overlaps(group: Group) -> list[Overlap]:
    """What edits found in several languages; methods that found the same stand together."""
    found: list[Overlap] = []
    for method in group.methods:
        for sources, sums in _located(method):
            one = Overlap.of(method, sources, group.targets, sums)
            for place, other in enumerate(found):
                if _is_same(other.sums, sums):
                    found[place] = _joined(other, one)
                    break
            else:
                found.append(one)
    return found


def _located(method: Method) -> Iterator[tuple[tuple[str, ...], NeuronSums]]:
    """What a method found: by source where that does not matter, else all sources together."""
    by_source = {source: neuron_sums(method, source) for source in method.sources}
    there = {
        source: sums
        for source, sums in by_source.items()
        if any(pair.n for pair in sums.overlaps.values())
    }
    every = list(there.values())
    if all(_is_same(sums, every[0]) for sums in every):
        yield from (((source,), sums) for source, sums in there.items())
    elif every:
        yield tuple(there), neuron_sums(method, *there)


def _is_same(one: NeuronSums, other: NeuronSums) -> bool:
    """Whether the same neurons were found; the order of cases may change last digits."""
    mine, theirs = (
        {pair: (sums.n, round(sums.total, 6)) for pair, sums in each.overlaps.items()}
        for each in (one, other)
    )
    return mine == theirs


def _joined(one: Overlap, other: Overlap) -> Overlap:
    methods, sources = (
        tuple(dict.fromkeys((*mine, *theirs)))
        for mine, theirs in ((one.methods, other.methods), (one.sources, other.sources))
    )
    return replace(one, methods=methods, sources=sources)


def overlap_figures(group: Group) -> Iterator[tuple[Figure, Table]]:
    """For each set of neurons a map of all layers and one of each, with the same as tables."""
    for one in overlaps(group):
        yield _map(group, one), _map_table(group, one)
        yield _layer_maps(group, one), _layer_table(group, one)


def _about(group: Group, one: Overlap) -> str:
    return (
        f"{one.name}, n {one.n_edits} edits: neurons in which the fact was found in both of two"
        f" languages, in percent of those of either. {group.provenance}."
    )


def _map(group: Group, one: Overlap) -> Figure:
    width = LEFT + CELL * (len(one.languages) + 1) + GAP + RIGHT
    canvas = Canvas(
        width,
        TOP + ROW * len(one.languages) + 8,
        "Neurons that languages have in common",
        "Rows and columns are languages; darker is more. The table below has the same numbers.",
        grow=GROW,
    )
    canvas.label(4, 16, "neurons in common, %")
    for index, language in enumerate(one.languages):
        x = LEFT + CELL * (index + 0.5)
        canvas.label(x, TOP - 10, language, text_anchor="middle", class_="name")
    last = LEFT + CELL * (len(one.languages) + 0.5) + GAP
    canvas.label(last, TOP - 10, "found", text_anchor="middle", class_="name")
    for index, language in enumerate(one.languages):
        y = TOP + ROW * index
        canvas.label(LEFT - 6, y + 15, language, text_anchor="end", class_="name")
        _map_row(canvas, one, language, y)
        located = sum(one.sums.located[language].means())
        canvas.label(last, y + 15, f"{located:.0f}", text_anchor="middle", class_="cell")
    return Figure(
        f"Overlap of languages, mean over edits, all layers; colours from 0 to {one.top}; found:"
        f" neurons of the language itself. {_about(group, one)}",
        canvas.svg(),
    )


def _map_row(canvas: Canvas, one: Overlap, language: str, y: Number) -> None:
    for index, other in enumerate(one.languages):
        x = LEFT + CELL * index
        box = (x + 1, y + 1, CELL - 2, ROW - 2)
        value = None if other == language else one.percent(language, other)
        if value is None:
            canvas.rectangle(*box, class_="missing")
            continue
        shade = colour(100 * value / one.top)
        canvas.rectangle(*box, _hint(language, other, value), fill=shade, class_="value")
        ink = ink_on(shade)
        middle = (x + CELL / 2, y + 15)
        canvas.label(*middle, f"{value:.0f}", text_anchor="middle", fill=ink, class_="cell")


def _hint(one: str, other: str, value: Number, where: str = "") -> str:
    return f"{language_name(one)} and {language_name(other)}{where}: {value:.1f} %"


def _map_table(group: Group, one: Overlap) -> Table:
    rows = []
    for language in one.languages:
        values = [
            None if other == language else one.percent(language, other) for other in one.languages
        ]
        located = sum(one.sums.located[language].means())
        shown = [_percent(value) for value in values]
        rows.append((Entry(language_name(language), language), *shown, Entry(f"{located:.1f}")))
    return Table(
        f"Overlap of languages, mean over edits, all layers. {_about(group, one)}",
        ("language", *one.languages, "neurons found"),
        tuple(rows),
        numbers=len(one.languages) + 1,
    )


def _percent(value: Number | None) -> Entry:
    return Entry("–" if value is None else f"{value:.1f}")


def _layer_maps(group: Group, one: Overlap) -> Figure:
    side = SMALL * len(one.languages)
    columns = max(1, min(len(one.layers), int((WIDEST + PANEL_GAP) // (side + PANEL_GAP))))
    lines = math.ceil(len(one.layers) / columns)
    canvas = Canvas(
        max((side + PANEL_GAP) * columns - PANEL_GAP + 8, 160),
        (side + PANEL_TOP + PANEL_GAP) * lines,
        "Neurons that languages have in common, by layer",
        "A small map for each layer, rows and columns as in the map of all layers; darker is"
        " more. The table below has the mean of each language.",
        grow=GROW,
    )
    for index, layer in enumerate(one.layers):
        x = 4 + (side + PANEL_GAP) * (index % columns)
        y = (side + PANEL_TOP + PANEL_GAP) * (index // columns) + PANEL_TOP
        canvas.label(x, y - 6, f"layer {layer}", class_="name")
        _layer_panel(canvas, one, layer, (x, y))
    return Figure(
        f"Overlap of languages by layer, mean over edits; colours from 0 to {one.top}; languages"
        f" from left to right and from top to bottom: {', '.join(one.languages)}. Layers where"
        f" nothing was found are left out. {_about(group, one)}",
        canvas.svg(),
    )


def _layer_panel(canvas: Canvas, one: Overlap, layer: int, corner: tuple[Number, Number]) -> None:
    for row, language in enumerate(one.languages):
        for column, other in enumerate(one.languages):
            box = (corner[0] + SMALL * column, corner[1] + SMALL * row, SMALL - 0.5, SMALL - 0.5)
            value = None if other == language else _at(one.by_layer(language, other), layer)
            if value is None:
                canvas.rectangle(*box, class_="missing")
            else:
                hint = _hint(language, other, value, f", layer {layer}")
                canvas.rectangle(*box, hint, fill=colour(100 * value / one.top), class_="value")


def _at(values: Sequence[float | None], layer: int) -> float | None:
    return values[layer] if layer < len(values) else None


def _layer_table(group: Group, one: Overlap) -> Table:
    rows = []
    for language in one.languages:
        others = [one.by_layer(language, other) for other in one.languages if other != language]
        columns = [[_at(values, layer) for values in others] for layer in one.layers]
        there = [[value for value in column if value is not None] for column in columns]
        means = [_percent(fmean(column) if column else None) for column in there]
        rows.append((Entry(language_name(language), language), *means))
    return Table(
        "Overlap of each language with the others, mean over these and over edits, by layer."
        f" {_about(group, one)}",
        ("language", *(f"layer {layer}" for layer in one.layers)),
        tuple(rows),
        numbers=len(one.layers),
    )
