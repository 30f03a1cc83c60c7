"""What a report takes from a run folder, in one pass over its cases."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from memla.errors import DataError
from memla.evaluation.downstream.reading import read_downstream
from memla.evaluation.downstream.scores import DownstreamScore
from memla.evaluation.observations import Observation
from memla.evaluation.protocols.base import STAYS
from memla.evaluation.results import CaseResult, Plan, RunFolder
from memla.evaluation.summary import Cell, Collected, Run, collect, summarize
from memla.facts import ProbeKind
from memla.records import read_text
from memla.reports.neuron_sums import NeuronSums

EXAMPLES = 2
"""Example cases of a run, unless the user wants another number."""

MEASURED_BY = (
    *("protocol", "decoding", "answer_score", "f1_units", "f1_tokenizer_digest"),
    "question_prefixes",
)
"""What has to be the same for two numbers of one name to be of one metric."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question in one language and what the model said to it before and after the edit."""

    language: str
    question: str
    right: str
    """The answer it should have after the edit."""
    other: str
    """The answer that competes with it; empty if there is none."""
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Example:
    """One edited case: the fact and a neighbour, asked in every language."""

    case: str
    source: str
    edited: tuple[Answered, ...]
    neighbors: tuple[Answered, ...]


@dataclass(slots=True)
class Seen:
    """What is noted of cases while they pass by."""

    wanted: int = EXAMPLES
    cases: Counter[str] = field(default_factory=Counter)
    """Cases by source, failed ones among them."""
    seconds: list[float] = field(default_factory=list)
    """Of each edit that was made."""
    sizes: list[int] = field(default_factory=list)
    """Numbers in each edit, where it tells."""
    neurons: dict[str, NeuronSums] = field(default_factory=dict)
    """By source, what edits tell of the neurons they changed."""
    after_all: Counter[str] = field(default_factory=Counter)
    """Cases by source that were looked at after all edits of their sequence."""
    resolved: dict[str, float] = field(default_factory=dict)
    """Numbers that the first edit says it was made with, some of which a plan leaves to it."""
    is_custom: bool = False
    """Whether edits say that their settings are not those of a preset."""
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    """Case, source and reason."""
    examples: list[tuple[str, Example]] = field(default_factory=list)

    def note(self, result: CaseResult) -> None:
        """Note one case."""
        self.cases[result.source] += 1
        if result.error is not None:
            self.failures.append((result.case, result.source, result.error))
            return
        self.seconds.append(result.seconds)
        self.is_custom = self.is_custom or result.edit.get("preset") == "custom"
        if isinstance(size := result.edit.get("n_values"), int):
            self.sizes.append(size)
        if isinstance(neurons := result.edit.get("neurons"), dict):
            self.neurons.setdefault(result.source, NeuronSums()).add(neurons)
        self.resolved = self.resolved or _numbers(result.edit)
        self._consider(result)

    def _consider(self, result: CaseResult) -> None:
        """Keep the cases whose names have the smallest hashes.

        So nobody chose them, and they are the same in every run of a benchmark.
        """
        order = hashlib.sha256(f"{result.case}\x1f{result.source}".encode()).hexdigest()
        if self.wanted and (len(self.examples) < self.wanted or order < self.examples[-1][0]):
            self.examples.append((order, _example(result)))
            self.examples.sort(key=lambda found: found[0])
            del self.examples[self.wanted :]


@dataclass(frozen=True, slots=True)
class _Watched(Run):
    """A run that shows its cases to somebody else on their way to the tables."""

    seen: Seen = field(default_factory=Seen)

    def results(self) -> Iterator[CaseResult]:
        for result in Run.results(self):
            self.seen.note(result)
            yield result

    def after_all(self) -> Iterator[CaseResult]:
        for result in Run.after_all(self):
            self.seen.after_all[result.source] += 1
            yield result


