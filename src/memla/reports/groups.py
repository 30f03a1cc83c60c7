"""Which runs stand in one table, and which are one method there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from memla.bundled import MODELS
from memla.evaluation.protocols import Protocol
from memla.evaluation.recipes import RecipeRun
from memla.evaluation.results import AFTER_ALL, JOINT
from memla.evaluation.summary import TRANSFER, Cell
from memla.reports.labels import labels
from memla.reports.reading import MEASURED_BY, RunReading

MINI_NOTE = "a small model of 5 M parameters that we trained; it tests methods"
"""What stands beside the name of our own model, wherever its figures do."""

NOT_THE_METHOD = {"source_languages", "target_languages", "limit", "cases_digest"}
"""Parts of a plan in which the runs of one method may differ."""

SHOWN_LACKING = 8
"""Runs that are not there yet which are named."""


@dataclass(frozen=True, slots=True)
class Method:
    """An editor with its settings, and all runs of it; no source is in two of them."""

    label: str
    runs: tuple[RunReading, ...]
    cells: Mapping[tuple[str, str, str], Cell]
    """Numbers by metric, source and target."""

    @classmethod
    def of(cls, label: str, runs: Iterable[RunReading]) -> Method:
        """The method of some runs."""
        kept = tuple(runs)
        cells = {(c.metric, c.source, c.target): c for run in kept for c in run.cells}
        return cls(label, kept, cells)

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources with results, in the runs' order."""
        return tuple(
            dict.fromkeys(
                source
                for run in self.runs
                for source in run.plan.source_languages
                if run.seen.cases[source]
            )
        )

    def cell(self, metric: str, source: str, target: str) -> Cell | None:
        """One number; None where there is none."""
        return self.cells.get((metric, source, target))

    def runs_in(self, source: str) -> list[RunReading]:
        """Runs that edit in a source."""
        return [run for run in self.runs if source in run.plan.source_languages]

    def is_unfinished(self, source: str) -> bool:
        """Whether cases of a source are still to come."""
        return any(run.is_unfinished_in(source) for run in self.runs_in(source))

    def cases(self, source: str) -> str:
        """How many cases were edited in a source: ``200``, or ``5 of 200``."""
        runs = self.runs_in(source)
        there, wanted = sum(r.seen.cases[source] for r in runs), sum(r.wanted for r in runs)
        return f"{there} of {wanted}" if there < wanted else str(there)


