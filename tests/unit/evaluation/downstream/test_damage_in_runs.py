"""A run looks at everything else at its checkpoints, each once, whatever interrupts it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from memla.editors.edits import RowSparse, WeightDelta
from memla.errors import (
    DataError,
    DeviceMemoryError,
    EditError,
    MissingExtraError,
    UnknownNameError,
)
from memla.evaluation.downstream import examination, material
from memla.evaluation.downstream.book import BEFORE_FILE
from memla.evaluation.downstream.reading import read_downstream
from memla.evaluation.merging import merge
from memla.evaluation.results import Plan
from memla.evaluation.shards import Shard
from tests.unit.evaluation.conftest import LANGUAGES, ShakeEditor, many_capitals

pytestmark = pytest.mark.filterwarnings("ignore")  # of lm-eval and the libraries under it


class InterruptError(Exception):
    """Stands for the end of a process."""


class BreakingEditor(ShakeEditor):
    """Makes the model give no numbers."""

    def edit(self, model, requests, *, references=(), seed=0):
        update = torch.full((4, model.d_model), float("nan"))
        return WeightDelta({1: RowSparse(torch.arange(4), update)}, model.fingerprint())


class MisfitEditor(ShakeEditor):
    """Makes edits that fit no model."""

    def edit(self, model, requests, *, references=(), seed=0):
        return WeightDelta({99: RowSparse(torch.arange(1), torch.ones(1, 3))}, "東京")


def plan(mode="sequential", size=4, **settings):
    given = {"after": [1, 3, 9], "facts": 2, "texts": 2} | settings
    return Plan(
        model="tiny",
        benchmark="capitals",
        source_languages=("th", "en+zh"),
        target_languages=("th", "ru"),
        mode=mode,
        group_size=size,
        downstream=given,
    )


@pytest.fixture
def seven():
    return many_capitals(7)


@pytest.fixture
def run(run_plan, seven):
    return lambda wanted=None, **options: run_plan(
        wanted or plan(), **{"benchmark": seven} | options
    )


def without_time(path):
    return [
        json.loads(line) | {"seconds": 0} for line in path.read_text(encoding="utf-8").splitlines()
    ]


def files_in(*folders):
    return {
        path: path.stat().st_size
        for folder in folders
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def test_a_sequence_is_looked_at_after_so_many_edits(run, tiny_model):
    before = tiny_model.fingerprint()
    made = run()
    assert tiny_model.fingerprint() == before
    there = list(made.checkpoints())
    groups = list(dict.fromkeys(one.group for one in made.results()))
    assert [(one.source, one.group, one.edits) for one in there] == [
        (source, group, edits) for source in ("th", "en+zh") for group in groups for edits in (1, 3)
    ]
    assert len(groups) == 2, "of four cases and of three"
    scores = read_downstream(made)
    by_key = {(s.source, s.group, s.edits, s.language, s.metric): s for s in scores}
    assert len(by_key) == len(scores) == 8 * 2 * 4
    for score in scores:
        assert score.language in {"th", "ru"}
        assert score.value is not None
        if score.metric == "kl":
            assert score.before == 0
            later = by_key[score.source, score.group, 3, score.language, "kl"]
            assert 0 < score.value <= later.value or score.value < later.value * 3


def test_numbers_of_one_edit_do_not_depend_on_what_was_edited_before_or_elsewhere(run):
    first = {s.group: s for s in read_downstream(run()) if s.edits == 1 and s.metric == "kl"}
    single = {s.group: s for s in read_downstream(run(plan(size=1))) if s.metric == "kl"}
    assert set(first) < set(single)
    for group, score in first.items():
        assert score.value == single[group].value


def test_a_batch_is_looked_at_once(run):
    made = run(plan("batch"))
    assert [one.edits for one in made.checkpoints()] == [4, 3, 4, 3]
    values = [s.value for s in read_downstream(made) if s.metric == "perplexity"]
    befores = {s.before for s in read_downstream(made) if s.metric == "perplexity"}
    assert len(befores) == 2
    assert not befores & set(values)


def test_what_could_not_be_edited_is_counted(run, shake):
    made = run(editor=shake(refuse="japan"))
    failed = {one.case for one in made.results() if one.error}
    for one in made.checkpoints():
        group = [case.case for case in made.results() if case.group == one.group]
        assert one.failed == len(failed & set(group[: one.edits]))
    assert any(one.failed for one in made.checkpoints())
    batches = list(run(plan("batch", 1), editor=shake(refuse="japan")).checkpoints())
    assert {one.failed for one in batches} == {0, 1}
    unchanged = [m for one in batches if one.failed for m in one.measured]
    assert unchanged
    assert all(m.value == m.before for m in unchanged)


def test_a_broken_model_has_no_numbers_but_a_reason(run, tmp_path):
    with pytest.raises(EditError, match="every case failed"):
        run(editor=BreakingEditor(), out=tmp_path)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    scores = read_downstream(folder)
    assert scores
    assert all(score.value is None for score in scores)
    assert all("not finite" in score.error for score in scores)
    assert all(score.before is not None for score in scores)


def test_a_checkpoint_that_memory_does_not_suffice_for_is_measured_again(
    run, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:
        measure, edited = examination.Drift.measure, []

        def of_the_second_edit(self, model):
            edited.append(model)
            return torch.empty(1 << 52) if len(edited) == 3 else measure(self, model)

        patched.setattr(examination.Drift, "measure", of_the_second_edit)
        with pytest.raises(DeviceMemoryError, match="the memory does not suffice"):
            run(out=tmp_path)
    again, whole = read_downstream(run(out=tmp_path)), read_downstream(run())
    assert [score.value for score in again] == [score.value for score in whole]
    assert all(score.error is None for score in again)


def test_an_edit_that_does_not_fit_is_a_result_too(run, many, tmp_path, shake):
    wanted = plan("batch", 1)
    assert all(
        score.error == "the edit could not be applied"
        for score in _read_failed(run, wanted, tmp_path)
    )
    counted = []
    with pytest.raises(EditError, match="every case failed"):
        run(wanted, editor=MisfitEditor(), out=tmp_path, on_progress=lambda *a: counted.append(a))
    assert counted == [], "it is finished"


def _read_failed(run, wanted, out):
    with pytest.raises(EditError, match="every case failed"):
        run(wanted, editor=MisfitEditor(), out=out)
    (folder,) = (path for path in out.iterdir() if path.is_dir())
    scores = read_downstream(folder)
    assert len(scores) == 14 * 2 * 4
    return scores


@pytest.mark.parametrize("stop_at", [2, 7])
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(run, tmp_path, stop_at):
    whole = run(out=tmp_path / "whole").folder.path
    seen = []

    def stop(phase, done, total):
        seen.extend([phase] * (phase == "downstream"))
        assert phase != "downstream" or (done, total) == (len(seen), 8)
        if len(seen) == stop_at:
            raise InterruptError

    with pytest.raises(InterruptError):
        run(out=tmp_path / "left", on_progress=stop)
    again = run(out=tmp_path / "left").folder.path
    for path in sorted(whole.glob("*.jsonl")):
        assert without_time(path) == without_time(again / path.name)
    assert (whole / BEFORE_FILE).read_bytes() == (again / BEFORE_FILE).read_bytes()


def test_a_checkpoint_that_was_cut_off_is_made_again_when_all_else_is_done(run, tmp_path):
    path = run(out=tmp_path).folder.path / "downstream.jsonl"
    whole = without_time(path)
    path.write_bytes(path.read_bytes()[:-40])
    run(out=tmp_path)
    assert without_time(path) == whole


def test_a_finished_run_asks_nothing(run, tmp_path, shake):
    run(out=tmp_path)
    editor, phases = shake(), []
    run(out=tmp_path, editor=editor, on_progress=lambda *given: phases.append(given))
    assert editor.seen == []
    assert phases == []


def test_shards_merged_are_the_run_made_at_once(run, seven, tmp_path):
    whole = run(out=tmp_path / "whole").folder.path
    seven._cases = seven._cases[::-1]
    for number in (2, 1, 3):
        part = run(out=tmp_path / "parts", shard=Shard(number, 3)).folder.path
    assert read_downstream(part) == read_downstream(whole)
    merged = merge([part], tmp_path / "merged")
    assert without_time(merged / "downstream.jsonl") == without_time(whole / "downstream.jsonl")
    path = next(one for one in part.glob("downstream-*.jsonl") if one.stat().st_size)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(
        DataError, match=r"1 of 8 checkpoints are missing, the first: .* after 3 ed"
    ):
        merge([part], tmp_path / "damaged")


def test_nothing_is_written_beside_the_run(run, task_folder, tmp_path, tiny_model, monkeypatch):
    for name in ("TMPDIR", "HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "runs"
    tasks = ("entailment_world", "plausible_world")
    wanted = plan(after=[1], tasks=tasks, task_folder=str(task_folder))
    before = files_in(tmp_path)
    made = run(wanted, out=out)
    new = set(files_in(tmp_path)) - set(before)
    data_sets = {path for path in new if path.is_relative_to(tmp_path / "data sets")}
    assert {path for path in new - data_sets if not path.is_relative_to(out)} == set()
    weights = sum(w.numel() * w.element_size() for w in tiny_model.model.parameters())
    assert sum(path.stat().st_size for path in data_sets) < weights
    assert not any(path.suffix in {".safetensors", ".bin", ".pt"} for path in new)
    tasks_found = {s.task for s in read_downstream(made) if s.measure == "task"}
    assert tasks_found == set(tasks)
    assert "lm_eval" in json.loads((made.folder.path / "environment.json").read_bytes())
    assert made.plan.downstream.digest


def test_the_unedited_model_is_measured_once_for_all_processes(run, tmp_path):
    path = run(out=tmp_path).folder.path
    values = json.loads((path / BEFORE_FILE).read_text(encoding="utf-8"))
    for value in values:
        value["value"] = 7.0
    (path / BEFORE_FILE).write_text(json.dumps(values), encoding="utf-8")
    (path / "downstream.jsonl").unlink()
    run(out=tmp_path)
    assert {score.before for score in read_downstream(path)} == {7.0}


def test_what_cannot_be_measured_is_told_before_the_first_edit(
    run, task_folder, shake, monkeypatch
):
    editor = shake()

    def missing(package):
        raise material.PackageNotFoundError(package)

    monkeypatch.setattr(material, "version", missing)
    with pytest.raises(MissingExtraError):
        run(plan(tasks=["首都"]), editor=editor)
    assert editor.seen == []


@pytest.mark.slow  # all of lm-eval's own tasks are looked through
def test_a_task_that_is_not_there_is_told_before_the_first_edit(run, task_folder, shake):
    editor = shake()
    with pytest.raises(UnknownNameError, match="'首都'"):
        run(plan(tasks=["首都"], task_folder=str(task_folder)), editor=editor)
    assert editor.seen == []


def test_languages_are_those_of_the_plan(run):
    wanted = plan().model_copy(update={"target_languages": ()})
    assert {score.language for score in read_downstream(run(wanted))} == set(LANGUAGES)
