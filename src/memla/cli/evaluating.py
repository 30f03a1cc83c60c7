"""Carry out one plan for ``memla evaluate``: load, edit, show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memla.cli import evaluation_tables, output, progress
from memla.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memla.benchmarks import Benchmark
    from memla.evaluation.results import Plan
    from memla.evaluation.shards import Shard
    from memla.evaluation.summary import Run


@dataclass(frozen=True, slots=True)
class How:
    """What ``memla evaluate`` is told beside the plan."""

    out: Path | None
    shard: str | None
    device: str
    batch_size: int
    as_json: bool
    json_progress: bool

    def part(self, out: Path | None) -> Shard | None:
        """The shard to do; None: all.

        Raises:
            SettingError: There is no such shard, or no folder to keep it in.
        """
        from memla.evaluation.shards import Shard

        if self.shard is not None and out is None:
            raise SettingError(
                "--shard has nowhere to keep its part", hint="name a folder with --out"
            )
        return None if self.shard is None else Shard.parse(self.shard)


def evaluate_plan(plan: Plan, how: How) -> None:
    """Make one run and show it."""
    part = how.part(how.out)
    with output.status("loading ..."):
        from memla.benchmarks import load_benchmark
        from memla.cli.loading import load
        from memla.evaluation import runner, summary

        data = load_benchmark(plan.benchmark, file_format=plan.benchmark_format)
        note_unusable(plan.source_languages, data)
        loaded = load(plan.model, revision=plan.revision, dtype=plan.dtype, device=how.device)
    with progress.shown(plan, as_json=how.json_progress) as shown:
        run = runner.evaluate(
            plan,
            out=how.out,
            model=loaded,
            benchmark=data,
            batch_size=how.batch_size,
            shard=part,
            on_score=shown.on_score if shown else None,
            on_progress=shown.on_progress if shown else None,
        )
    cells = summary.summarize(run)
    if how.as_json:
        scores = [cell.model_dump(mode="json") for cell in cells]
        output.write_json({"plan": run.plan.model_dump(mode="json"), "scores": scores})
    else:
        output.write(*evaluation_tables.tables(run, cells))
    note_failures(run)


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
        output.note(f"warning: {name}{len(failures)} cases failed: {case}: {reason}{more}")
