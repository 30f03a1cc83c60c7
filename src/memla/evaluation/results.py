"""What an evaluation writes and reads: results of cases, scores, run folders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from memla.errors import DataError
from memla.evaluation.downstream.scores import Checkpoint
from memla.evaluation.locks import HeldElsewhereError, locked
from memla.evaluation.observations import Observation
from memla.evaluation.plans import JOINT, Plan, source_parts
from memla.evaluation.protocols import Finding, Seen
from memla.evaluation.record_files import append_records, drop_unfinished_line, read_records
from memla.evaluation.shards import Shard
from memla.facts import ProbeKind
from memla.records import Record, parse_record, read_text, write_atomically

__all__ = [
    "AFTER_ALL",
    "JOINT",
    "CaseResult",
    "FileName",
    "Plan",
    "RunFolder",
    "Score",
    "source_parts",
]

FileName = Literal["cases", "after_all", "downstream"]
"""Files of a run that grow while it goes on."""

AFTER_ALL = "_after_all"
"""Ends the names of metrics that were measured once more when all edits of a sequence were made."""


class Score(Record):
    """One metric of one probe of one edited case, or of several probes that are one test."""

    case: str
    probe: int | None
    """Position among the case's observations; None: the metric is of several."""
    kind: ProbeKind
    source: str
    target: str
    protocol: str = "mkeb"
    metric: str
    value: float
    """After the edit: in [0, 1], or in [-1, 1] where it is a difference of probabilities."""
    before: float
    """Before it."""


class CaseResult(Record):
    """What was observed of one case, edited in one source."""

    case: str
    source: str
    seconds: float
    """Time the editor took; of an edit of several cases, an equal share."""
    group: str | None = None
    """First case of the group, where the plan's mode has groups. The description of an edit of
    several cases stands there alone."""
    position: int = 0
    """Place in the group, from 0."""
    is_after_all: bool = False
    """Whether it was looked at when all edits of a sequence were made, not right after its own."""
    error: str | None = None
    """Why the case failed, if it did."""
    edit: dict[str, Any] = Field(default_factory=dict)
    """The edit's own description."""
    before: tuple[Observation, ...] = ()
    after: tuple[Observation, ...] | None = None
    """None when the edited model could not be observed. Where no edit could be made this equals
    ``before``: the model stayed as it was, which in a sequence is as earlier edits left it.
    Conditions are asked before the edit alone, and stand here as they were."""

    def findings(self, plan: Plan) -> Iterator[Finding]:
        """Each value that the plan's protocol computes of the case."""
        if self.after is None:
            return
        pairs = zip(self.before, self.after, strict=True)
        seen = [Seen(number, before, after) for number, (before, after) in enumerate(pairs)]
        yield from plan.definition().findings(seen, plan)

    def scores(self, plan: Plan) -> Iterator[Score]:
        """The same with all that says what it is of."""
        moment = AFTER_ALL if self.is_after_all else ""
        for found in self.findings(plan):
            yield Score(
                case=self.case,
                probe=found.number,
                kind=found.kind,
                source=self.source,
                target=found.target,
                protocol=plan.protocol,
                metric=found.metric + moment,
                value=found.value,
                before=found.before,
            )


class RunFolder:
    """The files of one run; it can be left at any moment and taken up again.

    ``plan.json``, ``case_ids.json`` and ``environment.json`` are written first and whole;
    ``cases.jsonl`` grows by a line with every case, ``after_all.jsonl`` by what a case is like at
    the end of a sequence, and ``downstream.jsonl`` by what edits did to everything else. A shard
    has its own, such as ``cases-2-of-7.jsonl``; all are read.

    Args:
        path: The folder.
        shard: The part that is written; None: the whole, or what shards have left of it.
    """

    def __init__(self, path: Path, shard: Shard | None = None) -> None:
        self.path = path
        self._suffix = "" if shard is None else f"-{shard}"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Keep other processes from this run, or this shard of it, inside the ``with`` block.

        Raises:
            HeldElsewhereError: Another process is at work on it.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / ".lock", shared=bool(self._suffix)))
                if self._suffix:
                    stack.enter_context(locked(self.path / f".lock{self._suffix}"))
            except HeldElsewhereError as error:
                raise HeldElsewhereError(
                    error.message, hint="wait until it ends; --shard lets several work on one run"
                ) from None
            yield

    def start(
        self, plan: Plan, environment: dict[str, str], case_ids: Sequence[str] = ()
    ) -> set[tuple[str, str]]:
        """Make the folder, or take it up again; give case and source of what is finished.

        Raises:
            DataError: The folder belongs to another plan or cannot be read or written.
        """
        there = self.path / "plan.json"
        if there.exists() and self.plan() != plan:
            raise DataError(f"{str(self.path)!r} holds a run of another plan", hint="name another")
        for name, value in (
            ("plan.json", plan.model_dump(mode="json")),
            ("environment.json", environment),
            ("case_ids.json", list(case_ids)),
        ):
            if not (self.path / name).exists():
                write_atomically(self.path / name, _indented(value))
        for file in get_args(FileName):
            drop_unfinished_line(self._file(file))
        return {(result.case, result.source) for result in self.results()}

    def plan(self) -> Plan:
        """The plan of the run.

        Raises:
            DataError: The folder is no run.
        """
        path = self.path / "plan.json"
        try:
            value = json.loads(read_text(path))
        except json.JSONDecodeError as error:
            raise DataError(f"{path}: not JSON: {error.msg}") from None
        return parse_record(Plan, value, str(path))

    def results(self) -> Iterator[CaseResult]:
        """The finished cases, in the order they were finished, one in memory at a time."""
        for path in self.files("cases"):
            yield from read_records(path, CaseResult)

    def after_all(self) -> Iterator[CaseResult]:
        """The cases once more, as they were when all edits of their sequence were made."""
        for path in self.files("after_all"):
            yield from read_records(path, CaseResult)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """What was measured beside the edited facts."""
        for path in self.files("downstream"):
            yield from read_records(path, Checkpoint)

    def append(self, result: CaseResult | Checkpoint) -> None:
        """Add a finished case, or a finished look at everything else."""
        if isinstance(result, Checkpoint):
            append_records(self._file("downstream"), [result])
        else:
            append_records(self._file("after_all" if result.is_after_all else "cases"), [result])

    def files(self, name: FileName) -> list[Path]:
        """The files of that name: of the whole and of its shards."""
        return sorted(self.path.glob(f"{name}*.jsonl"))

    def _file(self, name: str) -> Path:
        return self.path / f"{name}{self._suffix}.jsonl"


def _indented(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
