"""A report: what is told of some runs, in order, whatever the format."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from memla.reports import differences, figures, papers, tables
from memla.reports.cautions import cautions, unfinished
from memla.reports.damage import damage_sections
from memla.reports.drawing import Figure
from memla.reports.examples import examples as examples_of
from memla.reports.finding import find
from memla.reports.groups import MINI_NOTE, Group, group_recipe, group_runs, is_ours
from memla.reports.overlap import overlap_figures
from memla.reports.reading import EXAMPLES, check_measured_alike, read_for_report
from memla.reports.tables import Table
from memla.reports.tradeoff import points, trade_off_table, trade_offs

TITLES = 4
"""Chapters that the title of a report names at most."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report under one heading."""

    title: str
    notes: tuple[str, ...] = ()
    figures: tuple[tuple[Figure, Table | None], ...] = ()
    """Drawings, each with the same as a table if that is not shown anyway."""
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Chapter:
    """All that is told of one group."""

    group: Group
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Chapters, one for each recipe, and for each model and benchmark beside them."""

    chapters: tuple[Chapter, ...]
    without_runs: tuple[str, ...] = ()
    """Titles of recipes that have no run yet."""

    @property
    def title(self) -> str:
        """What is reported, in a line."""
        titles = [chapter.group.title for chapter in self.chapters]
        if len(titles) > TITLES:
            titles = [*titles[: TITLES - 1], f"and {len(titles) - TITLES + 1} more"]
        return "Edits measured: " + "; ".join(titles)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know before the first number."""
        protocols = {
            chapter.group.protocol.name: chapter.group.protocol for chapter in self.chapters
        }
        models = dict.fromkeys(run.plan.model for c in self.chapters for run in c.group.runs)
        ours = [
            f"{model} is {MINI_NOTE}, not what happens in a large model."
            for model in models
            if is_ours(model)
        ]
        about = (
            "Intervals are 95 % bootstrap intervals over cases; one without width says that all"
            " cases agree, not that more of them would. Two editors are compared on the cases they"
            " share by `memla compare`."
        )
        asked = [
            f"Protocol {one.name}: {one.about} Defined by {one.source}."
            for one in protocols.values()
        ]
        waiting = [f"No run yet of: {'; '.join(self.without_runs)}."] if self.without_runs else []
        return (*asked, *ours, about, *waiting)


def make_report(paths: Iterable[str | Path], *, examples: int = EXAMPLES) -> Report:
    """Read runs and arrange what is to be told of them.

    Args:
        paths: Folders of runs, folders that hold some, or files of recipes beside their runs.
        examples: Example cases of each run.

    Raises:
        DataError: A path is none of these, or runs of one table are measured differently.
    """
    found = find(paths)
    kept: dict[Path, bool] = dict.fromkeys(found.others(), False)
    for file, recipe in found.recipes.items():
        is_compared = bool(recipe.contrasts or recipe.published)
        for path in found.runs_of(file).values():
            kept[path] = kept.get(path, False) or is_compared
    with _garbage_uncollected():
        runs = {
            path: read_for_report(found.runs.get(path, path), examples=examples, keep_values=keep)
            for path, keep in kept.items()
        }
    groups: list[Group] = []
    waiting: list[str] = []
    for file, recipe in found.recipes.items():
        made = {name: runs[path] for name, path in found.runs_of(file).items()}
        groups += group_recipe(recipe, made)
        waiting += [] if made else [recipe.title]
    others = [runs[path] for path in found.others()]
    check_measured_alike((run.path.name, run.plan) for run in others)
    groups += group_runs(others)
    chapters = tuple(Chapter(group, tuple(_sections(group))) for group in groups)
    return Report(chapters, tuple(waiting))


@contextmanager
def _garbage_uncollected() -> Iterator[None]:
    """Leave out the search for cycles of objects inside the ``with`` block.

    What is read has no cycles, and looking for some among millions of values takes a fifth of
    the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _sections(group: Group) -> Iterator[Section]:
    yield Section("Runs", unfinished(group), tables=(tables.overview(group),))
    if compared := tuple(tables.comparisons(group)):
        yield Section("Editors compared", tuple(cautions(group)), tables=compared)
    yield from _beside_papers(group)
    contrasts = differences.differences(group)
    if decided := differences.table(group, contrasts):
        told = tuple(differences.sentences(group, contrasts))
        yield Section("What decides it", told, tables=(decided,))
    if found := points(group):
        plots = tuple((plot, None) for plot in trade_offs(group, found))
        shown = trade_off_table(group, found)
        yield Section("Transfer against retention", figures=plots, tables=(shown,))
    if group.metrics:
        maps = [(figures.heat_map(group, m), tables.matrix(group, m)) for m in group.metrics]
        yield Section("Every language", figures=tuple(maps))
    yield from _neurons(group)
    told, drawn, measured = damage_sections(group)
    if measured:
        yield Section("What else the edits changed", told, tuple(drawn), tuple(measured))
    if cost := tables.costs(group):
        yield Section("Cost", tables=(cost,))
    failed = tables.failures(group)
    good = () if failed else ("No case failed.",)
    yield Section("Failures", good, tables=(failed,) if failed else ())
    if shown_cases := tuple(examples_of(group)):
        notes = [
            "Cases are those whose names have the smallest SHA-256, so that nobody chose them."
        ]
        if group.runs[0].plan.decoding == "gold_length":
            notes.append(
                "What the model says is cut off after as many tokens as the answer has that it"
                " should give; a longer answer is seen in part."
            )
        yield Section("Examples", tuple(notes), tables=shown_cases)


def _beside_papers(group: Group) -> Iterator[Section]:
    names = group.recipe.published if group.recipe else ()
    known = [papers.read_published(name) for name in names if name in papers.published_names()]
    missing = [name for name in names if name not in papers.published_names()]
    told = list(papers.about(known))
    told += [f"There are no papers' figures named {name!r} here." for name in missing]
    shown = (papers.figures_table(group, known), papers.ranking_table(group, known))
    if told:
        yield Section("The papers' figures", tuple(told), tables=tuple(filter(None, shown)))


def _neurons(group: Group) -> Iterator[Section]:
    sets = tables.neuron_sets(group)
    chart, sizes = figures.layers(group, sets), tables.neurons(group, sets)
    if chart and sizes:
        drawn = ((chart, None), *overlap_figures(group))
        yield Section("Neurons", figures=drawn, tables=(sizes,))
