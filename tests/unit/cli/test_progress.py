"""Long evaluations tell how far they are, to people and to programs."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from memla.cli import progress
from memla.evaluation.results import Plan, Score


@pytest.fixture
def options(model_folder, benchmark_file, quick):
    return ("evaluate", "--model", model_folder, "--benchmark", benchmark_file, *quick)


def score(metric, value):
    return Score(
        case="北京",
        probe=0,
        kind="edit",
        source="zh",
        target="th",
        metric=metric,
        value=value,
        before=0,
    )


def made(**settings):
    times = iter(range(100))
    given = {"show": lambda _: None, "clock": lambda: float(next(times))}
    return progress.Progress(("ES", "NS"), **given | settings)


def test_scores_are_means_of_what_came_so_far():
    shown = made()
    assert shown.scores == {}
    for value in (1.0, 0.0, 1.0, 1.0):
        shown.on_score(score("ES", value))
    shown.on_score(score("PS", 0.0))
    assert shown.scores == {"ES": 75.0}


def test_what_was_done_before_does_not_make_the_rate():
    now = 0.0
    shown = made(clock=lambda: now)
    now = 2.0
    shown.on_progress("edits", 51, 60)
    assert (shown.per_second, shown.seconds_left) == (0.5, 18.0)
    now = 3.0
    shown.on_progress("edits", 54, 60)
    assert shown.as_text() == "1.3/s"
    now = 5.0
    shown.on_progress("after all", 1, 60)
    assert shown.per_second == 0.5, "another phase has its own"


def test_before_any_time_has_passed_there_is_no_rate():
    shown = made(clock=lambda: 1.0)
    shown.on_progress("edits", 1, 2)
    assert json.loads(shown.as_json())["per_second"] is None
    assert shown.as_text() == ""


def test_a_terminal_shows_cases_rate_time_and_scores():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with progress._bar(console) as show:
        now = 0.0
        shown = made(show=show, clock=lambda: now)
        shown.on_score(score("ES", 1.0))
        now = 0.5
        shown.on_progress("edits", 1, 9)
        now = 8.0
        shown.on_progress("edits", 2, 9)
    for part in ("edits", "2/9", "0:00:01", "4.0 s each", "ES 100.0"):
        assert part in out.getvalue()


def test_a_program_reads_a_line_for_each_case(memla, options, tmp_path):
    done = memla(*options, "--source-language", "ru", "--json", "--json-progress")
    assert done.status == 0, done.err
    lines = [json.loads(line) for line in done.err.splitlines()]
    edits = [line for line in lines if line["phase"] == "edits"]
    assert [line["done"] for line in edits] == list(range(1, edits[0]["total"] + 1))
    assert set(edits[0]) == {"phase", "done", "total", "per_second", "seconds_left", "scores"}
    assert set(edits[-1]["scores"]) == {"ES", "NS"}
    assert edits[-1]["seconds_left"] == 0
    assert done.json["scores"]


def test_nobody_is_bothered_where_stderr_is_no_terminal(memla, options):
    done = memla(*options, "--limit", "1", "--source-language", "th")
    assert done.status == 0
    assert done.err == ""


def test_a_protocol_without_es_shows_its_own_first_metrics():
    with progress.shown(Plan(protocol="bizsre_v2"), as_json=True) as shown:
        assert shown.metrics == Plan(protocol="bizsre_v2").definition().metrics[:2]


def test_shards_are_made_and_merged_by_commands(memla, options, tmp_path):
    for number in (1, 2):
        done = memla(*options, "--shard", f"{number}/2", "--out", tmp_path / "ครึ่ง")
        assert done.status == 0, done.err
    (run,) = (path for path in (tmp_path / "ครึ่ง").iterdir() if path.is_dir())
    whole = tmp_path / ("целое" * 20)
    merged = memla("merge", run, "--out", whole)
    assert merged.status == 0, merged.err
    assert merged.out == f"{whole / run.name}\n", "one line, however long"
    at_once = memla(*options, "--out", tmp_path / "一次", "--json").json
    assert memla(*options, "--out", whole, "--json").json == at_once
    again = memla("merge", run, "--out", whole)
    assert again.status == 1
    assert "is there already" in again.err


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--shard", "1/2"), "--out"),
        (("--shard", "3/2", "--out", "部分"), "'3/2'"),
        (("--group-size", "3"), "group_size is 3"),
        (("--mode", "парами"), "парами"),
    ],
)
def test_what_cannot_be_divided_or_grouped_is_said_in_two_lines(memla, options, more, named):
    done = memla(*options, *more)
    assert done.status == 1
    assert named in done.err
    assert len(done.err.splitlines()) <= 2


def test_a_sequence_has_a_table_for_each_moment(memla, options):
    done = memla(*options, "--mode", "sequential", "--group-size", "2", "--source-language", "ja")
    assert done.status == 0, done.err
    for title in ("right after each edit", "after all edits", "before the edits"):
        assert title in done.out
