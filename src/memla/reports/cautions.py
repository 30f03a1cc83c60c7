"""What to know before two rows of a table are compared: which of them were not made alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from memla.reports.groups import Group, Method
from memla.reports.tables import source_name


def unfinished(group: Group) -> tuple[str, ...]:
    """Which runs have cases to come."""
    return tuple(
        f"{method.label} ({run.path.name}) is unfinished: its numbers are of the cases there are."
        for method in group.methods
        for run in method.runs
        if run.is_unfinished
    )


def cautions(group: Group) -> Iterator[str]:
    """In what the methods of a table differ beside their editors: cases, and languages asked in."""
    unlike = [source_name(s) for s in group.sources if _differ(group, s, _cases)]
    if unlike:
        yield (
            f"Not all editors have the same cases, edited in {', '.join(unlike)}: rows may differ"
            " for that reason, too. `memla compare` takes the cases that two runs share."
        )
    unlike = [source_name(s) for s in group.sources if _differ(group, s, _asked)]
    if unlike:
        yield (
            f"Not all editors were asked in the same languages, edited in {', '.join(unlike)}:"
            " means over the other languages are of different languages, and not comparable."
        )


def _differ(group: Group, source: str, of: Callable[[Method, str], object]) -> bool:
    there = (method for method in group.methods if source in method.sources)
    return len({of(method, source) for method in there}) > 1


def _cases(method: Method, source: str) -> frozenset[tuple[str | None, int]]:
    runs = method.runs_in(source)
    return frozenset((run.plan.cases_digest, run.seen.cases[source]) for run in runs)


def _asked(method: Method, source: str) -> frozenset[str]:
    return frozenset(t for run in method.runs_in(source) for t in run.plan.target_languages)
