"""Read what edits did to everything else from a run's folder."""

from __future__ import annotations

from pathlib import Path

from memla.evaluation.downstream.scores import DownstreamScore
from memla.evaluation.summary import Run, read_run


def read_downstream(run: Run | str | Path) -> list[DownstreamScore]:
    """Every number of every checkpoint of a run, by source, group and number of edits.

    Empty where the plan has no ``downstream`` or no checkpoint was reached yet. The files of all
    shards are read.

    Args:
        run: The run or its folder.

    Raises:
        DataError: The folder is no run, or a line is broken.
    """
    found = run if isinstance(run, Run) else read_run(run)
    sources = found.plan.source_languages
    there = sorted(
        found.checkpoints(), key=lambda one: (sources.index(one.source), one.group, one.edits)
    )
    return [score for checkpoint in there for score in checkpoint.scores()]