@dataclass(frozen=True, slots=True)
class Group:
    """Methods on one model and one benchmark, measured alike: what a table may hold."""

    methods: tuple[Method, ...]
    recipe: RecipeRun | None = None
    """What they were made for, if it was for a recipe."""
    lacking: tuple[str, ...] = ()
    """Runs of the recipe that are not there yet."""
    heading: str = ""
    """Its name, if that is not what it was measured on."""

    @property
    def runs(self) -> tuple[RunReading, ...]:
        """All runs."""
        return tuple(run for method in self.methods for run in method.runs)

    @property
    def protocol(self) -> Protocol:
        """What was asked and computed."""
        return self.runs[0].plan.definition()

    @property
    def title(self) -> str:
        """What it is called: by the recipe, or by model and benchmark."""
        return self.heading or self.subject

    @property
    def subject(self) -> str:
        """Model and benchmark."""
        plan = self.runs[0].plan
        return f"{plan.model} on {Path(plan.benchmark).name}, {plan.split}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said before its first section."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if self.recipe is None:
            return
        if self.recipe.about:
            yield self.recipe.about
        yield f"Measured: {self.subject}."
        if missing := [one for one in self.recipe.metrics if one not in self.metrics]:
            yield f"Metrics of this recipe that no run has a value of: {', '.join(missing)}."
        if self.lacking:
            names = "; ".join(self.lacking[:SHOWN_LACKING])
            more = len(self.lacking) - SHOWN_LACKING
            rest = f"; and {more} more" if more > 0 else ""
            yield f"Runs of this recipe that are not there yet: {names}{rest}."

    @property
    def provenance(self) -> str:
        """What every caption says: protocol, model, benchmark and split."""
        plan = self.runs[0].plan
        model = f"model {plan.model}" + (f" ({MINI_NOTE})" if is_ours(plan.model) else "")
        data = f"benchmark {Path(plan.benchmark).name}, split {plan.split}"
        return f"Protocol {plan.protocol}, {model}, {data}"

    @property
    def targets(self) -> tuple[str, ...]:
        """Languages that were looked at, in the order of the runs."""
        return tuple(dict.fromkeys(t for run in self.runs for t in run.plan.target_languages))

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources with results: those of the targets' order first, the largest joint edit last."""
        found = {source for method in self.methods for source in method.sources}
        known = [target for target in self.targets if target in found]
        joint = sorted(found - set(known), key=lambda source: (source.count(JOINT), source))
        return (*known, *joint)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The columns of the tables that have numbers: the recipe's first, then the protocol's."""
        there = {cell.metric for run in self.runs for cell in run.cells}
        names = (*(self.recipe.metrics if self.recipe else ()), *self.protocol.metrics)
        wanted = dict.fromkeys(name + moment for name in names for moment in ("", AFTER_ALL))
        return tuple(metric for metric in wanted if metric in there)

    def transferred(self, source: str) -> tuple[str, ...]:
        """Metrics known of languages that an edit in a source was not made in."""
        cells = (cell for run in self.runs for cell in run.cells)
        there = {c.metric for c in cells if c.source == source and c.target == TRANSFER}
        return tuple(metric for metric in self.metrics if metric in there)


def is_ours(model: str) -> bool:
    """Whether a model is one of those that come with the package."""
    path = Path(model)
    return model in MODELS or (path.name in MODELS and path.parent.name == "bundled")


def group_runs(runs: Iterable[RunReading]) -> list[Group]:
    """Runs by model and benchmark, and within these by method, in the order they were given."""
    grouped: dict[tuple[str, ...], list[RunReading]] = {}
    for run in runs:
        grouped.setdefault(_table(run), []).append(run)
    return [Group(_methods(members)) for members in grouped.values()]


def group_recipe(recipe: RecipeRun, runs: Mapping[str, RunReading]) -> list[Group]:
    """The runs of a recipe by the names of its variants, one group for what one table may hold.

    Args:
        recipe: Which variants it has.
        runs: Those of its runs that are there, by the names of their folders.
    """
    grouped: dict[tuple[str, ...], dict[str, dict[str, RunReading]]] = {}
    for entry in recipe.entries:
        if (run := runs.get(entry.run)) is not None:
            key = (*_table(run), *(str(getattr(run.plan, name)) for name in MEASURED_BY))
            grouped.setdefault(key, {}).setdefault(entry.variant, {})[entry.run] = run
    lacking = tuple(f"{e.variant} ({e.source})" for e in recipe.entries if e.run not in runs)
    groups = [
        Group(
            tuple(Method.of(name, members.values()) for name, members in variants.items()),
            recipe,
            lacking,
            recipe.title,
        )
        for variants in grouped.values()
    ]
    if len(groups) == 1:
        return groups
    return [replace(one, heading=f"{recipe.title}: {one.subject}") for one in groups]


def _table(run: RunReading) -> tuple[str, ...]:
    """What has to be the same for two runs to stand in one table."""
    plan = run.plan
    return plan.model, str(plan.model_fingerprint), plan.benchmark, plan.split


def _methods(runs: Sequence[RunReading]) -> tuple[Method, ...]:
    alike: dict[str, list[RunReading]] = {}
    for run in runs:
        alike.setdefault(_method_of(run), []).append(run)
    joined = [one for members in alike.values() for one in _joined(members)]
    joined.sort(key=lambda members: runs.index(members[0]))
    names = labels([members[0] for members in joined])
    return tuple(Method.of(name, one) for name, one in zip(names, joined, strict=True))


def _joined(runs: Sequence[RunReading]) -> list[list[RunReading]]:
    """Runs with the same settings, those that were edited in different languages together.

    Where a language comes twice, only runs of the same cases are: which of the others belong to
    which cannot be known.
    """
    sources = [source for run in runs for source in run.plan.source_languages]
    is_clear = len(sources) == len(set(sources))
    joined: list[list[RunReading]] = []
    for run in runs:
        fitting = (
            members
            for members in joined
            if all(_belong_together(run, other, is_clear=is_clear) for other in members)
        )
        if (found := next(fitting, None)) is not None:
            found.append(run)
        else:
            joined.append([run])
    return joined


def _belong_together(one: RunReading, other: RunReading, *, is_clear: bool) -> bool:
    same_cases = one.plan.cases_digest == other.plan.cases_digest
    return not set(one.plan.source_languages) & set(other.plan.source_languages) and (
        same_cases or (is_clear and one.plan.limit != other.plan.limit)
    )


def _method_of(run: RunReading) -> str:
    content = run.plan.model_dump(mode="json", exclude=NOT_THE_METHOD)
    return json.dumps(content, sort_keys=True)
