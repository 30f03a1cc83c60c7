"""Tables of a run: every metric by target language, its transfer, and how sure each number is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from memla.errors import DataError
from memla.evaluation.bootstrap import Bootstrap, Samples, interval, ratio
from memla.evaluation.results import CaseResult, Plan, RunFolder, Score, source_parts
from memla.records import Record

METRICS = ("ES", "PS", "NS", "QS", "EM", "POR")
"""In the order of the tables; POR is the F1 on portability probes."""

TRANSFER = "transfer"
"""The target that stands for the mean over the languages the edit was not made in."""


class Cell(Record):
    """One number of a table, in percent, with its 95 % interval."""

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

    def results(self) -> Iterator[CaseResult]:
        """Each case's result, once for each source."""
        seen: set[tuple[str, str]] = set()
        for result in self.folder.results() if self.folder is not None else self.kept:
            if (key := (result.case, result.source)) not in seen:
                seen.add(key)
                yield result

    def scores(self) -> Iterator[Score]:
        """Each metric of each probe of each case."""
        for result in self.results():
            yield from result.scores(self.plan)

    def failures(self) -> dict[str, str]:
        """Why cases failed, by case and source."""
        return {
            f"{result.case} ({result.source})": result.error
            for result in self.results()
            if result.error is not None
        }


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
    cases: set[str] = field(default_factory=set)

    def add(self, score: Score) -> None:
        self.cases.add(score.case)
        for values, value in ((self.after, score.value), (self.before, score.before)):
            by_case = values.setdefault(score.metric, {}).setdefault(score.target, {})
            by_case.setdefault(score.case, []).append(value)


def _collect(run: Run) -> dict[str, _Source]:
    sources = {source: _Source() for source in run.plan.source_languages}
    for score in run.scores():
        sources[score.source].add(score)
    return sources


def summarize(run: Run) -> list[Cell]:
    """The tables of a run.

    For each source and metric: a cell for each target and one for ``transfer``, the same before
    the edit with the suffix ``_before``, ``NS_retention`` (after by before) and ``NS_agreement``
    (prompts answered as before). What has no value has no cell.
    """
    cells: list[Cell] = []
    for source, values in _collect(run).items():
        if not values.cases:  # an unfinished run has not come to this source yet
            continue
        bootstrap = Bootstrap(sorted(values.cases), seed=run.plan.seed)
        after = _tables(values.after, source, run.plan, bootstrap)
        before = _tables(values.before, source, run.plan, bootstrap)
        for metric in METRICS:
            cells += _cells(metric, source, after.get(metric, {}))
            cells += _cells(f"{metric}_before", source, before.get(metric, {}))
        retained = {
            target: (ratio(samples, before["NS"][target][0]), count)
            for target, (samples, count) in after.get("NS", {}).items()
        }
        cells += _cells("NS_retention", source, retained)
        cells += _cells("NS_agreement", source, after.get("NS_agreement", {}))
    return cells


Table = dict[str, tuple[Samples, int]]
"""Target: draws of the number, and prompts behind it."""


def _tables(values: Values, source: str, plan: Plan, bootstrap: Bootstrap) -> dict[str, Table]:
    return {
        metric: _table(by_target, source, plan.target_languages, bootstrap)
        for metric, by_target in values.items()
    }


def _table(
    by_target: Mapping[str, Mapping[str, list[float]]],
    source: str,
    order: Sequence[str],
    bootstrap: Bootstrap,
) -> Table:
    table = {
        target: (
            bootstrap.mean(by_target[target]),
            sum(len(values) for values in by_target[target].values()),
        )
        for target in sorted(by_target, key=lambda target: (*order, target).index(target))
    }
    own = source_parts(source)
    others = [entry for target, entry in table.items() if target not in own]
    if others:
        mean: Samples = np.mean([samples for samples, _ in others], axis=0)
        table[TRANSFER] = mean, sum(count for _, count in others)
    return table


def _cells(metric: str, source: str, table: Table) -> Iterator[Cell]:
    for target, (samples, count) in table.items():
        if (found := interval(samples)) is not None:
            value, low, high = (round(100 * number, 4) for number in found)
            yield Cell(
                metric=metric,
                source=source,
                target=target,
                value=value,
                low=low,
                high=high,
                n=count,
            )


def compare(run: Run, baseline: Run) -> list[Cell]:
    """What one run has more than another, in points, paired by case.

    Only cases both have count; draws are the same for both, so the interval is of the difference.

    Raises:
        DataError: The runs have no case and source in common.
    """
    ours, theirs = _collect(run), _collect(baseline)
    cells: list[Cell] = []
    for source in [source for source in ours if source in theirs]:
        common = sorted(ours[source].cases & theirs[source].cases)
        if not common:
            continue
        bootstrap = Bootstrap(common, seed=run.plan.seed)
        tables = [
            _tables(_only(values[source].after, common), source, run.plan, bootstrap)
            for values in (ours, theirs)
        ]
        for metric in (*METRICS, "NS_agreement"):
            first, second = (table.get(metric, {}) for table in tables)
            cells += _cells(
                metric,
                source,
                {
                    target: (first[target][0] - second[target][0], first[target][1])
                    for target in first
                    if target in second
                },
            )
    if not cells:
        raise DataError("the two runs have no case in common", hint="compare the same benchmark")
    return cells


def _only(values: Values, cases: Sequence[str]) -> Values:
    wanted = set(cases)
    return {
        metric: {
            target: {case: found for case, found in by_case.items() if case in wanted}
            for target, by_case in by_target.items()
        }
        for metric, by_target in values.items()
    }
