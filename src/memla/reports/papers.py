"""The papers' own figures: shipped as data, shown beside ours and never among them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

from pydantic import Field

from memla.evaluation.summary import TRANSFER, Cell
from memla.languages import language_name
from memla.records import Record, Text, parse_record
from memla.registry import unknown_name
from memla.reports.differences import paired, signed
from memla.reports.groups import Group, Method
from memla.reports.tables import Entry, Table, metric_name, number, source_name

UNKNOWN = "not known to us"
"""Stands for an editor where we know a number and not whose it is."""


class PublishedCell(Record):
    """One number of a paper."""

    editor: str | None = None
    """Our name of the editor; None where whose number it is is not known to us."""
    metric: str
    source: str
    target: str
    """A language, or ``transfer``: the mean over the languages the edit was not made in."""
    value: float
    """In percent."""
    known_from: Text = Field(alias="from")
    """Which place of the table it is, and how we know it."""


class PublishedOrder(Record):
    """Of two editors, which one a paper has above the other in transfer."""

    metric: str
    source: str
    better: str
    """Our name of the editor that is above."""
    worse: str
    """Our name of the one below."""
    known_from: Text = Field(alias="from")
    """What the paper says."""


class Published(Record):
    """What we know of a table or figure of a paper."""

    paper: Text
    """Its title."""
    arxiv: str
    table: str
    """Which table or figure."""
    model: str
    """The model its numbers are of."""
    benchmark: str
    """The data they are of."""
    protocol: str
    """The protocol here that measures as it does, or what it measures."""
    about: Text
    """What it shows, and what to know before reading it."""
    cells: tuple[PublishedCell, ...] = ()
    """Its numbers, as far as we know them."""
    orders: tuple[PublishedOrder, ...] = ()
    """Its ranking, as far as we know it beyond the numbers."""
    not_here: Text
    """What of it is not known to us, and why."""

    @property
    def name(self) -> str:
        """How it is called in a table."""
        return f"arXiv {self.arxiv}, {self.table}"


def published_names() -> list[str]:
    """Names of the papers' figures that are shipped."""
    folder = files("memla.reports") / "published"
    return sorted(Path(one.name).stem for one in folder.iterdir() if one.name.endswith(".toml"))


def read_published(name: str) -> Published:
    """A paper's figures by their name.

    Raises:
        UnknownNameError: There are none of that name.
    """
    known = published_names()
    if name not in known:
        raise unknown_name("paper's figures", name, dict.fromkeys(known))
    path = files("memla.reports") / "published" / f"{name}.toml"
    value = tomllib.loads(path.read_text(encoding="utf-8"))
    return parse_record(Published, value, path.name)


def about(tables: Iterable[Published]) -> Iterator[str]:
    """What a reader has to know of each of them."""
    for one in tables:
        yield (
            f"{one.paper} (arXiv {one.arxiv}), {one.table}: {one.model} on {one.benchmark}."
            f" {one.about} What is not here: {one.not_here}"
        )


def figures_table(group: Group, tables: Iterable[Published]) -> Table | None:
    """The papers' numbers, each with ours of the same name beside it; None if there are none."""
    rows = []
    for table in tables:
        for cell in table.cells:
            mine = _method(group, cell.editor)
            found = mine.cell(cell.metric, cell.source, cell.target) if mine else None
            target = cell.target if cell.target == TRANSFER else language_name(cell.target)
            rows.append(
                (
                    Entry(cell.editor or UNKNOWN),
                    Entry(table.name, f"{table.model}, {table.benchmark}"),
                    Entry(cell.known_from),
                    *map(Entry, (metric_name(cell.metric), cell.source, target)),
                    Entry(f"{cell.value:g}"),
                    number(found),
                )
            )
    if not rows:
        return None
    return Table(
        "The papers' numbers in percent, and ours of the same name, with 95 % intervals; n prompts."
        f" Another model and other facts: the two are not the same quantity. {_ours(group)}",
        (
            *("editor", "paper", "place", "metric", "edited in", "asked in"),
            *("the paper", "here"),
        ),
        tuple(rows),
        numbers=2,
    )


def ranking_table(group: Group, tables: Iterable[Published]) -> Table | None:
    """The papers' ranking beside ours; None if no ranking is known."""
    rows = [_ranked(group, table, order) for table in tables for order in table.orders]
    if not rows:
        return None
    return Table(
        "The papers' ranking, as far as it is known to us, and ours: difference of the two editors"
        " in the other languages, in points, paired by case with 95 % intervals; n prompts."
        f" {_ours(group)}",
        ("above", "below", "paper", "what it says", "metric", "edited in", "here", "difference"),
        tuple(rows),
        numbers=1,
    )


def _ranked(group: Group, table: Published, order: PublishedOrder) -> tuple[Entry, ...]:
    above, below = _method(group, order.better), _method(group, order.worse)
    found: Cell | None = None
    if above is not None and below is not None:
        found = paired(above, below, order.source).get(order.metric)
    return (
        Entry(order.better),
        Entry(order.worse),
        Entry(table.name, f"{table.model}, {table.benchmark}"),
        Entry(order.known_from),
        Entry(metric_name(order.metric)),
        Entry(source_name(order.source)),
        Entry(_verdict(found)),
        signed(found),
    )


def _verdict(cell: Cell | None) -> str:
    if cell is None:
        return "not measured"
    if cell.low > 0:
        return "the same"
    return "the other way round" if cell.high < 0 else "not told apart"


def _method(group: Group, editor: str | None) -> Method | None:
    """Our method of that name: the one that is called so, or else the editor's first."""
    ours = [method for method in group.methods if method.runs[0].plan.editor == editor]
    return next((one for one in ours if one.label == editor), ours[0] if ours else None)


def _ours(group: Group) -> str:
    return f"Here: {group.provenance}."
