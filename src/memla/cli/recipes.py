"""Carry out a recipe for ``memla evaluate``: look over every plan, then run after run."""

from __future__ import annotations

import shlex
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from memla.cli import checkpoints, output, progress
from memla.cli.cluster import connected
from memla.cli.evaluating import How, note_failures, note_unusable
from memla.cli.recipe_tables import tables
from memla.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from memla.benchmarks import Benchmark
    from memla.evaluation.recipe_runs import Outcome, Workplace
    from memla.evaluation.recipes import NamedPlan, Recipe
    from memla.evaluation.results import Plan
    from memla.evaluation.shards import Shard
    from memla.evaluation.summary import Cell
    from memla.models.language_model import LanguageModel

OF_VARIANTS = {"editor": "--editor", "preset": "--preset", "settings": "--set"}
"""Keys of a plan in which the variants of a recipe differ, and their options."""


def evaluate_recipe(
    recipe: Recipe, options: Mapping[str, Any], only: Sequence[str], how: How
) -> None:
    """Make the runs of a recipe and show them; exit status 1 if all cases of one failed."""
    for key, option in OF_VARIANTS.items():
        if key in options:
            raise SettingError(
                f"{option} is decided by each variant of the recipe {recipe.name!r}",
                hint="choose variants with --only; they are: " + ", ".join(recipe.variant_names),
            )
    out = how.out or Path("runs") / recipe.name
    part = how.part(out)
    with ExitStack() as stack:
        with output.status("loading ..."):
            place = stack.enter_context(_workplace(how, out))
            plans = _prepared(recipe, options, only, place, out)
        outcomes = _carried_out(place, plans, how, out, part)
    cells = [_cells(one) for one in outcomes]
    if how.as_json:
        output.write_json(_as_json(recipe, outcomes, cells))
    else:
        output.write(*tables(recipe, outcomes, cells))
        output.write_unbroken(f"The runs are in {out}. Make a page of them:")
        page = shlex.join(["memla", "report", str(out), "--html", str(out / "report.html")])
        output.write_unbroken(page)
    if any(one.error for one in outcomes):
        raise typer.Exit(1)


def _prepared(
    recipe: Recipe, options: Mapping[str, Any], only: Sequence[str], place: Workplace, out: Path
) -> list[NamedPlan]:
    """The plans to carry out, all of them looked over."""
    from memla.evaluation import recipe_runs

    chosen = recipe_runs.choose(recipe, only)
    plans = recipe_runs.prepare(recipe, place, options)
    recipe_runs.write_recipe_run(recipe, plans, out)
    return [one for one in plans if one.variant in chosen]


@contextmanager
def _workplace(how: How, out: Path) -> Iterator[Workplace]:
    """The cluster, or this machine with models and benchmarks."""
    if how.on_ray.address is not None:
        with connected(how.on_ray, out, how.device) as place:
            yield place
        return
    from memla.benchmarks import load_benchmark
    from memla.cli.loading import load
    from memla.evaluation.recipe_runs import Shelf

    def benchmark_of(plan: Plan) -> Benchmark:
        data = load_benchmark(plan.benchmark, file_format=plan.benchmark_format)
        note_unusable(plan.source_languages, data)
        return data

    def model_of(plan: Plan) -> LanguageModel:
        device = how.device or "cpu"
        return load(plan.model, revision=plan.revision, dtype=plan.dtype, device=device)

    yield Shelf(model_of, benchmark_of)


def _carried_out(
    shelf: Workplace, plans: Sequence[NamedPlan], how: How, out: Path, part: Shard | None
) -> list[Outcome]:
    """What became of each plan; those that another process is at work on are left for last."""
    from memla.evaluation.recipe_runs import carry_out, each_when_free

    def one(place: progress.Place, named: NamedPlan) -> Outcome:
        with progress.shown(named.plan, as_json=how.json_progress, place=place) as shown:
            outcome = carry_out(
                named,
                shelf,
                out,
                batch_size=how.batch_size,
                shard=part,
                on_score=shown.on_score if shown else None,
                on_progress=shown.on_progress if shown else None,
            )
        if outcome.run is not None:
            note_failures(outcome.run, f"{named.variant}, {named.source}: ")
        else:
            output.note(f"error: {named.variant}, {named.source}: {outcome.error}")
        return outcome

    told: list[int] = []

    def wait(held: int) -> None:
        if told[-1:] != [held]:
            runs = "one run" if held == 1 else f"{held} runs"
            output.note(f"waiting for another process, which is at work on {runs}")
            told.append(held)

    items = [
        (progress.Place(number, len(plans), named.variant, named.source), named)
        for number, named in enumerate(plans, start=1)
    ]
    return each_when_free(items, lambda item: one(*item), on_wait=wait)


def _cells(outcome: Outcome) -> list[Cell]:
    from memla.evaluation.summary import summarize

    return [] if outcome.run is None else summarize(outcome.run)


def _as_json(
    recipe: Recipe, outcomes: Sequence[Outcome], cells: Sequence[Sequence[Cell]]
) -> dict[str, Any]:
    """Everything that is known of each run."""
    runs = [
        {
            "variant": one.named.variant,
            "source": one.named.source,
            "run": one.named.plan.run_name,
            "error": one.error,
            "plan": one.named.plan.model_dump(mode="json"),
            "scores": [cell.model_dump(mode="json") for cell in found],
            **({} if one.run is None else checkpoints.as_json(one.run)),
        }
        for one, found in zip(outcomes, cells, strict=True)
    ]
    return {"recipe": recipe.name, "title": recipe.title, "runs": runs}
