from __future__ import annotations

from contextlib import nullcontext
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from memla.attribution import key_moments
from memla.attribution.key_statistics import KeyStatistics, collect_statistics, statement_texts
from memla.benchmarks import load_benchmark
from memla.cli import statistics
from memla.models.loading import load_model


@pytest.fixture
def measure(memla, model_folder, tmp_path):
    """Run ``memla statistics`` on the toy model with a cache of its own."""

    def run(*arguments: object, out: str = "สถิติ.safetensors"):
        options = ("--cache", tmp_path / "cache", "--out", tmp_path / out)
        return memla("statistics", model_folder, *arguments, *options)

    return run


def test_statistics_of_a_benchmark_are_written_and_shown(
    measure, benchmark_file, model_folder, tmp_path
):
    outcome = measure("--benchmark", benchmark_file)
    assert outcome.status == 0, outcome.err
    assert "Japanese" in outcome.out
    assert "20.0 %" in outcome.out
    found = KeyStatistics.load(tmp_path / "สถิติ.safetensors")
    cases = load_benchmark(benchmark_file).cases(split="train")
    texts = statement_texts(one for case in cases for one in case.requests.values())
    expected = collect_statistics(load_model(model_folder), texts)
    assert found.corpus == expected.corpus
    for layer, moment in expected.moments.items():
        torch.testing.assert_close(found.moments[layer], moment)


def test_texts_of_several_languages_layers_and_weights_can_be_given(measure, tmp_path):
    (tmp_path / "th.txt").write_text("สวัสดีชาวโลก\n\nกรุงเทพ\n", encoding="utf-8")
    (tmp_path / "ru.txt").write_text("Привет, мир", encoding="utf-8")
    outcome = measure(
        *("--text", f"th={tmp_path / 'th.txt'}", "--text", f"RU={tmp_path / 'ru.txt'}"),
        *("--layers", "0,2-2", "--mixture", "th=3, ru=1", "--json"),
    )
    assert outcome.status == 0, outcome.err
    assert outcome.json["layers"] == [0, 2]
    assert outcome.json["mixture"] == {"ru": 0.25, "th": 0.75}
    assert set(outcome.json["keys"]) == {"ru", "th"}
    found = KeyStatistics.load(outcome.json["file"])
    assert outcome.json["corpus"] == found.corpus
    assert outcome.json["model_fingerprint"] == found.fingerprint


def test_facts_of_a_file_can_be_counted_at_their_subjects(measure, tmp_path):
    (tmp_path / "事实.toml").write_text(
        'language = "zh"\nprompt = "{}的首都是"\nsubject = "法国"\ntarget_true = "巴黎"\n',
        encoding="utf-8",
    )
    outcome = measure("--file", tmp_path / "事实.toml", "--position", "subject-last", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["keys"] == {"zh": 1}
    assert outcome.json["position"] == "subject_last"


def test_what_was_interrupted_continues_when_the_command_is_given_again(
    measure, monkeypatch, tmp_path
):
    (tmp_path / "th.txt").write_text("กรุงเทพมหานคร\n" * 600, encoding="utf-8")
    clock = SimpleNamespace(monotonic=count(step=60).__next__)  # a minute between two looks at it
    monkeypatch.setattr(key_moments, "time", clock)
    monkeypatch.setattr(key_moments, "CHECKPOINT_SHARE", float("inf"))
    pressed = []

    def press(_phase: str, done: int, _total: int) -> None:
        if done and not pressed:
            pressed.append(done)
            raise KeyboardInterrupt

    monkeypatch.setattr(statistics.output, "progress_bar", lambda: nullcontext(press))
    first = measure("--text", f"th={tmp_path / 'th.txt'}")
    assert first.status == 130
    assert "the same command continues" in first.err
    second = measure("--text", f"th={tmp_path / 'th.txt'}")
    assert second.status == 0
    assert f"continuing after {pressed[0]} of" in second.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", "th"], "is not LANGUAGE=..."),
        (["--text", "xx=a.txt"], "no language 'xx'"),
        (["--text", "th=ไม่มี.txt"], "there is no file 'ไม่มี.txt'"),
        (["--text", "th=a", "--benchmark", "mkeb-geo"], "exclude each other"),
        (["--mixture", "th=มาก"], "'มาก' is not a number"),
        (["--mixture", "th=-1"], "the weight of 'th' is -1"),
        (["--position", "first"], "--position 'first' is unknown"),
        (["--layers", "3"], "is not in the model"),
        (["--layers", "2-1"], "is not in the model"),
        (["--layers", "ก"], "names no layers"),
        (["--split", "ทดสอบ"], "has no split"),
    ],
)
def test_options_that_cannot_be_are_two_lines(measure, benchmark_file, options, message):
    if not {"--text", "--benchmark"} & set(options):
        options = [*options, "--benchmark", benchmark_file]
    outcome = measure(*options)
    assert outcome.status == 1
    assert outcome.out == ""
    error, hint = outcome.err.splitlines()
    assert message in error
    assert hint.startswith("hint: ")


def test_a_file_of_another_kind_is_not_overwritten(measure, benchmark_file, tmp_path):
    for name in ("บันทึก.txt", "folder"):
        path = tmp_path / name
        path.write_text("สำคัญ", encoding="utf-8") if name.endswith("txt") else path.mkdir()
        outcome = measure("--benchmark", benchmark_file, out=name)
        assert outcome.status == 1
        assert name in outcome.err
    assert (tmp_path / "บันทึก.txt").read_text(encoding="utf-8") == "สำคัญ"
    for _ in range(2):
        assert measure("--benchmark", benchmark_file).status == 0
