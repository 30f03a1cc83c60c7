"""Each command, on a toy model: what it writes and what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LANGUAGES = {"en", "zh", "ja", "ru", "th"}


def test_help_answers_at_once_and_loads_no_torch():
    code = (
        "import sys\n"
        "from memla.cli.main import main\n"
        "sys.argv = ['memla', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'torch', 'transformers', 'numpy', 'babel'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "evaluate" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        *("demo", "edit", "ask", "locate", "evaluate", "editors", "benchmarks", "protocols"),
        *("models", "dataset", "report", "compare", "downstream"),
    ],
)
def test_every_command_explains_itself(memla, command):
    shown = memla(command, "--help")
    assert shown.status == 0
    assert "Usage" in shown.out


def test_without_arguments_the_help_is_shown(memla):
    assert memla().out == memla("--help").out


def test_a_fact_is_demonstrated_in_every_language(memla, model_folder, benchmark_file, quick):
    options = ("--model", model_folder, "--benchmark", benchmark_file, *quick)
    shown = memla("demo", *options, "--source-language", "th", "--fact", "japan", "--json")
    assert shown.status == 0, shown.err
    assert shown.err == ""
    value = shown.json
    assert value["source_language"] == "th"
    assert value["editor"] == "memla"
    assert value["seconds"] > 0
    assert set(value["languages"]) == LANGUAGES
    for change in value["languages"].values():
        for moment in ("before", "after"):
            assert set(change[moment]) == {"answer", "p_new", "p_true"}
            assert 0 <= change[moment]["p_new"] <= 1
    thai = value["languages"]["th"]
    assert thai["after"]["p_new"] > thai["before"]["p_new"]
    assert [neighbor["right"] for neighbor in value["neighbors"]] == ["ปารีส"]
    assert {cell["metric"] for cell in value["scores"]} >= {"ES", "PS", "NS", "EM"}


def test_a_demonstration_is_readable(memla, model_folder, benchmark_file, quick):
    shown = memla("demo", "--model", model_folder, "--benchmark", benchmark_file, *quick)
    assert shown.status == 0, shown.err
    for text in ("France", "Tokyo", "Thai", "Chinese", "Other facts", "ES", "transfer"):
        assert text in shown.out


def test_an_edit_is_saved_and_changes_an_answer(
    memla, tmp_path, model_folder, benchmark_file, fact_options
):
    out = tmp_path / "edits" / "東京"
    options = ("--references", benchmark_file, "--set", "identification.steps=2")
    made = memla("edit", model_folder, *fact_options, *options, "--out", out, "--json")
    assert made.status == 0, made.err
    change = made.json["languages"]["th"]
    assert change["after"]["p_new"] > change["before"]["p_new"]
    assert sorted(path.name for path in out.iterdir()) == ["edit.json", "tensors.safetensors"]
    question = (model_folder, "เมืองหลวงของฝรั่งเศสคือ", "--language", "th", "--json")
    before = memla("ask", *question).json
    after = memla("ask", *question, "--edit", out).json
    assert set(before) == set(after) == {"answer", "p"}
    assert before == memla("ask", *question).json
    assert after["answer"] == change["after"]["answer"]
    assert before["answer"] == change["before"]["answer"]


@pytest.mark.parametrize("ending", ["json", "jsonl", "toml"])
def test_a_fact_in_several_languages_comes_from_a_file(
    memla, tmp_path, model_folder, ending, quick
):
    requests = [
        {
            "language": "ja",
            "prompt": "{}の首都は",
            "subject": "フランス",
            "target_new": "東京",
            "target_true": "パリ",
        },
        {
            "language": "ru",
            "prompt": "Столица страны {} —",
            "subject": "Франция",
            "target_true": "Париж",
        },
    ]
    file = tmp_path / f"факт.{ending}"
    text = {
        "json": json.dumps({"fact": "capital", "requests": requests}, ensure_ascii=False),
        "jsonl": "\n".join(json.dumps(one, ensure_ascii=False) for one in requests),
        "toml": 'fact = "capital"\n'
        + "".join(
            "[[requests]]\n"
            + "".join(f"{key} = {json.dumps(v, ensure_ascii=False)}\n" for key, v in one.items())
            for one in requests
        ),
    }
    file.write_text(text[ending], encoding="utf-8")
    options = ("--file", file, "--references", "none", "--out", tmp_path / "e", *quick, "--json")
    made = memla("edit", model_folder, *options)
    assert made.status == 0, made.err
    assert set(made.json["languages"]) == {"ja"}, "only what has a new answer is written"


def test_names_in_other_languages_are_keys_and_never_answers(memla, tmp_path, model_folder):
    fact = ("--prompt", "法国的首都是", "--subject", "法国", "--target-new", "东京")
    more = ("--language", "zh", "--references", "none", "--editor", "crosskey")
    keys = ("--set", "locality=text", "--set", "covariance.kind=identity", "--set", "steps=2")
    names = ("--name", "th=ฝรั่งเศส", "--name", "ru= Франция ")
    made = memla(
        "edit", model_folder, *fact, *more, *keys, *names, "--out", tmp_path / "e", "--json"
    )
    assert made.status == 0, made.err
    assert set(made.json["languages"]) == {"zh"}
    written = [(code, own) for _, code, own in made.json["edit"]["keys"]]
    assert written == [("zh", True), ("th", False), ("ru", False)]
    subjects = [one["subject"] for one in made.json["edit"]["requests"]]
    assert subjects == ["法国", "ฝรั่งเศส", "Франция"]


@pytest.mark.parametrize(
    ("name", "word"), [("ฝรั่งเศส", "LANGUAGE=NAME"), ("th=", "LANGUAGE=NAME"), ("xx=法国", "'xx'")]
)
def test_a_name_without_a_known_language_is_refused(memla, tmp_path, model_folder, name, word):
    fact = ("--prompt", "法国的首都是", "--subject", "法国", "--target-new", "东京")
    made = memla("edit", model_folder, *fact, "--name", name, "--out", tmp_path / "e")
    assert made.status == 1
    assert word in made.err
    assert made.err.count("\n") <= 2
    assert not (tmp_path / "e").exists()


def test_a_subject_may_be_written_out_in_the_prompt(memla, tmp_path, model_folder, quick):
    fact = ("--prompt", "法国的首都是", "--subject", "法国", "--target-new", "东京")
    more = ("--target-true", "巴黎", "--language", "zh", "--references", "none", *quick)
    made = memla("edit", model_folder, *fact, *more, "--out", tmp_path / "e")
    assert made.status == 0, made.err
    assert "Chinese" in made.out


def test_neurons_are_located_by_language_and_shared(memla, model_folder, benchmark_file):
    options = ("--benchmark", benchmark_file, "--references", benchmark_file, "--set", "steps=2")
    found = memla("locate", model_folder, *options, "--fact", "japan", "--json")
    assert found.status == 0, found.err
    value = found.json
    assert set(value["languages"]) == LANGUAGES
    for neurons in value["languages"].values():
        for layer, neuron, score in neurons:
            assert 0 <= layer < 3
            assert 0 <= neuron < 64
            assert isinstance(score, float)
    assert all(len(neuron) == 2 for neuron in value["shared"])
    table = memla("locate", model_folder, *options)
    assert "shared" in table.out
    assert "Thai" in table.out


def test_an_evaluation_writes_plan_and_scores(memla, model_folder, benchmark_file, tmp_path, quick):
    options = ("--model", model_folder, "--benchmark", benchmark_file, *quick, "--seed", "3")
    more = ("--source-language", "ru", "--limit", "1", "--out", tmp_path / "runs")
    done = memla("evaluate", *options, *more, "--json")
    assert done.status == 0, done.err
    assert done.err == ""
    value = done.json
    assert set(value) == {"plan", "scores"}
    assert value["plan"]["seed"] == 3
    assert value["plan"]["settings"]["steps"] == 2
    cells = {(cell["metric"], cell["target"]): cell for cell in value["scores"]}
    for metric in ("ES", "PS", "NS", "EM", "ES_before", "NS_before"):
        assert set(cells[metric, "transfer"]) == set(cells[metric, "th"])
        assert 0 <= cells[metric, "transfer"]["value"] <= 100
    keys = {"protocol", "metric", "source", "target", "value", "low", "high", "n"}
    assert set(cells["ES", "ru"]) == keys
    (folder,) = [path for path in (tmp_path / "runs").iterdir() if path.is_dir()]
    assert {path.name for path in folder.iterdir()} == {
        "plan.json",
        "environment.json",
        "case_ids.json",
        "cases.jsonl",
        ".lock",
    }
    again = memla("evaluate", *options, *more, "--json")
    assert again.json == value, "a finished run is read, not made again"


def test_an_evaluation_is_readable(memla, model_folder, benchmark_file, quick):
    options = ("--model", model_folder, "--benchmark", benchmark_file, "--limit", "1", *quick)
    done = memla("evaluate", *options, "--target-languages", "en,th", "--f1-units", "words")
    assert done.status == 0, done.err
    for text in ("Thai", "transfer", "ES", "NS", "95 %"):
        assert text in done.out
    assert "Japanese" not in done.out


def test_an_evaluation_follows_the_protocol_it_is_told(memla, model_folder, benchmark_file, quick):
    options = ("--model", model_folder, "--benchmark", benchmark_file, "--limit", "1", *quick)
    targets = ("--target-languages", "en,th")
    done = memla("evaluate", *options, *targets, "--protocol", "bizsre_v2")
    assert done.status == 0, done.err
    for text in ("bizsre_v2", "Thai", "transfer", "reliability F1", "locality EM"):
        assert text in done.out, "no heading is broken, as wide tables become several"
    assert max(map(len, done.out.split("\n"))) <= 100
    written = memla("evaluate", *options, *targets, "--protocol", "counterfact", "--json").json
    assert written["plan"]["answer_score"] == "mean"
    assert {cell["protocol"] for cell in written["scores"]} == {"counterfact"}
    assert {"ES", "EM", "PS", "PM"} <= {cell["metric"] for cell in written["scores"]}


def test_a_protocol_that_is_not_there_is_suggested(memla):
    done = memla("evaluate", "--protocol", "rippleedit")
    assert done.status == 1
    assert "did you mean 'rippleedits'" in done.err


def test_protocols_are_listed_and_told_in_full(memla):
    listed = {one["name"]: one for one in memla("protocols", "--json").json}
    assert {"mkeb", "counterfact", "zsre", "easyedit", "bizsre_v2", "mquake"} <= set(listed)
    assert listed["zsre"]["metrics"] == ["S", "efficacy", "paraphrase", "specificity"]
    (one,) = memla("protocols", "counterfact", "--json").json
    assert one["defaults"] == {"answer_score": "mean"}
    assert "neighborhood" in one["contrasted"]
    assert memla("protocols").status == memla("protocols", "mquake").status == 0


def test_a_recipe_is_a_plan_and_options_change_it(
    memla, tmp_path, model_folder, benchmark_file, quick
):
    recipe = tmp_path / "table.toml"
    recipe.write_text(
        f'model = "{model_folder}"\nbenchmark = "{benchmark_file}"\nlimit = 2\n'
        'source_languages = ["ja"]\n[settings]\nsteps = 1\n',
        encoding="utf-8",
    )
    done = memla("evaluate", recipe, "--limit", "1", *quick, "--json")
    assert done.status == 0, done.err
    assert done.json["plan"]["limit"] == 1
    assert done.json["plan"]["source_languages"] == ["ja"]


def test_what_there_is_is_listed(memla, model_folder, benchmark_file):
    assert "memla" in [one["name"] for one in memla("editors", "--json").json]
    (editor,) = memla("editors", "memla", "--json").json
    assert "steps" in editor["settings"]
    assert "mkeb-geo" in [one["name"] for one in memla("benchmarks", "--json").json]
    (card,) = memla("benchmarks", benchmark_file, "--json").json
    assert card["sizes"] == {"test": 2, "train": 2}
    assert "mini" in [one["name"] for one in memla("models", "--json").json]
    (model,) = memla("models", model_folder, "--json").json
    assert model["family"] == "gpt2"
    for command in (("editors",), ("editors", "memla"), ("models", model_folder), ("benchmarks",)):
        assert memla(*command).status == 0


def test_a_clean_dataset_passes_and_a_broken_one_does_not(memla, tmp_path, benchmark_file):
    clean = memla("dataset", "check", benchmark_file, "--json")
    assert not [one for one in clean.json if one["severity"] == "error"], clean.out
    assert clean.status == 0
    with Path(benchmark_file).open(encoding="utf-8") as stream:
        value = json.loads(stream.readline())
    value["edit"]["th"]["prompt"] = "เมืองหลวงคือ"
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
    found = memla("dataset", "check", broken, "--json")
    assert found.status == 1
    assert any(one["language"] == "th" for one in found.json)
    assert "1 error" in memla("dataset", "check", broken).out


def test_text_goes_out_in_utf_8_whatever_the_terminal_says(model_folder):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "HF_HUB_OFFLINE": "1"}
    command = [
        sys.executable,
        "-m",
        "memla.cli.main",
        "ask",
        model_folder,
        "日本の首都は",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout.decode("utf-8"))) == {"answer", "p"}


def test_what_a_model_says_cannot_steer_the_terminal():
    from memla.cli.output import text

    shown = text("[bold]東\x1b[2J京\r")
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert shown.startswith(r"\[bold]東")
