"""``memla compare``: what one run has more than another, on the cases they share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memla.cli import output
from memla.cli.options import JsonOption

if TYPE_CHECKING:
    from rich.table import Table

    from memla.evaluation.summary import Cell, Run


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="The run it is compared with.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs on the cases they share: RUN_A minus RUN_B, in points.

    The 95 % intervals are of a paired bootstrap: both runs are drawn with the same cases.
    A star marks differences whose interval does not hold 0. Two sequences are compared right after
    each edit and again after all of them. Means are over the languages that both were asked in.
    """
    from memla.evaluation.results import AFTER_ALL
    from memla.evaluation.summary import compare as differences
    from memla.evaluation.summary import read_run
    from memla.reports.reading import check_measured_alike

    with output.status("reading runs ..."):
        run, other = read_run(first), read_run(second)
        named = ((str(first), run.plan), (str(second), other.plan))
        check_measured_alike(named, hint="compare runs that are measured alike")
        cells = differences(run, other)
    if run.plan.model_fingerprint != other.plan.model_fingerprint:
        names = f"{run.plan.model} and {other.plan.model}"
        output.note(f"note: the runs are of different models: {names}")
    if run.plan.benchmark != other.plan.benchmark:
        names = f"{run.plan.benchmark} and {other.plan.benchmark}"
        output.note(f"note: the runs are of different benchmarks: {names}")
    if as_json:
        scores = [cell.model_dump(mode="json") for cell in cells]
        plans = {"run": str(first), "baseline": str(second), "model": run.plan.model}
        output.write_json({**plans, "scores": scores})
        return
    for source in dict.fromkeys(cell.source for cell in cells):
        found = [cell for cell in cells if cell.source == source]
        for metric in run.plan.definition().metrics:
            for moment, when in (("", ""), (AFTER_ALL, " after all edits")):
                if shown := [cell for cell in found if cell.metric == metric + moment]:
                    output.write(_table(run, other, metric + when, shown))
    output.write("Points, RUN_A minus RUN_B; *: the 95 % interval does not hold 0.")


def _table(run: Run, other: Run, metric: str, cells: list[Cell]) -> Table:
    from memla.evaluation.results import JOINT
    from memla.languages import language_name

    source = cells[0].source
    title = (
        f"{metric}: {run.plan.editor} minus {other.plan.editor} on {run.plan.model}, edited in"
        f" {source} ({run.plan.protocol})"
    )
    table = output.table(title, "target", "difference", "low", "high", "n", "", numbers=5)
    for cell in cells:
        is_mean = cell.target == "transfer" or JOINT in cell.target
        name = cell.target if is_mean else language_name(cell.target)
        numbers = (f"{value:+.1f}" for value in (cell.value, cell.low, cell.high))
        star = "*" if cell.low > 0 or cell.high < 0 else ""
        table.add_row(name, *numbers, str(cell.n), star)
    return table
