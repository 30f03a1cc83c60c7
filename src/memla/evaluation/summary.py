"""Tables of a run: every metric by target language, its transfer, and how sure each number is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import fmean

import numpy as np

from memla.errors import DataError
from memla.evaluation.bootstrap import Bootstrap, Samples, interval
from memla.evaluation.derivation import Table, derive
from memla.evaluation.downstream.scores import Checkpoint
from memla.evaluation.protocols import Finding, Protocol
from memla.evaluation.results import AFTER_ALL, CaseResult, Plan, RunFolder, Score, source_parts
from memla.records import Record

TRANSFER = "transfer"
"""The target that stands for the mean over the languages the edit was not made in."""

BEFORE = "_before"
"""Ends the names of metrics of the unedited model."""


class Cell(Record):
    """One number of a table, in percent, with its 95 % interval."""

    protocol: str = "mkeb"
    metric: str
    source: str
    target: str
    value: float
    low: float
    high: float
    n: int
    """Prompts behind the number."""


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation that was made: its plan and what came of it."""

    plan: Plan
    folder: RunFolder | None = None
    kept: tuple[CaseResult, ...] = ()
    """The results, where there is no folder."""
    kept_checkpoints: tuple[Checkpoint, ...] = ()
    """What was measured beside the edited facts, where there is no folder."""

    def results(self) -> Iterator[CaseResult]:
        """Each case's result right after its edit, once for each source."""
        kept = (one for one in self.kept if not one.is_after_all)
        yield from _once_each(self.folder.results() if self.folder is not None else kept)

    def after_all(self) -> Iterator[CaseResult]:
        """The same after all edits of a sequence; nothing where the plan's mode has none."""
        kept = (one for one in self.kept if one.is_after_all)
        yield from _once_each(self.folder.after_all() if self.folder is not None else kept)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """What was measured beside the edited facts, each once."""
        there = self.kept_checkpoints if self.folder is None else self.folder.checkpoints()
        yield from {one.key: one for one in there}.values()

    def scores(self) -> Iterator[Score]:
        """Each metric of each probe of each case; those after all edits end with ``AFTER_ALL``."""
        for result in chain(self.results(), self.after_all()):
            yield from result.scores(self.plan)

    def failures(self) -> dict[str, str]:
        """Why cases failed, by case and source."""
        return {
            f"{result.case} ({result.source})": result.error
            for result in self.results()
            if result.error is not None
        }


def _once_each(results: Iterable[CaseResult]) -> Iterator[CaseResult]:
    seen: set[tuple[str, str]] = set()
    for result in results:
        if (key := (result.case, result.source)) not in seen:
            seen.add(key)
            yield result


def read_run(folder: str | Path) -> Run:
    """A run from its folder; needs no model.

    Raises:
        DataError: The folder is no run.
    """
    path = RunFolder(Path(folder))
    return Run(path.plan(), path)


Values = dict[str, dict[str, dict[str, list[float]]]]
"""Metric, target, case: one value for each prompt."""


@dataclass(slots=True)
class _Source:
    """Values of one source language."""

    after: Values = field(default_factory=dict)
    before: Values = field(default_factory=dict)
    after_all: Values = field(default_factory=dict)
    cases: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    """Cases that were looked at after all edits too."""

    def add(self, result: CaseResult, findings: Iterable[Finding]) -> None:
        case, is_late = result.case, result.is_after_all
        for found in findings:
            (self.later if is_late else self.cases).add(case)
            _put(self.after_all if is_late else self.after, found, case, found.value)
            if not is_late:
                _put(self.before, found, case, found.before)


def _put(values: Values, found: Finding, case: str, value: float) -> None:
    by_case = values.setdefault(found.metric, {}).setdefault(found.target, {})
    by_case.setdefault(case, []).append(value)


@dataclass(frozen=True, slots=True)
class Collected:
    """Every value of a run: what tables and differences are made of without reading it again."""

    plan: Plan
    by_source: Mapping[str, _Source]


def collect(run: Run) -> Collected:
    """Read the scores of a run once, for several tables or comparisons."""
    sources = {source: _Source() for source in run.plan.source_languages}
    for result in chain(run.results(), run.after_all()):
        sources[result.source].add(result, result.findings(run.plan))
    return Collected(run.plan, sources)


def _collected(run: Run | Collected) -> Collected:
    return run if isinstance(run, Collected) else collect(run)


def summarize(run: Run | Collected) -> list[Cell]:
    """The tables of a run.

    For each source and metric: a cell for each target, one for ``transfer``, one named like the
    source for the mean over the languages of a joint edit, and the same before the edit with the
    suffix ``_before``, unless the metric compares the two, and after all edits of a sequence with
    the suffix ``AFTER_ALL``. The metrics of the protocol's tables come first, in its order.
    """
    cells: list[Cell] = []
    for source, values in _collected(run).by_source.items():
        if not values.cases:  # an unfinished run has not come to this source yet
            continue
        bootstrap = Bootstrap(sorted(values.cases), seed=run.plan.seed)
        tables = _at_each_moment(values, source, run.plan, bootstrap)
        for metric in _in_order(tables[""], run.plan.definition()):
            for moment, found in tables.items():
                if metric in found:
                    cells += _cells(run.plan, metric + moment, source, found[metric])
    return cells


