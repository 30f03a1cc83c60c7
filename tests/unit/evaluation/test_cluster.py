"""A run on a cluster is the run made here, whatever becomes of the workers."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path

import pytest
import ray

from memla.errors import ClusterError, DataError, EditError, UnknownNameError
from memla.evaluation import cluster_tasks
from memla.evaluation.cluster import LOCAL_STORE_BYTES, connected
from memla.evaluation.cluster_tasks import Job, carry_out_there, resolve_there
from memla.evaluation.results import Plan, RunFolder
from memla.evaluation.runner import evaluate
from memla.evaluation.shards import Shard
from memla.evaluation.summary import summarize
from tests.unit.cli.conftest import record

# Ray's parts talk to each other through sockets of this machine.
pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]


def lines_but_for_time(path):
    values = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [json.dumps(value | {"seconds": 0}, ensure_ascii=False) for value in values]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a toy model, and with a benchmark of 40 cases in five languages."""
    from memla.models.tiny import tiny_model

    folder = tmp_path_factory.mktemp("дом")
    model = tiny_model("gpt2")
    model.model.save_pretrained(folder / "модель")
    model.tokenizer.save_pretrained(folder / "модель")
    facts = ["france", "japan", "italy"]
    cases = [
        record(number, facts[number % 3], facts[(number + 1) % 3], facts[(number + 2) % 3], "test")
        | {"id": f"{facts[number % 3]}-{number}"}
        for number in range(40)
    ]
    cases.append(record(40, "spain", "france", "italy", "train"))
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in cases]
    (folder / "首都.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def cluster(home):
    """A cluster of this machine with one worker, which needs a while to start: one for all."""
    before = Path.cwd()
    os.chdir(home)  # where workers are, too
    ray.init("local", num_cpus=1, object_store_memory=LOCAL_STORE_BYTES, include_dashboard=False)
    try:
        with connected("local") as found:
            yield found
    finally:
        ray.shutdown()
        os.chdir(before)


@pytest.fixture
def plan(home, monkeypatch):
    """Make a plan of the folder's model and cases, with an editor that takes no time."""
    monkeypatch.chdir(home)

    def make(**keys):
        given = {"model": "модель", "benchmark": "首都.jsonl", "editor": "ft", "limit": 6}
        given |= {"source_languages": ("th",), "target_languages": ("th", "zh", "ru")}
        return Plan(**(given | {"settings": {"steps": 2}} | keys))

    return make


@pytest.mark.parametrize(("mode", "size"), [("single", 1), ("sequential", 3)])
def test_a_run_on_a_cluster_has_the_scores_of_one_made_here(cluster, plan, tmp_path, mode, size):
    wanted = plan(mode=mode, group_size=size)
    seen = []
    there = cluster.evaluate(
        wanted, out=tmp_path / "там", n_shards=2, on_progress=lambda *told: seen.append(told)
    )
    here = evaluate(wanted, out=tmp_path / "здесь")
    names = sorted(path.name for path in here.folder.path.glob("*.jsonl"))
    assert names == sorted(path.name for path in there.folder.path.glob("*.jsonl"))
    for name in names:
        ours, theirs = (lines_but_for_time(run.folder.path / name) for run in (here, there))
        assert ours == theirs
    assert summarize(there) == summarize(here)
    assert [told for told in seen if told[0] == "edits"] == [
        ("edits", done, 6) for done in range(1, 7)
    ]
    assert not list((tmp_path / "там").glob(".shared-*"))


def test_what_a_run_made_here_has_left_is_done_on_the_cluster(cluster, plan, tmp_path):
    wanted = plan()
    part = evaluate(wanted, out=tmp_path, shard=Shard(1, 3))
    done = {result.case for result in part.results()}
    scores = []
    run = cluster.evaluate(wanted, out=tmp_path, n_shards=2, on_score=scores.append)
    assert 0 < len(done) < 6
    assert {score.case for score in scores} == {one.case for one in run.results()} - done
    assert [path.name for path in run.folder.path.glob("*.jsonl")] == ["cases.jsonl"]
    again = cluster.evaluate(wanted, out=tmp_path, n_shards=2, on_score=pytest.fail)
    assert list(again.scores()) == list(run.scores())


def test_a_plan_is_resolved_on_a_worker_as_it_is_here(cluster, plan, tmp_path):
    resolved = cluster.resolve(plan(), out=tmp_path)
    assert resolved.run_name == evaluate(plan()).plan.run_name
    assert list(tmp_path.iterdir()) == []


def test_an_error_on_a_worker_is_the_error_here(cluster, plan, tmp_path):
    with pytest.raises(UnknownNameError, match="ромэ"):
        cluster.evaluate(plan(editor="ромэ"), out=tmp_path)
    with pytest.raises(DataError, match="has nothing in language 'fr'"):
        cluster.evaluate(plan(target_languages=("fr",)), out=tmp_path)


def test_a_run_in_which_everything_fails_is_an_error(cluster, plan, tmp_path):
    with pytest.raises(EditError, match="every case failed"):
        cluster.evaluate(plan(settings={"layers": [99]}), out=tmp_path, n_shards=2)


def job(plan, folder, **changes):
    (folder / ".маркер").touch()
    given = {"plan": plan.model_dump(mode="json"), "out": str(folder), "marker": ".маркер"}
    given |= {"working_folder": ".", "device": "cpu", "batch_size": 64}
    return Job(**(given | {"memla_version": plan.memla_version} | changes))


def test_a_worker_that_does_not_see_the_folder_says_so(plan, tmp_path):
    error = resolve_there(job(plan(), tmp_path, out=str(tmp_path / "其他")))
    assert isinstance(error, DataError)
    assert "does not see folder" in error.message
    assert "memla merge" in error.hint


def test_a_worker_with_another_version_says_so(plan, tmp_path):
    error = resolve_there(job(plan(), tmp_path, memla_version="0.0.1"))
    assert isinstance(error, ClusterError)
    assert "0.0.1 asks" in error.message


def test_a_worker_with_other_cases_says_so(plan, tmp_path):
    resolved = resolve_there(job(plan(), tmp_path))
    other = resolved.model_copy(update={"cases_digest": "0" * 64})
    error = carry_out_there(job(other, tmp_path), Shard(1, 2))
    assert isinstance(error, ClusterError)
    assert "other cases" in error.message


def test_a_shard_waits_for_the_lock_of_a_process_that_is_about_to_end(plan, tmp_path, monkeypatch):
    resolved = resolve_there(job(plan(limit=1), tmp_path))
    folder = RunFolder(tmp_path / resolved.run_name, Shard(1, 1))
    with ExitStack() as stack:
        stack.enter_context(folder.taken())
        monkeypatch.setattr(cluster_tasks, "LOCK_PATIENCE_SECONDS", 0)
        error = carry_out_there(job(resolved, tmp_path), Shard(1, 1))
        assert "another process is at work" in error.message
        monkeypatch.setattr(cluster_tasks, "LOCK_PATIENCE_SECONDS", 60)
        monkeypatch.setattr(cluster_tasks.time, "sleep", lambda _: stack.close())
        assert carry_out_there(job(resolved, tmp_path), Shard(1, 1)) is None
    assert len(list(folder.results())) == 1
