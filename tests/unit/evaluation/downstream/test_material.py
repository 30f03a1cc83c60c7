"""Texts and facts of a damage report are never those that are edited."""

from __future__ import annotations

import pytest

from memla.errors import DataError, MissingExtraError, UnknownNameError
from memla.evaluation.downstream import material
from memla.evaluation.downstream.material import HeldText, gather, read_texts
from memla.evaluation.downstream.settings import Downstream
from tests.unit.evaluation.conftest import LANGUAGES, make_case

CASES = [
    make_case("france", "japan", "italy"),
    make_case("japan", "italy", "france", split="validation"),
    make_case("italy", "spain", "france", split="train"),
    make_case("spain", "france", "italy", split="validation"),
]


def gathered(settings, cases=CASES, edited=CASES[:1], references=CASES[2:3], **options):
    given = {"languages": LANGUAGES, "edited": edited, "references": references}
    return gather(settings, cases, **given | options)


def test_facts_are_neither_edited_nor_seen_by_the_editor():
    found = gathered(Downstream())
    asked = "\n".join(one.text for one in found.prompts)
    assert "日本" in asked
    assert "สเปน" in asked
    assert "Франция" not in asked, "it is edited"
    assert "イタリア" not in asked, "the editor sees it"
    assert len(found.prompts) == len(found.texts) == 10


def test_what_the_editor_sees_is_asked_where_there_is_nothing_else():
    found = gathered(Downstream(), cases=[CASES[0], CASES[2]])
    assert {one.text for one in found.prompts if one.language == "ja"} == {"イタリアの首都は"}


def test_a_fact_that_is_edited_under_another_name_plays_no_part():
    again = CASES[0].model_copy(update={"id": "法国"})
    with pytest.raises(DataError, match="no facts beside those that are edited") as caught:
        gathered(Downstream(), cases=[CASES[0], again])
    assert "--limit" in caught.value.hint


def test_facts_that_say_nothing_in_the_languages_are_no_material():
    with pytest.raises(DataError, match="say nothing in ko pl") as caught:
        gathered(Downstream(), languages=("ko", "pl"))
    assert "to 0" in caught.value.hint
    assert {one.language for one in gathered(Downstream(), languages=("ko", "th")).texts} == {"th"}


def test_a_statement_is_its_prompt_and_its_true_answer_as_the_language_joins_them():
    found = gathered(Downstream(texts=1, facts=0), cases=[CASES[1]])
    assert not found.prompts
    assert {one.language: one.text for one in found.texts} == {
        "en": "The capital of Japan is Tokyo",
        "zh": "日本的首都是东京",
        "ja": "日本の首都は東京",
        "ru": "Столица страны Япония — Токио",
        "th": "เมืองหลวงของญี่ปุ่นคือโตเกียว",
    }


def test_the_seed_draws_them_in_whatever_order_the_cases_are():
    drawn = {
        gathered(Downstream(facts=1, texts=0), cases=cases, edited=(), references=(), seed=seed)
        for seed in range(9)
        for cases in (tuple(CASES), tuple(CASES[::-1]))
    }
    assert 1 < len(drawn) <= 4


def test_a_file_of_texts_is_read(tmp_path):
    path = tmp_path / "тексты.jsonl"
    path.write_text('{"language": "th", "text": "กรุงเทพ"}\n\n', encoding="utf-8")
    assert read_texts(path) == (HeldText(language="th", text="กรุงเทพ"),)
    found = gathered(Downstream(text=str(path), facts=0))
    assert [one.text for one in found.texts] == ["กรุงเทพ"]
    assert found.prompts == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "has no texts"),
        ('{"language": "th"}\n', "line 1: text"),
        ('{"language": "日本語", "text": "東京"}\n', "日本語"),
        ('{"language": "th", "text": ""}\n', "line 1: text"),
    ],
)
def test_a_file_that_is_no_such_is_told(tmp_path, content, reason):
    path = tmp_path / "文.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises((DataError, UnknownNameError), match=reason):
        read_texts(path)


def test_what_is_asked_and_the_tasks_files_are_part_of_the_plan(tmp_path, monkeypatch):
    (tmp_path / "任务.yaml").write_text("task: 任务", encoding="utf-8")
    settings = Downstream(tasks=("任务",), task_folder=str(tmp_path))
    found = gathered(settings)
    first = found.digest(settings)
    assert found.digest(settings) == first
    assert gathered(settings, cases=CASES[:2]).digest(settings) != first
    (tmp_path / "任务.yaml").write_text("task: задача", encoding="utf-8")
    assert found.digest(settings) != first
    with pytest.raises(DataError, match="no folder of tasks"):
        found.digest(settings.model_copy(update={"task_folder": str(tmp_path / "нет")}))

    def missing(package):
        raise material.PackageNotFoundError(package)

    monkeypatch.setattr(material, "version", missing)
    with pytest.raises(MissingExtraError, match="lm-eval"):
        found.digest(settings)
    assert found.digest(Downstream()) == gathered(Downstream()).digest(Downstream())
