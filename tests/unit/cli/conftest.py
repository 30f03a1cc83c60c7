"""A toy model on disk, a benchmark file, and a way to run commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memla.cli.main import app

COUNTRIES = {
    "france": {"en": "France", "zh": "法国", "ja": "フランス", "ru": "Франция", "th": "ฝรั่งเศส"},
    "japan": {"en": "Japan", "zh": "日本", "ja": "日本", "ru": "Япония", "th": "ญี่ปุ่น"},
    "italy": {"en": "Italy", "zh": "意大利", "ja": "イタリア", "ru": "Италия", "th": "อิตาลี"},
    "spain": {"en": "Spain", "zh": "西班牙", "ja": "スペイン", "ru": "Испания", "th": "สเปน"},
}
CITIES = {
    "france": {"en": "Paris", "zh": "巴黎", "ja": "パリ", "ru": "Париж", "th": "ปารีส"},
    "japan": {"en": "Tokyo", "zh": "东京", "ja": "東京", "ru": "Токио", "th": "โตเกียว"},
    "italy": {"en": "Rome", "zh": "罗马", "ja": "ローマ", "ru": "Рим", "th": "โรม"},
    "spain": {"en": "Madrid", "zh": "马德里", "ja": "マドリード", "ru": "Мадрид", "th": "มาดริด"},
}
PROMPTS = {
    "en": "The capital of {} is",
    "zh": "{}的首都是",
    "ja": "{}の首都は",
    "ru": "Столица страны {} —",
    "th": "เมืองหลวงของ{}คือ",
}


def record(number: int, fact: str, new: str, neighbor: str, split: str) -> dict[str, object]:
    """One fact in MKEB's format."""

    def asked(who: str, code: str) -> str:
        return PROMPTS[code].replace("{}", COUNTRIES[who][code])

    return {
        "example_id": number,
        "relation_description": "capital",
        "id": fact,
        "split": split,
        "edit": {
            code: {
                "prompt": PROMPTS[code],
                "subject": COUNTRIES[fact][code],
                "target_new": CITIES[new][code],
                "target_true": CITIES[fact][code],
            }
            for code in PROMPTS
        },
        "paraphrase_prompts": {code: [f"…{asked(fact, code)}"] for code in PROMPTS},
        "neighborhood_prompts": {code: [asked(neighbor, code)] for code in PROMPTS},
        "neighborhood_answers": {code: [CITIES[neighbor][code]] for code in PROMPTS},
    }


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> str:
    from memla.models.tiny import tiny_model

    folder = tmp_path_factory.mktemp("models") / "toy"
    model = tiny_model("gpt2")
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def benchmark_file(tmp_path_factory) -> str:
    records = [
        record(1, "france", "japan", "italy", "test"),
        record(2, "japan", "italy", "france", "test"),
        record(3, "italy", "spain", "france", "train"),
        record(4, "spain", "france", "japan", "train"),
    ]
    path = tmp_path_factory.mktemp("data") / "capitals.jsonl"
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in records]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


@pytest.fixture
def memla(tmp_path, monkeypatch):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Outcome:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


QUICK = ("--set", "steps=2", "--set", "identification.steps=2")


@pytest.fixture
def fact_options() -> tuple[str, ...]:
    """A fact in Thai, as options."""
    return (
        *("--prompt", "เมืองหลวงของ{}คือ", "--subject", "ฝรั่งเศส", "--language", "th"),
        *("--target-new", "โตเกียว", "--target-true", "ปารีส"),
    )


@pytest.fixture
def quick() -> tuple[str, ...]:
    """Settings with which the editor takes no time."""
    return QUICK
