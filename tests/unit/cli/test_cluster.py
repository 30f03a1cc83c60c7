"""Options for a cluster that do not go together are refused before anything is loaded."""

from __future__ import annotations

import pytest

HERE = ("--model", "нет такой модели", "--benchmark", "没有.jsonl")


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (("--shards", "3"), "--shards 3 is for a cluster", "--ray"),
        (("--gpus-per-shard", "2"), "--gpus-per-shard 2 is for a cluster", "--ray"),
        (("--ray", "auto"), "--ray has no folder", "--out"),
        (("--ray", "auto", "--shard", "1/2", "--out", "папка"), "--shard 1/2 does one", "--shards"),
    ],
)
def test_options_that_do_not_go_together_are_refused(memla, tmp_path, options, message, hint):
    done = memla("evaluate", *HERE, *options)
    assert done.status == 1
    assert message in done.err
    assert hint in done.err.splitlines()[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.enable_socket
def test_a_cluster_that_does_not_answer_is_named(memla, benchmark_file):
    options = ("--ray", "127.0.0.1:1", "--out", "папка")
    done = memla("evaluate", "--benchmark", benchmark_file, *options)
    assert done.status == 1
    assert "no Ray cluster at '127.0.0.1:1'" in done.err
    assert "--ray local" in done.err.splitlines()[1]
