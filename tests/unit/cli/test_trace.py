from __future__ import annotations

import pytest

FACT = (
    *("--prompt", "เมืองหลวงของ{}คือ", "--subject", "ฝรั่งเศส", "--language", "th"),
    *("--target-true", "ปารีส"),
)


def test_a_fact_is_traced_and_shown_as_a_table(memla, model_folder):
    outcome = memla("trace", model_folder, *FACT, "--samples", "2")
    assert outcome.status == 0, outcome.err
    assert "Thai" in outcome.out
    assert "Given back by one block" in outcome.out
    assert "Given back by the MLPs of 1 layer" in outcome.out
    assert "last subject token" in outcome.out
    assert "-0.0" not in outcome.out


def test_a_benchmark_is_traced_in_each_of_its_languages(memla, model_folder, benchmark_file):
    options = ("--benchmark", benchmark_file, "--limit", "1", "--samples", "1")
    outcome = memla("trace", model_folder, *options, "--sites", "attention", "--json")
    assert outcome.status == 0, outcome.err
    assert list(outcome.json["languages"]) == ["en", "zh", "ja", "ru", "th"]
    assert outcome.json["n_statements"] == 5
    effects = outcome.json["all"]["effects"]["attention"]
    assert [len(row) for row in effects] == [3] * len(outcome.json["positions"])
    shown = memla("trace", model_folder, *options, "--sites", "mlp")
    assert "all languages" in shown.out
    assert "Japanese" in shown.out


def test_the_same_seed_gives_the_same_effects(memla, model_folder):
    options = (*FACT, "--samples", "2", "--sites", "block", "--json")
    first, second = (memla("trace", model_folder, *options).json for _ in range(2))
    other = memla("trace", model_folder, *options, "--seed", "1").json
    assert first == second
    assert first != other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "there is no fact to trace"),
        (FACT[:-2], "has no target_true"),
        ([*FACT, "--benchmark", "mkeb-geo"], "exclude each other"),
        ([*FACT, "--sites", "หัว"], "names no site"),
        ([*FACT, "--noise", "-1"], "noise is -1"),
        ([*FACT, "--known-only"], "gives none of the 1 true answers"),
    ],
)
def test_options_that_cannot_be_are_two_lines(memla, model_folder, options, message):
    outcome = memla("trace", model_folder, *options)
    assert outcome.status == 1
    assert outcome.out == ""
    error, hint = outcome.err.splitlines()
    assert message in error
    assert hint.startswith("hint: ")
