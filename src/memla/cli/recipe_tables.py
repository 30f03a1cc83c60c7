"""The table of a recipe's runs: a row for each variant and source, the main metrics beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table

from memla.cli import output
from memla.cli.evaluation_tables import HEADINGS

if TYPE_CHECKING:
    from memla.evaluation.recipe_runs import Outcome
    from memla.evaluation.recipes import Recipe
    from memla.evaluation.summary import Cell

FRAME, SOURCE, NUMBERS = 3, 6, 13
"""Widths: what frames a column, a source, two numbers with what is between them."""


def tables(
    recipe: Recipe, outcomes: Sequence[Outcome], cells: Sequence[Sequence[Cell]]
) -> list[Table | str]:
    """The metrics of the recipe, or else of its protocols, in as many tables as the window takes.

    Args:
        recipe: The recipe.
        outcomes: What became of its plans.
        cells: The summary of each, in the same order.
    """
    metrics = _metrics(recipe, outcomes, cells)
    made: list[Table | str] = [
        _table(recipe, outcomes, cells, part)
        for part in _that_fit(metrics, max(cell_len(one.named.variant) for one in outcomes))
    ]
    made.append("Percent: in the language of the edit / mean of the other languages (transfer).")
    return made


def _metrics(
    recipe: Recipe, outcomes: Sequence[Outcome], cells: Sequence[Sequence[Cell]]
) -> list[str]:
    """What there is a value of, the recipe's own choice before the protocols' metrics."""
    there = {cell.metric for found in cells for cell in found}
    of_protocols = [metric for one in outcomes for metric in one.named.plan.definition().metrics]
    return [one for one in dict.fromkeys(recipe.metrics or of_protocols) if one in there]


def _that_fit(metrics: Sequence[str], variant: int) -> Iterator[Sequence[str]]:
    room = output.window_width() - variant - SOURCE - 2 * FRAME - 1
    count = max(1, room // (NUMBERS + FRAME))
    for start in range(0, max(1, len(metrics)), count):
        yield metrics[start : start + count]


def _table(
    recipe: Recipe,
    outcomes: Sequence[Outcome],
    cells: Sequence[Sequence[Cell]],
    metrics: Sequence[str],
) -> Table:
    headings = [HEADINGS.get(metric, metric).replace("_", " ") for metric in metrics]
    table = output.table(recipe.title, "variant", "source", *headings, numbers=len(metrics))
    for outcome, found in zip(outcomes, cells, strict=True):
        named = outcome.named
        numbers = ["failed" if outcome.run is None else _numbers(found, one) for one in metrics]
        table.add_row(output.text(named.variant), named.source, *numbers)
    return table


def _numbers(cells: Sequence[Cell], metric: str) -> str:
    """In the languages of the edit, and the mean over the others."""
    from memla.evaluation.results import source_parts
    from memla.evaluation.summary import TRANSFER

    of = {cell.target: cell.value for cell in cells if cell.metric == metric}
    sources = {part for cell in cells for part in source_parts(cell.source)}
    own = [value for target, value in of.items() if target in sources]
    first = f"{fmean(own):.1f}" if own else "–"
    second = f"{of[TRANSFER]:.1f}" if TRANSFER in of else "–"
    return f"{first} / {second}" if of else ""
