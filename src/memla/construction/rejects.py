"""What was rejected, why, and how often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from memla.construction.guidelines import Reason
from memla.records import Record, Text


class Reject(Record):
    """One reason for which a text was rejected."""

    edit: str
    """Identifier of the edit."""
    language: str
    stage: str
    """``filter`` or ``translate``."""
    attempt: int = 1
    """Which attempt at the text it was, from 1."""
    excluded: bool
    """Whether the text was given up, and with it what needs it; otherwise it was made again."""
    check: str
    field: str
    """Which text."""
    text: Text
    reason: Text
    """What is wrong, and what is wanted."""


class Tally(Record):
    """How often a check passed in a language."""

    language: str
    check: str
    passed: int
    failed: int


def rejected(
    reasons: Iterable[Reason],
    edit: str,
    language: str,
    stage: str,
    *,
    attempt: int = 1,
    excluded: bool,
) -> list[Reject]:
    """Entries of the log for the reasons that stood against a text."""
    return [
        Reject(
            edit=edit,
            language=language,
            stage=stage,
            attempt=attempt,
            excluded=excluded,
            check=reason.check,
            field=reason.field,
            text=reason.text,
            reason=f"{reason.found}; wanted: {reason.wanted}",
        )
        for reason in reasons
    ]


def by_frequency(found: Mapping[str, int]) -> dict[str, int]:
    """Counts, the most frequent first."""
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
