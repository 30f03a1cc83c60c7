"""Carry out one plan for ``memla evaluate``: load, edit, show."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memla.cli import checkpoints, evaluation_tables, output, progress
from memla.cli.cluster import OnRay, connected
from memla.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memla.benchmarks import Benchmark
    from memla.evaluation.recipe_runs import Workplace
    from memla.evaluation.results import Plan
    from memla.evaluation.shards import Shard
    from memla.evaluation.summary import Run


@dataclass(frozen=True, slots=True)
class How:
    """What ``memla evaluate`` is told beside the plan."""

    out: Path | None
    shard: str | None
    device: str | None
    batch_size: int
    as_json: bool
    json_progress: bool
    on_ray: OnRay

    def part(self, out: Path | None) -> Shard | None:
        """The shard to do; None: all.

        Raises:
            SettingError: There is no such shard, or no folder to keep it in, or it does not go
                with a cluster.
        """
        from memla.evaluation.shards import Shard

        self.on_ray.check(out=out, shard=self.shard)
        if self.shard is not None and out is None:
            raise SettingError(
                "--shard has nowhere to keep its part", hint="name a folder with --out"
            )
        return None if self.shard is None else Shard.parse(self.shard)


def evaluate_plan(plan: Plan, how: How) -> None:
    """Make one run and show it."""
    part = how.part(how.out)
    with ExitStack() as stack:
        with output.status("loading ..."):
            from memla.benchmarks import load_benchmark
            from memla.evaluation import summary
            from memla.evaluation.runner import make_editor

            make_editor(plan)  # settings cost nothing to check, while a model may take minutes
            data = load_benchmark(plan.benchmark, file_format=plan.benchmark_format)
            note_unusable(plan.source_languages, data)
            place = stack.enter_context(_workplace(plan, how, data))
        shown = stack.enter_context(progress.shown(plan, as_json=how.json_progress))
        run = place.evaluate(
            plan,
            out=how.out,
            batch_size=how.batch_size,
            shard=part,
            on_score=shown.on_score if shown else None,
            on_progress=shown.on_progress if shown else None,
        )
    cells = summary.summarize(run)
    if how.as_json:
        scores = [cell.model_dump(mode="json") for cell in cells]
        written = {"plan": run.plan.model_dump(mode="json"), "scores": scores}
        output.write_json(written | checkpoints.as_json(run))
    else:
        output.write(*checkpoints.tables(run), *evaluation_tables.tables(run, cells))
    note_failures(run)


@contextmanager
def _workplace(plan: Plan, how: How, data: Benchmark) -> Iterator[Workplace]:
    """The cluster, or this machine with the plan's model."""
    if how.on_ray.address is not None and how.out is not None:
        with connected(how.on_ray, how.out, how.device) as place:
            yield place
        return
    from memla.cli.loading import load
    from memla.evaluation.recipe_runs import Shelf

    device = how.device or "cpu"
    model = load(plan.model, revision=plan.revision, dtype=plan.dtype, device=device)
    yield Shelf(lambda _: model, lambda _: data)


def note_unusable(sources: Sequence[str], data: Benchmark) -> None:
    """Tell how many records of a file cannot be edited in the languages of the edit."""
    from memla.benchmarks.file_benchmark import FileBenchmark
    from memla.evaluation.results import source_parts

    if not isinstance(data, FileBenchmark):
        return
    counts = data.counts
    for language in sorted({one for source in sources for one in source_parts(source)}):
        usable = counts.usable.get(language, 0)
        if 0 < usable < counts.records:
            output.note(
                f"note: {counts.records - usable} of {counts.records} records cannot be edited in"
                f" {language!r}; `memla dataset check` tells why"
            )


def note_failures(run: Run, name: str = "") -> None:
    """Tell how many cases failed, and why the first did."""
    failures = run.failures()
    if failures:
        case, reason = next(iter(failures.items()))
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        failed = output.count(len(failures), "case")
        output.note(f"warning: {name}{failed} failed: {case}: {reason}{more}")
