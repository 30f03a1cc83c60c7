"""What a run's edits did to everything else, in a table: a row for each number and moment."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.table import Table

from memla.cli import output

if TYPE_CHECKING:
    from memla.evaluation.downstream.scores import DownstreamScore
    from memla.evaluation.summary import Run

NAMES = {
    "bits_per_byte": "bits per byte of text",
    "kl": "KL on other facts, in nats",
    "first_token_kept": "share of first tokens that stay",
}
"""What metrics are called; perplexity, which no mean over languages has a meaning for, is left to
reports."""


def tables(run: Run) -> list[Table | str]:
    """A table for each source, where the plan has ``downstream``; means over groups and languages.

    Several groups reach the same number of edits, and each counts the same.
    """
    from memla.evaluation.downstream.reading import read_downstream

    if run.plan.downstream is None:
        return []
    scores = read_downstream(run)
    made: list[Table | str] = []
    for source in run.plan.source_languages:
        title = f"{run.plan.editor} on {run.plan.model}, edited in {source}: everything else"
        columns = ("edits", "before", "after")
        table = output.table(title, "what", *columns, numbers=3)
        found: dict[tuple[str, int], list[DownstreamScore]] = {}
        for one in scores:
            name = NAMES.get(one.metric) if one.task is None else f"{one.task}, {one.metric}"
            if one.source == source and name is not None:
                found.setdefault((name, one.edits), []).append(one)
        for name, edits in sorted(found, key=lambda key: key[1]):
            there = found[name, edits]
            before, after = (one.before for one in there), (one.value for one in there)
            table.add_row(output.text(name), str(edits), _mean(before), _mean(after))
        made.append(table)
    made.append("Means over languages; by language in `memla report`.")
    return made


def as_json(run: Run) -> dict[str, Any]:
    """Every number, under ``downstream``; empty where the plan has none."""
    from memla.evaluation.downstream.reading import read_downstream

    if run.plan.downstream is None:
        return {}
    return {"downstream": [one.model_dump(mode="json") for one in read_downstream(run)]}


def _mean(values: Iterable[float | None]) -> str:
    """The mean, if there are all of them."""
    there = list(values)
    known = [value for value in there if value is not None]
    return "none" if len(known) < len(there) else f"{fmean(known):.3f}"
