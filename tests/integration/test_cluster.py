"""Two workers, some of them killed, make the run that one process makes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memla.evaluation.cluster import connected
from memla.evaluation.results import Plan
from memla.evaluation.runner import evaluate

# Ray's parts talk to each other through sockets of this machine.
pytestmark = [pytest.mark.slow, pytest.mark.enable_socket, pytest.mark.timeout(900)]


def lines_but_for_time(path):
    values = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [json.dumps(value | {"seconds": 0}, ensure_ascii=False) for value in values]


def workers_of_shards():
    """Processes that are at work on a shard."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::memla "):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds workers in /proc")
def test_workers_that_are_killed_lose_and_repeat_nothing(tmp_path):
    plan = Plan(editor="ft", source_languages=("th",), target_languages=("th", "ru"), limit=16)
    killed = []

    def kill(_phase, done, total):
        running = sorted(workers_of_shards())
        if len(killed) < 3 and running and done < total:
            killed.append(running[len(killed) % len(running)])
            os.kill(killed[-1], signal.SIGKILL)

    with connected("local") as cluster:
        there = cluster.evaluate(plan, out=tmp_path / "там", n_shards=2, on_progress=kill)
    assert len(killed) == 3, "all was done before the workers could be killed"
    here = evaluate(plan, out=tmp_path / "здесь")
    paths = (run.folder.path / "cases.jsonl" for run in (there, here))
    assert len(set(map(tuple, map(lines_but_for_time, paths)))) == 1


def test_a_recipe_is_made_on_a_cluster_with_one_line(tmp_path):
    recipe = tmp_path / "首都.toml"
    recipe.write_text(
        'title = "FT, zh"\n[plan]\neditor = "ft"\nsource_languages = ["zh", "th"]\n'
        'target_languages = ["zh"]\nlimit = 2\n[[variants]]\n'
        'name = "{value}"\nsweep = { setting = "steps", values = [2, 3] }\n',
        encoding="utf-8",
    )
    made = {}
    for name, more in (("там", ("--ray", "local", "--shards", "2")), ("здесь", ())):
        command = [sys.executable, "-m", "memla.cli.main", "evaluate", str(recipe), "--json"]
        done = subprocess.run(
            [*command, "--out", name, *more],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        assert "Traceback" not in done.stderr
        made[name] = json.loads(done.stdout)
        assert (tmp_path / name / "recipe-首都.json").exists()
    assert len(made["там"]["runs"]) == 4
    assert made["там"] == made["здесь"]
