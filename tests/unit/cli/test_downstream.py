"""``memla downstream`` tells what saved edits broke; plans with it are evaluated by recipe."""

from __future__ import annotations

import json

import pytest
import torch

from memla import load_edit, load_model
from memla.editors.edits import RowSparse, WeightDelta
from memla.evaluation.downstream.reading import read_downstream

TEXTS = [("th", "เมืองหลวงของไทยคือกรุงเทพ"), ("zh", "东京是日本的首都。"), ("th", "สวัสดี")]


@pytest.fixture
def edit_folder(tmp_path, model_folder):
    model = load_model(model_folder)
    update = torch.randn(24, model.d_model, generator=torch.Generator().manual_seed(5))
    request = {"fact": "france", "language": "th", "subject": "ฝรั่งเศส", "target_new": "โตเกียว"}
    delta = {1: RowSparse(torch.arange(24), 2 * update)}
    edit = WeightDelta(delta, model.fingerprint(), {"requests": [request]})
    return edit.save(tmp_path / "編集")


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "тексты.jsonl"
    lines = [json.dumps({"language": code, "text": text}) + "\n" for code, text in TEXTS]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_text_and_other_facts_are_measured_in_every_language(
    memla, edit_folder, model_folder, benchmark_file
):
    options = ("--model", model_folder, "--benchmark", benchmark_file, "--facts", 1)
    shown = memla("downstream", edit_folder, *options)
    assert shown.status == 0, shown.err
    for text in ("Thai", "Chinese", "Russian", "perplexity", "KL in nats", "first token stays"):
        assert text in shown.out
    value = memla("downstream", edit_folder, *options, "--json").json
    assert value["edits"] == [str(edit_folder)]
    found = {(one["language"], one["metric"]): one for one in value["scores"]}
    assert len(found) == 5 * 4
    for (_, metric), one in found.items():
        assert one["error"] is None
        assert one["n"] == 1, "France is edited, the others are seen by editors"
        if metric == "kl":
            assert one["value"] > one["before"] == 0
        if metric == "perplexity":
            assert one["value"] != one["before"]


def test_numbers_are_those_of_the_model_with_the_edit(memla, edit_folder, model_folder, text_file):
    options = ("--model", model_folder, "--text", text_file, "--facts", 0, "--json")
    (one,) = (
        one
        for one in memla("downstream", edit_folder, *options).json["scores"]
        if (one["language"], one["metric"]) == ("zh", "bits_per_byte")
    )
    model = load_model(model_folder)
    mark = model.tokenizer.eos_token

    def bits():
        (score,) = model.log_probs([mark], [TEXTS[1][1]], ["zh"])
        return -score.per_byte / torch.log(torch.tensor(2.0)).item()

    assert one["before"] == pytest.approx(bits(), rel=1e-4)
    with load_edit(edit_folder).applied(model):
        assert one["value"] == pytest.approx(bits(), rel=1e-4)
    assert one["n"] == 1


def test_what_the_edit_is_about_is_not_asked(
    memla, edit_folder, model_folder, benchmark_file, tmp_path
):
    options = ("--model", model_folder, "--benchmark", benchmark_file, "--facts", 99, "--json")
    value = memla("downstream", edit_folder, *options, "--languages", "th, ru").json
    found = {(one["language"], one["metric"]): one["n"] for one in value["scores"]}
    assert found == {
        (language, metric): 1
        for language in ("th", "ru")
        for metric in ("perplexity", "bits_per_byte", "kl", "first_token_kept")
    }, "Japan; not France, and not what editors see"


def test_a_language_that_the_benchmark_lacks_is_named(
    memla, edit_folder, model_folder, benchmark_file
):
    options = ("--model", model_folder, "--benchmark", benchmark_file)
    shown = memla("downstream", edit_folder, *options, "--languages", "th,ko")
    assert shown.status == 1
    assert "nothing in language 'ko'" in shown.err
    assert "it has: en zh" in shown.err


def test_edits_add_up(memla, edit_folder, model_folder, benchmark_file, tmp_path):
    model = load_model(model_folder)
    other = WeightDelta({0: RowSparse(torch.arange(3), torch.ones(3, 32))}, model.fingerprint())
    second = other.save(tmp_path / "второй")
    options = ("--model", model_folder, "--benchmark", benchmark_file, "--facts", 2, "--json")
    values = []
    for folders in ((edit_folder,), (second,), (edit_folder, second)):
        scores = memla("downstream", *folders, *options).json["scores"]
        values.append([one["value"] for one in scores])
    assert values[0] != values[1] != values[2] != values[0]


def test_an_edit_of_another_model_is_refused(memla, tmp_path, model_folder, benchmark_file):
    delta = WeightDelta({0: RowSparse(torch.arange(3), torch.ones(3, 32))}, "首都")
    folder = delta.save(tmp_path / "ж")
    shown = memla("downstream", folder, "--model", model_folder, "--benchmark", benchmark_file)
    assert shown.status == 1
    assert "other weights" in shown.err


def test_a_broken_model_is_told_and_no_failure(
    memla, tmp_path, model_folder, benchmark_file, text_file
):
    model = load_model(model_folder)
    update = torch.full((3, model.d_model), float("nan"))
    delta = WeightDelta({0: RowSparse(torch.arange(3), update)}, model.fingerprint())
    folder = delta.save(tmp_path / "сломано")
    options = ("--model", model_folder, "--benchmark", benchmark_file, "--text", text_file)
    shown = memla("downstream", folder, *options)
    assert shown.status == 0, shown.err
    assert "none" in shown.out
    assert "perplexity cannot be measured any more: ModelError" in " ".join(shown.out.split())


def test_nothing_to_measure_is_told(memla, edit_folder, model_folder):
    shown = memla("downstream", edit_folder, "--model", model_folder, "--facts", 0)
    assert shown.status == 1
    assert "no tasks, no texts and no facts" in shown.err


def test_a_recipe_says_what_to_measure(memla, tmp_path, model_folder, benchmark_file, text_file):
    recipe = tmp_path / "ущерб.toml"
    recipe.write_text(
        f'model = "{model_folder}"\nbenchmark = "{benchmark_file}"\neditor = "rome"\n'
        'mode = "sequential"\ngroup_size = 2\ntarget_languages = ["th"]\n'
        f'[downstream]\nafter = [1, 2, 10]\nfacts = 1\ntext = "{text_file}"\n',
        encoding="utf-8",
    )
    done = memla("evaluate", recipe, "--out", tmp_path / "runs", "--json")
    assert done.status == 0, done.err
    assert {one["metric"] for one in done.json["downstream"]} >= {"kl", "perplexity"}
    again = memla("evaluate", recipe, "--out", tmp_path / "runs").out
    assert "edited in en: everything else" in again
    for kl in (one for one in done.json["downstream"] if one["metric"] == "kl"):
        assert f"{kl['value']:.3f}" in again
    assert "bits per byte of text" in again
    (folder,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    found = {(one.edits, one.language, one.metric) for one in read_downstream(folder)}
    assert found == {
        (edits, language, metric)
        for edits in (1, 2)
        for language, metric in (
            ("th", "perplexity"),
            ("th", "bits_per_byte"),
            ("zh", "perplexity"),
            ("zh", "bits_per_byte"),
            ("th", "kl"),
            ("th", "first_token_kept"),
        )
    }
