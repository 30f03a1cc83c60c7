"""A run loses at most the case in flight, and one process at a time works on it."""

from __future__ import annotations

import errno
import fcntl
import json
import resource
import subprocess
import sys
from contextlib import contextmanager

import pytest

from memla.errors import DataError
from memla.evaluation.locks import HeldElsewhereError, locked
from memla.evaluation.record_files import append_records, read_records
from memla.evaluation.results import Plan, RunFolder
from memla.evaluation.shards import Shard
from memla.evaluation.summary import read_run, summarize
from memla.records import Record


class Word(Record):
    text: str


def lines_but_for_time(path):
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        value = json.loads(line)
        assert value.pop("seconds") >= 0
        found.append(json.dumps(value))
    return found


def kill(tmp_path, mode, kills):
    command = [sys.executable, "-m", "tests.doubles.killed_runs", str(tmp_path), mode, str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) > kills // 3, "most ended before they could be killed"
    whole, killed = (
        next(path for path in (tmp_path / name).iterdir() if path.is_dir())
        for name in ("whole", "killed")
    )
    for path in sorted(whole.glob("*.jsonl")):
        assert lines_but_for_time(path) == lines_but_for_time(killed / path.name)
    assert summarize(read_run(whole)) == summarize(read_run(killed))
    (before,) = (tmp_path / "whole").glob("before-*.jsonl")
    assert before.read_bytes() == (tmp_path / "killed" / before.name).read_bytes()
    assert not any((killed / "sequences").glob("*"))


@pytest.mark.parametrize("mode", ["single", "sequential", "downstream"])
def test_a_run_that_is_killed_three_times_ends_as_one_that_was_not(tmp_path, mode):
    kill(tmp_path, mode, 3)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["single", "batch", "sequential", "downstream"])
def test_a_run_that_is_killed_thirty_times_ends_as_one_that_was_not(tmp_path, mode):
    kill(tmp_path, mode, 30)


def test_a_run_that_somebody_works_on_is_refused(run_plan, tmp_path, shake):
    run = run_plan(out=tmp_path)
    editor = shake()
    with run.folder.taken():
        for shard in (None, Shard(1, 2)):
            with pytest.raises(DataError, match="another process is at work") as caught:
                run_plan(out=tmp_path, editor=editor, shard=shard)
            assert "--shard" in caught.value.hint
    assert editor.seen == []
    run_plan(out=tmp_path, editor=editor)


def test_shards_work_beside_each_other_and_not_beside_the_whole(tmp_path):
    with RunFolder(tmp_path, Shard(1, 2)).taken():
        with RunFolder(tmp_path, Shard(2, 2)).taken():
            pass
        for other in (None, Shard(1, 2)):
            with pytest.raises(DataError, match="at work"), RunFolder(tmp_path, other).taken():
                pass


def test_a_process_that_ends_leaves_no_lock(tmp_path):
    code = (
        "import os\nfrom pathlib import Path\nfrom memla.evaluation.locks import locked\n"
        f"with locked(Path({str(tmp_path / 'замок')!r})):\n    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with locked(tmp_path / "замок"):
        pass


def test_a_disk_without_locks_is_not_taken_for_another_process(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    folder = tmp_path / "без замков"
    with pytest.raises(DataError, match=r"без замков.*no locks.*not implemented") as caught:
        RunFolder(folder).taken().__enter__()
    assert not isinstance(caught.value, HeldElsewhereError)
    assert "another disk" in caught.value.hint


@contextmanager
def files_up_to(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_does_not_fit_on_the_disk_leaves_nothing_behind(tmp_path):
    path = tmp_path / "слова.jsonl"
    append_records(path, [Word(text="首都")])
    size = path.stat().st_size
    with files_up_to(size + 10), pytest.raises(DataError, match="cannot be written") as caught:
        append_records(path, [Word(text="เมืองหลวง" * 9)])
    assert "make room" in caught.value.hint
    assert path.stat().st_size == size
    append_records(path, [Word(text="столица")])
    assert [word.text for word in read_records(path, Word)] == ["首都", "столица"]


def test_a_run_on_a_full_disk_stops_and_goes_on_when_there_is_room(run_plan, tmp_path, tiny_model):
    before = tiny_model.fingerprint()
    run = run_plan(out=tmp_path)
    path = run.folder.path / "cases.jsonl"
    whole = lines_but_for_time(path)
    size = path.stat().st_size
    path.unlink()
    with files_up_to(size - 100), pytest.raises(DataError, match=r"cases\.jsonl.*cannot be"):
        run_plan(out=tmp_path)
    assert lines_but_for_time(path) == whole[:1]
    assert tiny_model.fingerprint() == before
    run_plan(out=tmp_path)
    assert lines_but_for_time(path) == whole


def test_a_long_unfinished_line_is_cut_off(tmp_path):
    path = tmp_path / "слова.jsonl"
    append_records(path, [Word(text="東京")])
    with path.open("ab") as stream:
        stream.write(b'{"text": "' + b"x" * (3 << 20))
    append_records(path, [Word(text="Токио")])
    assert [word.text for word in read_records(path, Word)] == ["東京", "Токио"]


def test_plans_of_single_edits_are_called_as_before_there_were_other_modes():
    plan = Plan(benchmark="首都", memla_version="0.1.0")
    other = plan.model_copy(update={"mode": "batch"})
    assert plan.digest.startswith("ef2954c48f56")
    assert other.digest != plan.digest
