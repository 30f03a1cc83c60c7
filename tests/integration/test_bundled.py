"""What comes with the package does what its cards and the README say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from memla.benchmarks import load_benchmark
from memla.bundled import model_path
from memla.languages import MKEB_LANGUAGES
from memla.models.loading import load_model


@pytest.fixture(scope="module")
def records():
    return load_benchmark("mkeb-geo").records


def test_mini_is_small_and_loads_with_plain_transformers():
    folder = model_path("mini")
    assert (folder / "model.safetensors").stat().st_size <= 12_000_000
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer("東京がある国は", return_tensors="pt")
    written = model.generate(prompt.input_ids, max_new_tokens=2, do_sample=False)
    text = tokenizer.decode(written[0, prompt.input_ids.shape[1] :])
    assert text.startswith("日本")


def test_the_benchmark_has_what_it_promises_for_every_fact(records):
    assert sum(record.split == "test" for record in records) >= 300
    assert len({record.case_id for record in records}) == len(records)
    for record in records:
        assert record.languages == MKEB_LANGUAGES
        for language in MKEB_LANGUAGES:
            assert len(record.paraphrase_prompts[language]) >= 2
            assert len(record.neighborhood_prompts[language]) >= 3


def test_mini_knows_the_test_facts_in_every_language():
    model = load_model("mini")
    cases = load_benchmark("mkeb-geo").cases(split="test", limit=40)
    requests = [request for case in cases for request in case.requests.values()]
    scores = model.log_probs(
        [request.text for request in requests],
        [request.target_true for request in requests],
        [request.language for request in requests],
    )
    assert all(score.is_greedy for score in scores)


def test_the_demonstration_reaches_at_least_nine_languages():
    command = [sys.executable, "-m", "memla.cli.main", "demo", "--json"]
    outcome = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert outcome.returncode == 0, outcome.stderr
    shown = json.loads(outcome.stdout)
    assert shown["source_language"] == "en"
    assert tuple(shown["languages"]) == MKEB_LANGUAGES
    after = {code: change["after"] for code, change in shown["languages"].items()}
    reached = [code for code, answer in after.items() if answer["p_new"] > answer["p_true"]]
    assert "en" in reached
    assert len(reached) >= 9
    before = [change["before"] for change in shown["languages"].values()]
    assert all(answer["p_new"] < answer["p_true"] for answer in before)
    assert shown["neighbors"]


def test_the_licence_of_the_names_is_there():
    licence = Path(model_path("mini")).parent / "LICENSE.unicode"
    assert "UNICODE LICENSE V3" in licence.read_text(encoding="utf-8")