@dataclass(frozen=True, slots=True)
class RunReading:
    """All that a report needs of one run."""

    path: Path
    plan: Plan
    cells: tuple[Cell, ...]
    seen: Seen
    environment: dict[str, str]
    wanted: int
    """Cases that there have to be in each source, once the run is finished."""
    downstream: tuple[DownstreamScore, ...] = ()
    """What was measured beside the edited facts."""
    collected: Collected | None = None
    """All values, where the run is to be compared with others."""

    @property
    def is_unfinished(self) -> bool:
        """Whether a source is unfinished."""
        return any(map(self.is_unfinished_in, self.plan.source_languages))

    def is_unfinished_in(self, source: str) -> bool:
        """Whether a source has fewer cases than it has to have, now or after all edits."""
        moments = [self.seen.cases]
        moments += [self.seen.after_all] if self.plan.mode == "sequential" else []
        return any(cases[source] < self.wanted for cases in moments)


def read_for_report(
    path: Path, *, examples: int = EXAMPLES, keep_values: bool = False
) -> RunReading:
    """Read a run's folder once, from its first case to its last whole one.

    Args:
        path: The folder.
        examples: Example cases to keep.
        keep_values: Whether the run is to be compared with others.

    Raises:
        DataError: The folder is no run, or a file in it is damaged.
    """
    folder = RunFolder(path)
    run = _Watched(folder.plan(), folder, seen=Seen(examples))
    collected = collect(run)
    return RunReading(
        path=path,
        plan=run.plan,
        cells=tuple(summarize(collected)),
        seen=run.seen,
        environment={str(k): str(v) for k, v in _json(path / "environment.json", {}).items()},
        wanted=_wanted(run.plan, run.seen, _json(path / "case_ids.json", [])),
        downstream=tuple(read_downstream(run)),
        collected=collected if keep_values else None,
    )


def _wanted(plan: Plan, seen: Seen, case_ids: list[object]) -> int:
    """How many cases each source has to have.

    Runs of earlier versions do not list them: there it is what the plan's limit or another source
    lets expect.
    """
    return len(case_ids) or max(plan.limit or 1, *seen.cases.values(), 1)


def _numbers(edit: dict[str, Any]) -> dict[str, float]:
    """Numbers in the description of an edit, those of its value settings among them."""
    values = edit.get("value_settings")
    every = edit | (values if isinstance(values, dict) else {})
    return {
        name: float(value)
        for name, value in every.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def check_measured_alike(
    plans: Iterable[tuple[str, Plan]], *, hint: str = "make a report for each of them"
) -> None:
    """Refuse runs whose numbers have the same names and another meaning.

    Args:
        plans: Of each run its name and its plan.
        hint: What to do instead.

    Raises:
        DataError: Two runs follow different protocols, or compute metrics differently.
    """
    every = list(plans)
    for name, plan in every[1:]:
        for key in MEASURED_BY:
            here, there = getattr(every[0][1], key), getattr(plan, key)
            if here != there:
                raise DataError(
                    f"{every[0][0]!r} and {name!r} cannot stand in one table:"
                    f" {key} is {here!r} and {there!r}",
                    hint=hint,
                )


JsonType = TypeVar("JsonType", dict[str, object], list[object])


def _json(path: Path, otherwise: JsonType) -> JsonType:
    """What a JSON file holds; something else where there is no such file, or of another type."""
    if not path.exists():
        return otherwise
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON: {error.msg}") from None
    return value if isinstance(value, type(otherwise)) else otherwise


def _example(result: CaseResult) -> Example:
    pairs = list(zip(result.before, result.after or (), strict=False))
    edited = _by_language(pairs, frozenset({ProbeKind.EDIT}))
    return Example(result.case, result.source, edited, _by_language(pairs, STAYS))


def _by_language(
    pairs: Iterable[tuple[Observation, Observation]], kinds: frozenset[ProbeKind]
) -> tuple[Answered, ...]:
    """The first question of these kinds in each language."""
    found: dict[str, Answered] = {}
    for before, after in pairs:
        probe = after.probe
        if probe.kind in kinds and probe.language not in found:
            found[probe.language] = Answered(
                language=probe.language,
                question=probe.prompt,
                right=probe.answer,
                other=probe.contrast or "",
                before=_said(before),
                after=_said(after),
            )
    return tuple(found.values())


def _said(observation: Observation) -> str:
    return (observation.predicted or observation.forced).strip()
