"""What tables and answers say to a reader."""

from __future__ import annotations

import math

from rich.cells import cell_len

from memla.cli import demo, output
from memla.evaluation.demonstration import Answer, Change, Demonstration
from memla.facts import EditRequest
from memla.models.loading import load_model


def test_one_of_a_thing_is_singular():
    assert [output.count(number, "error") for number in (0, 1, 2)] == [
        "0 errors",
        "1 error",
        "2 errors",
    ]


def test_an_empty_file_is_an_error_and_in_mkebs_format_one_with_the_name_of_its_check(
    memla, tmp_path
):
    (tmp_path / "空.jsonl").touch()
    found = memla("dataset", "check", "空.jsonl")
    assert found.status == 1
    assert found.err.startswith("error: '空.jsonl' has no record\n")
    found = memla("dataset", "check", "空.jsonl", "--format", "mkeb")
    assert found.status == 1
    assert "has no record" in found.out
    assert "1 error, 0 warnings in 空.jsonl" in found.out


def test_the_only_benchmark_is_listed_like_one_of_many(memla):
    assert "Benchmarks" in memla("benchmarks").out


def test_intervals_are_left_out_where_they_would_be_wrapped(
    memla, model_folder, benchmark_file, quick, monkeypatch
):
    command = ("evaluate", "--model", model_folder, "--benchmark", benchmark_file, "--limit", "1")
    narrow = memla(*command, *quick, "--source-language", "th")
    assert "±" not in narrow.out
    assert "wider window" in narrow.out
    monkeypatch.setenv("COLUMNS", "120")
    assert "±" in memla(*command, *quick, "--source-language", "th").out


def test_the_probability_of_an_answer_is_that_of_what_was_written(memla, model_folder):
    # Russian joins answers with a space, and the toy model goes on without one.
    question = "Столица Франции —"
    (written,) = load_model(model_folder).generate([question], max_new_tokens=24, stop="answer")
    said = memla("ask", model_folder, question, "--language", "ru", "--json").json
    assert said["answer"] == written.text
    assert said["p"] >= math.exp(written.log_prob) * 0.999


def test_the_change_of_a_probability_has_no_unit_and_none_where_nothing_is_known():
    assert output.percent_change(0.0009, 0.98) == "< 0.1 → 98.0"
    assert output.percent_change(0.975, 0.001) == "97.5 → 0.1"
    assert output.percent_change(None, 0.5) == ""


def test_the_demonstration_breaks_no_word_in_a_window_of_eighty_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    change = Change(
        before=Answer(answer="Vereinigtes Königreich", p_new=0.0, p_true=0.975),
        after=Answer(answer="Großbritannien", p_new=0.98, p_true=0.0),
    )
    request = EditRequest(
        fact="london", language="de", prompt="{} liegt in", subject="London", target_new="Belarus"
    )
    shown = Demonstration(request, "memla", 2.7, {"de": change}, (), ())
    output.write(*demo.tables(shown))
    out = capsys.readouterr().out
    assert max(map(cell_len, out.splitlines())) <= 80
    for word in ("Vereinigtes", "Königreich", "Großbritannien", "0.1 → 98.0", "97.5 → < 0.1"):
        assert word in out
