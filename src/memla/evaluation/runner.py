"""From a plan to results: edit each case, look at it in every language, write down what is seen."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from memla.benchmarks import Benchmark, load_benchmark
from memla.editors import EDITORS
from memla.editors.base import Editor
from memla.errors import EditError, device_errors
from memla.evaluation.baseline import Baseline
from memla.evaluation.downstream.book import DamageBook
from memla.evaluation.downstream.material import Material
from memla.evaluation.kept_edits import KeptEdits
from memla.evaluation.materials import Materials
from memla.evaluation.modes import Bench, Group, groups, probes_of
from memla.evaluation.references import References
from memla.evaluation.results import CaseResult, Plan, RunFolder, Score
from memla.evaluation.shards import Shard
from memla.evaluation.summary import Run
from memla.models.language_model import LanguageModel
from memla.models.loading import load_model

ScoreCallback = Callable[[Score], None]
ProgressCallback = Callable[[str, int, int], None]
"""Called with "before", "edits", "after all" or "downstream", how many are done, of how many."""


@device_errors()
def evaluate(
    plan: Plan,
    *,
    out: str | Path | None = None,
    model: LanguageModel | None = None,
    benchmark: Benchmark | None = None,
    materials: Materials | None = None,
    editor: Editor | None = None,
    device: str = "cpu",
    batch_size: int = 64,
    shard: Shard | None = None,
    on_score: ScoreCallback | None = None,
    on_progress: ProgressCallback | None = None,
) -> Run:
    """Carry out a plan, or what is left of it.

    Neither the order of cases nor shards nor the batch size changes a result. A case that fails
    is a result too: its error is recorded, and where no edit could be made it counts with the
    answers of the unedited model.

    Args:
        plan: What to do.
        out: Folder of runs; the run gets a folder of its own in it, named by the plan, and
            continues there if it was interrupted. None keeps the results in memory.
        model: The loaded model, if it is not to be loaded by the plan's name.
        benchmark: The cases, if they are not to be loaded by the plan's name.
        materials: Both of them, where several plans share them.
        editor: The editor with its settings, if it is not to be made from the plan.
        device: Where to load the model.
        batch_size: Texts asked together.
        shard: The part of the cases to do; each shard has its own file in the run's folder.
        on_score: Called with each score of each case as it is finished.
        on_progress: Called with phase, done and total.

    Raises:
        MemlaError: The plan cannot be carried out, or every case failed.
    """
    editor = editor or make_editor(plan)
    if materials is None:
        benchmark = benchmark or load_benchmark(plan.benchmark, file_format=plan.benchmark_format)
        model = model or load_model(
            plan.model, revision=plan.revision, dtype=plan.dtype, device=device
        )
        materials = Materials(model, benchmark)
    plan = materials.resolve(plan, editor)
    selection = materials.select(plan)
    every = groups(plan, selection.cases)
    job = _Job(
        plan,
        materials.model,
        editor,
        [group for group in every if shard is None or shard.holds(group.name)],
        list(dict.fromkeys(case.id for group in every for case in group.cases)),
        References.from_cases(selection.references),
        batch_size,
        materials.others(plan),
    )
    return job.run(Path(out) if out is not None else None, shard, on_score, on_progress)


def make_editor(plan: Plan) -> Editor:
    """The plan's editor with the plan's settings.

    Raises:
        UnknownNameError: There is no such editor or preset.
        SettingError: A setting cannot be.
    """
    kind: Any = EDITORS[plan.editor]
    editor: Editor = kind(kind.config_class.preset(plan.preset, plan.settings))
    return editor


@dataclass(frozen=True, slots=True)
class _Job:
    plan: Plan
    model: LanguageModel
    editor: Editor
    groups: Sequence[Group]
    case_ids: Sequence[str]
    references: References
    batch_size: int
    others: Material | None

    def run(
        self,
        out: Path | None,
        shard: Shard | None,
        on_score: ScoreCallback | None,
        on_progress: ProgressCallback | None,
    ) -> Run:
        report = on_progress or (lambda *_: None)
        if out is None:
            return checked(self._carry_out(None, None, on_score, report))
        folder = RunFolder(out / self.plan.run_name, shard)
        with folder.taken():
            return checked(self._carry_out(out, folder, on_score, report))

    def _carry_out(
        self,
        out: Path | None,
        folder: RunFolder | None,
        on_score: ScoreCallback | None,
        report: ProgressCallback,
    ) -> Run:
        done: set[tuple[str, str]] = set()
        done_after_all: set[tuple[str, str]] = set()
        if folder is not None:
            done = folder.start(self.plan, self._environment(), self.case_ids)
            done_after_all = {(one.case, one.source) for one in folder.after_all()}
        needed = done & done_after_all if self.plan.mode == "sequential" else done
        book = self._book(folder, report)
        todo = self._left(needed, book, folder)
        keys = [key for group in self.groups for key in group.keys]
        counts = {"edits": len(done.intersection(keys)), "after all": 0}
        counts["after all"] = len(done_after_all.intersection(keys))
        kept: list[CaseResult] = []

        def emit(result: CaseResult) -> None:
            if folder is None:
                kept.append(result)
            else:
                folder.append(result)
            if on_score is not None:
                for score in result.scores(self.plan):
                    on_score(score)
            phase = "after all" if result.is_after_all else "edits"
            counts[phase] += 1
            report(phase, counts[phase], len(keys))

        bench = self._bench(out, todo, report, book)
        for group in todo:
            bench.edit(group, done, done_after_all, _kept_edits(folder, group), emit)
        return Run(self.plan, folder, tuple(kept), () if book is None else tuple(book.kept))

    def _left(
        self, done: set[tuple[str, str]], book: DamageBook | None, folder: RunFolder | None
    ) -> list[Group]:
        """The groups that are not through."""
        left = []
        for group in self.groups:
            if not done.issuperset(group.keys) or (book is not None and not book.is_done(group)):
                left.append(group)
            elif self.plan.mode == "sequential":
                _kept_edits(folder, group).drop()  # a process may have ended just before it did
        return left

    def _book(self, folder: RunFolder | None, report: ProgressCallback) -> DamageBook | None:
        if self.others is None:
            return None
        return DamageBook(
            self.plan,
            self.others,
            self.model,
            self.groups,
            folder=folder,
            batch_size=self.batch_size,
            report=lambda done, total: report("downstream", done, total),
        )

    def _bench(
        self,
        out: Path | None,
        todo: Sequence[Group],
        report: ProgressCallback,
        book: DamageBook | None,
    ) -> Bench:
        assert self.plan.model_fingerprint is not None
        baseline = Baseline(
            self.model,
            decoding=self.plan.decoding,
            asked=self.plan.definition().asked,
            fingerprint=f"{self.plan.memla_version} {self.plan.model_fingerprint}",
            folder=out,
        )
        baseline.ask(
            (probes_of(self.plan, case) for group in todo for case in group.cases),
            batch_size=self.batch_size,
            on_progress=lambda done, total: report("before", done, total),
        )
        if todo and book is not None:
            book.prepare()
        return Bench(
            self.plan,
            self.model,
            self.editor,
            self.references,
            baseline,
            self.batch_size,
            watch=None if book is None else book.look,
        )

    def _environment(self) -> dict[str, str]:
        names = ["torch", "transformers", "tokenizers"]
        if self.plan.downstream is not None and self.plan.downstream.tasks:
            names.append("lm_eval")
        versions = {name: version(name) for name in names}
        return {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "device": str(self.model.device),
            **versions,
        }


def _kept_edits(folder: RunFolder | None, group: Group) -> KeptEdits:
    if folder is None:
        return KeptEdits(None)
    name = hashlib.sha256(f"{group.name}\x1f{group.source}".encode()).hexdigest()[:16]
    return KeptEdits(folder.path / "sequences" / name)


def checked(run: Run) -> Run:
    """The run, unless all of it failed.

    Raises:
        EditError: No case was edited.
    """
    errors = _errors(run)
    first = next(errors, None)
    if first is not None and all(error is not None for error in errors):
        again = f"remove {str(run.folder.path)!r} to try them again" if run.folder else None
        raise EditError(f"every case failed; the first: {first}", hint=again)
    return run


def _errors(run: Run) -> Iterator[str | None]:
    return (result.error for result in run.results())
