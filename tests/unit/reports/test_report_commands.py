"""``memla report`` and ``memla compare``."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from memla.cli.main import app
from memla.evaluation.summary import read_run
from tests.unit.reports.conftest import looked_at_after_all


@pytest.fixture
def memla():
    return lambda *arguments: CliRunner().invoke(app, [str(one) for one in arguments])


def test_a_report_is_written_in_every_format_at_once(memla, make_run, tmp_path):
    run = make_run("one", reached=("th",))
    files = {kind: tmp_path / f"报告.{kind}" for kind in ("html", "latex", "markdown", "csv")}
    options = [part for kind, path in files.items() for part in (f"--{kind}", path)]
    done = memla("report", run, *options)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("is written") == 4
    assert files["html"].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "\\toprule" in files["latex"].read_text(encoding="utf-8")
    assert "| editor |" in files["markdown"].read_text(encoding="utf-8")
    assert files["csv"].read_text(encoding="utf-8").startswith("recipe,editor,run,model,")


def test_numbers_are_printed_as_json(memla, make_run):
    value = json.loads(memla("report", make_run("one"), "--json").stdout)
    assert value["written"] == {}
    assert {"editor", "model", "model_note", "protocol", "n"} <= value["scores"][0].keys()


def test_a_report_that_goes_nowhere_is_refused_with_the_way_out(memla, make_run):
    done = memla("report", make_run("one"))
    assert done.exit_code == 1
    assert "--html report.html" in done.stderr


def test_two_protocols_end_in_two_lines(memla, make_run, tmp_path):
    runs = make_run("one"), make_run("two", protocol="counterfact")
    done = memla("report", *runs, "--html", tmp_path / "x.html")
    assert done.exit_code == 1
    assert "protocol is 'mkeb' and 'counterfact'" in done.stderr
    assert len(done.stderr.strip().split("\n")) == 2
    assert not (tmp_path / "x.html").exists()


def test_two_runs_are_compared_on_the_cases_they_share(memla, make_run):
    runs = make_run("one", reached=("ja", "th")), make_run("two", editor="ft", cases=3)
    done = memla("compare", *runs)
    assert done.exit_code == 0, done.stderr
    assert "ES: memla minus ft on mini, edited in en (mkeb)" in done.stdout
    thai = next(line for line in done.stdout.split("\n") if "Thai" in line)
    assert "+100.0" in thai
    assert "*" in thai
    cells = json.loads(memla("compare", *runs, "--json").stdout)["scores"]
    found = {(c["metric"], c["source"], c["target"]): c for c in cells}
    assert found["ES", "en", "transfer"]["value"] == 50
    assert found["ES", "en", "th"]["n"] == 3


def test_a_comparison_of_two_models_is_noted(memla, make_run):
    runs = make_run("one", model_fingerprint="a"), make_run("two", model_fingerprint="b")
    assert "different models" in memla("compare", *runs).stderr


def test_runs_that_are_measured_differently_are_not_compared(memla, make_run):
    runs = make_run("one"), make_run("two", answer_score="mean")
    done = memla("compare", *runs)
    assert done.exit_code == 1
    assert "answer_score is 'joint' and 'mean'" in done.stderr


def test_a_comparison_of_two_benchmarks_is_noted(memla, make_run):
    runs = make_run("one"), make_run("two", benchmark="事实.json")
    assert "different benchmarks: mkeb-geo and 事实.json" in memla("compare", *runs).stderr


def test_means_are_compared_over_the_languages_that_both_were_asked_in(memla, make_run):
    reached = {"sources": ("th",), "reached": ("ja",)}
    runs = make_run("one", **reached), make_run("two", **reached, target_languages=("th", "ja"))
    results = [asked_in(one, {"th", "ja"}) for one in read_run(runs[1]).results()]
    lines = "".join(one.to_json() + "\n" for one in results)
    (runs[1] / "cases.jsonl").write_text(lines, encoding="utf-8")
    for pair in (runs, runs[::-1]):
        cells = json.loads(memla("compare", *pair, "--json").stdout)["scores"]
        found = {(c["metric"], c["target"]): c["value"] for c in cells}
        assert found["ES", "ja"] == found["ES", "transfer"] == 0


def asked_in(result, languages):
    """A result without what was said in other languages."""
    kept = (
        tuple(one for one in seen if one.probe.language in languages)
        for seen in (result.before, result.after)
    )
    return result.model_copy(update=dict(zip(("before", "after"), kept, strict=True)))


def test_sequences_are_also_compared_after_all_edits_on_what_both_have(memla, make_run):
    sequence = {"mode": "sequential", "group_size": 4, "sources": ("th",), "reached": ("ja",)}
    lasting = looked_at_after_all(make_run("one", **sequence), keep=True, cases=2)
    fading = looked_at_after_all(make_run("two", editor="ft", **sequence), keep=False)
    done = memla("compare", lasting, fading)
    assert "ES after all edits: memla minus ft" in done.stdout
    cells = json.loads(memla("compare", lasting, fading, "--json").stdout)["scores"]
    found = {(c["metric"], c["target"]): c for c in cells}
    assert found["ES", "th"]["value"] == 0
    assert found["ES", "th"]["n"] == 4
    assert found["ES_after_all", "th"]["value"] == 100
    assert found["ES_after_all", "th"]["n"] == 2
    assert found["ES_after_all", "zh"]["value"] == 0
    single = make_run("three", sources=("th",))
    assert "after all" not in memla("compare", lasting, single).stdout