def _in_order(metrics: Iterable[str], protocol: Protocol) -> list[str]:
    first = [metric for metric in protocol.metrics if metric in metrics]
    return [*first, *sorted(set(metrics) - set(first))]


def _at_each_moment(
    values: _Source, source: str, plan: Plan, bootstrap: Bootstrap
) -> dict[str, dict[str, Table]]:
    """Tables of every metric after the edit, before it, and after all edits of a sequence.

    The keys are the suffixes of the metrics' names.
    """
    protocol = plan.definition()
    after, before, later = (
        {metric: _table(by_target, source, plan, bootstrap) for metric, by_target in found.items()}
        for found in (values.after, values.before, values.after_all)
    )
    first = before | derive(protocol.derived, before, None)
    return {
        "": after | derive(protocol.derived, after, before),
        BEFORE: {name: one for name, one in first.items() if name not in protocol.relative},
        AFTER_ALL: later | derive(protocol.derived, later, before) if later else {},
    }


def _table(
    by_target: Mapping[str, dict[str, list[float]]], source: str, plan: Plan, bootstrap: Bootstrap
) -> Table:
    order, is_macro = plan.target_languages, plan.definition().is_macro
    table = {
        target: (
            bootstrap.mean(_once(by_target[target]) if is_macro else by_target[target]),
            sum(len(values) for values in by_target[target].values()),
        )
        for target in sorted(by_target, key=lambda target: (*order, target).index(target))
    }
    own = source_parts(source)
    others = [entry for target, entry in table.items() if target not in own]
    joint = [table[target] for target in own if target in table and len(own) > 1]
    for name, entries in ((TRANSFER, others), (source, joint)):
        if entries:
            mean: Samples = np.mean([samples for samples, _ in entries], axis=0)
            table[name] = mean, sum(count for _, count in entries)
    return table


def _once(by_case: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """One value for each case: the mean of its own."""
    return {case: [fmean(values)] for case, values in by_case.items() if values}


def _cells(plan: Plan, metric: str, source: str, table: Table) -> Iterator[Cell]:
    for target, (samples, count) in table.items():
        if (found := interval(samples)) is not None:
            value, low, high = (round(100 * number, 4) for number in found)
            yield Cell(
                protocol=plan.protocol,
                metric=metric,
                source=source,
                target=target,
                value=value,
                low=low,
                high=high,
                n=count,
            )


def compare(run: Run | Collected, baseline: Run | Collected) -> list[Cell]:
    """What one run has more than another, in points, paired by case.

    Only cases and languages both have count. Draws are paired: the interval is the difference's.
    Two sequences are also compared after all of their edits, under names with ``AFTER_ALL``.

    Raises:
        DataError: The runs have no case and source in common, or follow different protocols.
    """
    if run.plan.protocol != baseline.plan.protocol:
        names = f"{run.plan.protocol!r} and {baseline.plan.protocol!r}"
        raise DataError(
            f"the two runs follow different protocols: {names}",
            hint="metrics of one name differ between protocols; compare runs of one",
        )
    ours, theirs = _collected(run).by_source, _collected(baseline).by_source
    unshared = set(run.plan.target_languages) ^ set(baseline.plan.target_languages)
    cells: list[Cell] = []
    for source in [source for source in ours if source in theirs]:
        pair = (ours[source], theirs[source])
        common, later = (pair[0].cases & pair[1].cases), (pair[0].later & pair[1].later)
        if not common:
            continue
        bootstrap = Bootstrap(sorted(common), seed=run.plan.seed)
        first, second = (
            _at_each_moment(_only(values, common, later, unshared), source, run.plan, bootstrap)
            for values in pair
        )
        for metric in _in_order(first[""].keys() & second[""].keys(), run.plan.definition()):
            for moment in ("", AFTER_ALL):
                table = _less(first[moment].get(metric, {}), second[moment].get(metric, {}))
                cells += _cells(run.plan, metric + moment, source, table)
    if not cells:
        raise DataError("the two runs have no case in common", hint="compare the same benchmark")
    return cells


def _less(table: Table, other: Table) -> Table:
    """One table minus another, where both have a number."""
    return {
        target: (samples - other[target][0], count)
        for target, (samples, count) in table.items()
        if target in other
    }


def _only(values: _Source, cases: set[str], later: set[str], unshared: set[str]) -> _Source:
    if values.cases == cases and values.later <= later and not unshared:
        return values
    moments = ((values.after, cases), (values.before, cases), (values.after_all, cases & later))
    after, before, after_all = (
        {
            metric: {
                target: {case: found for case, found in by_case.items() if case in wanted}
                for target, by_case in by_target.items()
                if target not in unshared
            }
            for metric, by_target in one.items()
        }
        for one, wanted in moments
    )
    return _Source(after, before, after_all, cases)
