"""A recipe on the command line: all plans looked over first, one run after the other, one table."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from memla.evaluation.locks import locked
from memla.evaluation.recipes import read_recipe_run

RECIPE = """
title = "編集と質問: ช่วย"
about = "Что меняется"
metrics = ["PS", "ES"]
[plan]
source_languages = ["ja", "th"]
limit = 1
settings = {{ steps = 2 }}
{more}
[[variants]]
editor = "ft"
[[variants]]
name = "ft, скорость {{value}}"
editor = "ft"
sweep = {{ setting = "learning_rate", values = [0.001] }}
"""


@pytest.fixture
def evaluate(memla, tmp_path, model_folder, benchmark_file):
    """Carry out a recipe with these lines in [plan] and after its variants."""

    def run(*options, more="", end=""):
        path = tmp_path / "表.toml"
        path.write_text(RECIPE.format(more=more) + end, encoding="utf-8")
        return memla(
            *("evaluate", path, "--model", model_folder, "--benchmark", benchmark_file), *options
        )

    return run


def runs(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def test_each_variant_and_source_is_run_and_shown(evaluate, tmp_path):
    done = evaluate()
    assert done.status == 0, done.err
    assert done.err == "", "nothing is shown where stderr is no terminal"
    folder = tmp_path / "runs" / "表"
    written = read_recipe_run(folder / "recipe-表.json")
    assert [(one.variant, one.source) for one in written.entries] == [
        ("ft", "ja"),
        ("ft", "th"),
        ("ft, скорость 0.001", "ja"),
        ("ft, скорость 0.001", "th"),
    ]
    assert sorted(one.run for one in written.entries) == runs(folder)
    assert (written.title, written.metrics) == ("編集と質問: ช่วย", ("PS", "ES"))
    assert written.entries[3].value == 0.001
    for words in ("編集と質問", "ft, скорость 0.001", "memla report 'runs/表' --html"):
        assert words in done.out
    assert done.out.index("PS") < done.out.index("ES"), "in the order of the recipe"
    assert "NS" not in done.out


def test_what_to_do_next_can_be_copied_whatever_the_folder_is_called(evaluate):
    folder = f"[th]/{'表' * 60}"
    done = evaluate("--only", "ft", "--source-language", "th", "--out", folder)
    assert done.status == 0, done.err
    assert f"The runs are in {folder}." in done.out
    assert f"memla report '{folder}' --html '{folder}/report.html'\n" in done.out


def test_what_is_finished_is_not_made_again(evaluate, tmp_path):
    first = evaluate("--json", "--out", "out")
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/ft-*/cases.jsonl")}
    again = evaluate("--json", "--out", "out")
    assert again.json == first.json
    assert len(times) == 4
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_a_run_that_another_process_is_at_work_on_is_made_last(evaluate, tmp_path):
    options = ("--only", "ft", "--out", "out", "--json")
    first, second = (one["run"] for one in evaluate(*options, "--limit", "2").json["runs"])
    folder = tmp_path / "out"
    for path in (folder / first / "cases.jsonl", folder / second / "cases.jsonl"):
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])

    def n_cases(run: str) -> int:
        return (folder / run / "cases.jsonl").read_bytes().count(b"\n")

    def hold_until_the_second_is_through() -> int:
        with locked(folder / first / ".lock"):
            started.append(True)
            while n_cases(second) < 2:
                time.sleep(0.01)
            return n_cases(first)

    started = []
    with ThreadPoolExecutor() as pool:
        elsewhere = pool.submit(hold_until_the_second_is_through)
        while not started:
            time.sleep(0.01)
        done = evaluate(*options, "--limit", "2")
    assert done.status == 0, done.err
    assert elsewhere.result() == 1
    assert [one["run"] for one in done.json["runs"]] == [first, second]
    assert n_cases(first) == 2


def test_json_has_every_score_of_every_run(evaluate):
    found = evaluate("--json", "--source-language", "th").json
    assert found["title"] == "編集と質問: ช่วย"
    assert [one["variant"] for one in found["runs"]] == ["ft", "ft, скорость 0.001"]
    for one in found["runs"]:
        assert one["error"] is None
        assert one["plan"]["source_languages"] == ["th"]
        assert {"ES", "PS", "NS"} <= {score["metric"] for score in one["scores"]}


def test_only_some_variants_are_run_but_all_are_written_down(evaluate, tmp_path):
    done = evaluate("--only", "ft, скорость 0.001", "--source-language", "th", "--json")
    assert [one["variant"] for one in done.json["runs"]] == ["ft, скорость 0.001"]
    folder = tmp_path / "runs" / "表"
    assert len(runs(folder)) == 1
    assert len(read_recipe_run(folder / "recipe-表.json").entries) == 2


def test_progress_says_which_run_of_how_many(evaluate):
    lines = evaluate("--json-progress").err.splitlines()
    found = [json.loads(line) for line in lines]
    assert [(one["run"], one["runs"]) for one in found if one["phase"] == "edits"] == [
        (number, 4) for number in (1, 2, 3, 4)
    ]
    assert (found[-1]["variant"], found[-1]["source"]) == ("ft, скорость 0.001", "th")


def test_a_shard_is_done_of_every_run(evaluate, tmp_path):
    for shard in ("1/2", "2/2"):
        assert evaluate("--shard", shard, "--out", "parts", "--limit", "2").status == 0
    whole = evaluate("--out", "whole", "--limit", "2")
    assert whole.status == 0
    assert runs(tmp_path / "parts") == runs(tmp_path / "whole")
    again = evaluate("--out", "parts", "--limit", "2")
    assert again.out.replace("parts", "whole") == whole.out


def test_json_has_what_edits_did_to_everything_else(evaluate):
    more = 'mode = "batch"\ndownstream = { facts = 1, texts = 0 }\ntarget_languages = ["th"]'
    found = evaluate("--json", "--source-language", "ja", more=more).json
    for one in found["runs"]:
        assert {score["metric"] for score in one["downstream"]} == {"kl", "first_token_kept"}
    assert "downstream" not in evaluate("--json", "--source-language", "ja").json["runs"][0]


WRONG = {
    "editor": ({}, ("--editor", "kn"), "--only"),
    "settings": ({}, ("--set", "steps=3"), "ft, скорость 0.001"),
    "unknown variant": ({}, ("--only", "ft, скорость 1"), "did you mean 'ft, скорость 0.001'"),
    "unknown key": ({"more": 'sorce = "ja"'}, (), "sorce"),
    "setting of the last variant": (
        {"end": '[[variants]]\nname = "последний"\neditor = "rome"\nsettings = { clmp = 1 }\n'},
        (),
        "'последний'",
    ),
    "language": ({"more": 'target_languages = ["ko"]'}, (), "'ko'"),
}


@pytest.mark.parametrize(("text", "options", "named"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_told_before_the_first_edit(evaluate, tmp_path, text, options, named):
    done = evaluate(*options, **text)
    assert done.status == 1
    assert named in done.err
    assert not list(tmp_path.rglob("cases.jsonl"))


def test_when_every_case_of_a_run_fails_the_others_are_made(evaluate):
    broken = (
        '[[variants]]\nname = "сломано"\neditor = "memla"\nsource_languages = ["th"]\n'
        'settings = { identification = { baseline = "unk" } }\n'
        '[[variants]]\nname = "целое"\neditor = "ft"\nsettings = { steps = 1 }\n'
    )
    done = evaluate(end=broken)
    assert done.status == 1
    assert "error: сломано, th: every case failed" in done.err
    rows = [line for line in done.out.splitlines() if "сломано" in line or "целое" in line]
    assert [row.count("failed") for row in rows] == [2, 0, 0]
    found = evaluate("--json", end=broken)
    assert found.status == 1
    assert [one["error"] is not None for one in found.json["runs"]] == 4 * [False] + [
        True,
        False,
        False,
    ]


def test_only_needs_a_recipe(memla, tmp_path):
    path = tmp_path / "план.toml"
    path.write_text('editor = "ft"\n', encoding="utf-8")
    done = memla("evaluate", path, "--only", "ft")
    assert done.status == 1
    assert "recipes/memla/table3.toml" in done.err


def test_options_reach_the_keys_of_a_plan_inside_others(
    memla, tmp_path, model_folder, benchmark_file
):
    path = tmp_path / "план.toml"
    path.write_text('editor = "ft"\nlimit = 1\nsettings = { steps = 1 }\n', encoding="utf-8")
    options = ("--model", model_folder, "--benchmark", benchmark_file, "--set", "epsilon=0.5")
    options += ("--source-language", "th", "--references", benchmark_file)
    plan = memla("evaluate", path, *options, "--json").json["plan"]
    assert (plan["settings"]["steps"], plan["settings"]["epsilon"]) == (1, 0.5)
    assert plan["references"] == benchmark_file
