"""What was measured beside the edited facts, as it is stored; reading it needs no model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from memla.records import Record

Measure = Literal["perplexity", "drift", "task"]


class Measured(Record):
    """One number about the edited model, beside the same about the unedited one."""

    measure: Measure
    task: str | None = None
    """Name of lm-eval's task, where it is of one."""
    language: str | None = None
    """Language of the texts or facts; None where it is of a task."""
    metric: str
    """``perplexity`` and ``bits_per_byte`` of text. ``kl`` in nats and ``first_token_kept`` in
    [0, 1] of drift. Of a task what lm-eval calls it, with the filter if it has one."""
    value: float | None
    """With the edits; None: it cannot be measured any more."""
    before: float | None
    """Without."""
    n: int
    """Texts, prompts or documents behind it."""
    stderr: float | None = None
    """Standard error of the value, where it has one."""
    error: str | None = None
    """Why there is no value."""


class Checkpoint(Record):
    """All that was measured after some edits of one group."""

    source: str
    """Language of the edits."""
    group: str
    """First case of the group."""
    edits: int
    """Cases of the group up to here."""
    failed: int = 0
    """How many of them could not be edited."""
    seconds: float = 0.0
    """Time it took to measure."""
    measured: tuple[Measured, ...]

    @property
    def key(self) -> tuple[str, str, int]:
        """Group, source and number of edits; no two checkpoints of a run share them."""
        return self.group, self.source, self.edits

    def scores(self) -> Iterator[DownstreamScore]:
        """One row for each number."""
        for one in self.measured:
            yield DownstreamScore(
                source=self.source,
                group=self.group,
                edits=self.edits,
                failed=self.failed,
                **one.model_dump(),
            )


class DownstreamScore(Measured):
    """One number of one checkpoint, with everything that says what it is of."""

    source: str
    """Language of the edits."""
    group: str
    """First case of the group that was edited."""
    edits: int
    """Cases of the group up to here; of a batch, all of it."""
    failed: int = 0
    """How many of them could not be edited."""
