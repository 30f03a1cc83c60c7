"""Carry out recipes: look over every plan first, then make one run after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from memla.benchmarks import Benchmark
from memla.editors.base import Editor
from memla.errors import DeviceMemoryError, EditError, MemlaError
from memla.evaluation.locks import HeldElsewhereError
from memla.evaluation.materials import Materials
from memla.evaluation.recipes import NamedPlan, Recipe, RecipeEntry, RecipeRun
from memla.evaluation.results import Plan
from memla.evaluation.runner import ProgressCallback, ScoreCallback, evaluate, make_editor
from memla.evaluation.shards import Shard
from memla.evaluation.summary import Run
from memla.models.language_model import LanguageModel
from memla.records import write_atomically
from memla.registry import unknown_name

Item = TypeVar("Item")
Result = TypeVar("Result")


@runtime_checkable
class Workplace(Protocol):
    """Where plans are looked over and carried out: this machine, or a cluster."""

    def resolve(self, plan: Plan, editor: Editor, /) -> Plan:
        """The plan with everything in it that its names stand for."""
        ...

    def evaluate(
        self,
        plan: Plan,
        *,
        out: Path | None,
        batch_size: int = 64,
        shard: Shard | None = None,
        on_score: ScoreCallback | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Run:
        """Carry out a plan, or what is left of it; see `runner.evaluate`."""
        ...


@dataclass(slots=True)
class Shelf:
    """Models and benchmarks, each loaded once for however many plans.

    Args:
        load_model: Loads the model of a plan.
        load_benchmark: Opens the benchmark of a plan.
    """

    load_model: Callable[[Plan], LanguageModel]
    load_benchmark: Callable[[Plan], Benchmark]
    _models: dict[tuple[str | None, ...], LanguageModel] = field(default_factory=dict)
    _benchmarks: dict[tuple[str | None, ...], Benchmark] = field(default_factory=dict)
    _materials: dict[tuple[str | None, ...], Materials] = field(default_factory=dict)

    def materials(self, plan: Plan) -> Materials:
        """The plan's model and benchmark."""
        cases = (plan.benchmark, plan.benchmark_format)
        weights = (plan.model, plan.revision, plan.dtype)
        # The benchmark first: what is wrong with it is told before a large model is loaded.
        if cases not in self._benchmarks:
            self._benchmarks[cases] = self.load_benchmark(plan)
        if weights not in self._models:
            self._models[weights] = self.load_model(plan)
        key = (*weights, *cases)
        if key not in self._materials:
            self._materials[key] = Materials(self._models[weights], self._benchmarks[cases])
        return self._materials[key]

    def resolve(self, plan: Plan, editor: Editor, /) -> Plan:
        """The plan with everything in it that its names stand for."""
        return self.materials(plan).resolve(plan, editor)

    def evaluate(
        self,
        plan: Plan,
        *,
        out: Path | None,
        batch_size: int = 64,
        shard: Shard | None = None,
        on_score: ScoreCallback | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Run:
        """Carry out a plan, or what is left of it; see `runner.evaluate`."""
        return evaluate(
            plan,
            out=out,
            materials=self.materials(plan),
            batch_size=batch_size,
            shard=shard,
            on_score=on_score,
            on_progress=on_progress,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan."""

    named: NamedPlan
    run: Run | None
    """None: every case failed, or the memory did not suffice."""
    error: str | None = None
    """Why."""


def choose(recipe: Recipe, only: Sequence[str]) -> frozenset[str]:
    """Names of the variants to carry out: all, if ``only`` has none.

    Raises:
        UnknownNameError: The recipe has no variant of one of the names.
    """
    names = recipe.variant_names
    for name in only:
        if name not in names:
            raise unknown_name(f"variant of recipe {recipe.name!r}", name, dict.fromkeys(names))
    return frozenset(only or names)


def prepare(
    recipe: Recipe, shelf: Workplace, overrides: Mapping[str, Any] | None = None
) -> list[NamedPlan]:
    """Every plan of a recipe as its run will have it; nothing is edited.

    Args:
        recipe: The recipe.
        shelf: Where models and benchmarks are: this machine's or a cluster.
        overrides: Keys of a plan that count more than what the recipe says.

    Raises:
        MemlaError: A plan cannot be carried out; the message names its variant.
    """
    plans = recipe.variants_with_plans(overrides)
    # Settings cost nothing to check, while models may take minutes to load.
    editors = [_editor(one) for one in plans]
    return [_resolved(one, editor, shelf) for one, editor in zip(plans, editors, strict=True)]


def write_recipe_run(recipe: Recipe, plans: Sequence[NamedPlan], out: Path) -> Path:
    """Write down which runs in the folder ``out`` are those of the recipe.

    Args:
        recipe: The recipe.
        plans: Its plans as `prepare` gives them.
        out: Folder of runs.

    Returns:
        The file.

    Raises:
        DataError: It cannot be written.
    """
    made = RecipeRun(
        name=recipe.name,
        title=recipe.title,
        about=recipe.about,
        published=recipe.published,
        metrics=recipe.metrics,
        contrasts=recipe.contrasts,
        entries=tuple(
            RecipeEntry(
                variant=one.variant,
                source=one.source,
                run=one.plan.run_name,
                setting=one.setting,
                value=one.value,
            )
            for one in plans
        ),
    )
    path = out / made.file_name
    write_atomically(path, json.dumps(made.model_dump(mode="json"), ensure_ascii=False, indent=2))
    return path


def carry_out(
    named: NamedPlan,
    shelf: Workplace,
    out: Path,
    *,
    batch_size: int = 64,
    shard: Shard | None = None,
    on_score: ScoreCallback | None = None,
    on_progress: ProgressCallback | None = None,
) -> Outcome:
    """Make a run of a recipe, or what is left of it; see `runner.evaluate` for the arguments.

    That every case fails is an outcome, and so is a memory that does not suffice: the runs after
    it are made.

    Raises:
        MemlaError: The run cannot be made or written.
    """
    try:
        run = shelf.evaluate(
            named.plan,
            out=out,
            batch_size=batch_size,
            shard=shard,
            on_score=on_score,
            on_progress=on_progress,
        )
    except (EditError, DeviceMemoryError) as error:
        return Outcome(named, None, str(error))
    return Outcome(named, run)


def each_when_free(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    *,
    on_wait: Callable[[int], None] = lambda _: None,
    pause: float = 5.0,
) -> list[Result]:
    """Work on every item; on those that another process is at work on, when it has let go of them.

    So processes that carry out the same recipe in the same folder divide its runs, and each ends
    with all of them. What another process left unfinished is finished.

    Args:
        items: What to work on.
        work: Works on one; raises `HeldElsewhereError` if another process does.
        on_wait: Called with the number that is left, whenever all of them are held.
        pause: Seconds until it is tried again then.

    Returns:
        The results, in the order of the items.
    """
    results: dict[int, Result] = {}
    left = list(range(len(items)))
    while left:
        held = []
        for index in left:
            try:
                results[index] = work(items[index])
            except HeldElsewhereError:
                held.append(index)
        if len(held) == len(left):
            on_wait(len(held))
            time.sleep(pause)
        left = held
    return [results[index] for index in range(len(items))]


def _editor(named: NamedPlan) -> Editor:
    with _telling(named):
        return make_editor(named.plan)


def _resolved(named: NamedPlan, editor: Editor, shelf: Workplace) -> NamedPlan:
    with _telling(named):
        return named.model_copy(update={"plan": shelf.resolve(named.plan, editor)})


@contextmanager
def _telling(named: NamedPlan) -> Iterator[None]:
    """Name the variant in an error."""
    try:
        yield
    except MemlaError as error:
        where = f"variant {named.variant!r}, edited in {named.source}"
        raise type(error)(f"{where}: {error.message}", hint=error.hint) from None
