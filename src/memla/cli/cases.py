"""Facts of a benchmark by their id."""

from __future__ import annotations

from memla.benchmarks import Benchmark
from memla.errors import DataError
from memla.facts import EditCase
from memla.registry import unknown_name


def find_case(benchmark: Benchmark, fact: str | None) -> EditCase:
    """The case of that id; the first of the split ``test``, or at all, if none is named.

    Raises:
        UnknownNameError: There is no such fact; the message suggests the nearest.
        DataError: The benchmark is empty.
    """
    if fact is None:
        split = "test" if "test" in benchmark.card.sizes else None
        for case in benchmark.cases(split=split, limit=1):
            return case
        raise DataError(f"benchmark {benchmark.card.name!r} has no cases")
    cases = {case.id: case for case in benchmark.cases()}
    if fact not in cases:
        error = unknown_name(f"fact of benchmark {benchmark.card.name!r}", fact, cases)
        if len(cases) > 10 and error.hint is not None:
            error.hint = (
                error.hint.partition("known:")[0]
                + "known: "
                + ", ".join([*list(cases)[:5], f"... ({len(cases)})"])
            )
        raise error
    return cases[fact]
