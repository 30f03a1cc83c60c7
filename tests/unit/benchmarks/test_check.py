from __future__ import annotations

import gzip
import json
import unicodedata

import pytest

from memla.benchmarks.check import check_file, check_record
from memla.benchmarks.mkeb_record import MkebRecord
from memla.errors import DataError


def found(path):
    return [(finding.check, finding.language) for finding in check_file(path)]


def test_a_clean_file_gives_no_finding(mkeb_path):
    assert check_file(mkeb_path) == []


@pytest.fixture
def clean(raw_records):
    """A record of ours, with chain, labels, aliases and subjects of its neighbours."""
    raw = raw_records[0]
    languages = list(raw["edit"])
    raw |= {
        "id": "capital-fr",
        "chain": [
            {
                "before": [["FR", "capital", "PAR"], ["PAR", "river", "SEI"]],
                "after": [["FR", "capital", "BKK"], ["BKK", "river", "CHA"]],
            }
        ],
        "labels": {
            "FR": {code: raw["edit"][code]["subject"] for code in languages},
            "PAR": {code: raw["edit"][code]["target_true"] for code in languages},
            "BKK": {code: raw["edit"][code]["target_new"] for code in languages},
        },
        "aliases": {"th": {"กรุงเทพมหานคร": ["บางกอก"]}, "ja": {"パリ": ["花の都"]}},
        "neighborhood_subjects": {
            "en": ["Egypt"],
            "zh": ["埃及"],
            "ja": ["エジプト"],
            "ko": ["이집트"],
            "ru": ["Египет"],
            "th": ["อียิปต์"],
        },
    }
    return raw


def test_a_clean_record_with_all_our_keys_gives_no_finding(clean, write):
    assert check_file(write([clean])) == []
    assert check_record(MkebRecord.model_validate(clean)) == []


def plant(path, value):
    """A function that puts the value at a path such as ``edit.th.prompt`` of a record."""

    def spoil(raw):
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in parents:
            raw = raw[part]
        raw[last] = value

    return spoil


QUIRKS = {
    "two slots": ("slots", "zh", plant("edit.zh.prompt", "{}的{}首都是")),
    "no slot": ("slots", "th", plant("edit.th.prompt", "เมืองหลวงของประเทศคือ")),
    "slot in a paraphrase": ("slots", "ru", plant("paraphrase_prompts.ru.0", "Франция: {} —")),
    "inflected subject": (
        "subject",
        "ru",
        plant("paraphrase_prompts.ru.0", "Столицей Франции является город"),
    ),
    "neighbour without its subject": (
        "subject",
        "ja",
        plant("neighborhood_prompts.ja.0", "その国の首都は"),
    ),
    "question without its head": (
        "subject",
        "ko",
        plant("multi_hop_questions.ko.0", "이 나라의 수도를 흐르는 강은 무엇입니까?"),
    ),
    "script of another language": (
        "script",
        "zh",
        plant("paraphrase_prompts.zh.0", "法国 수도는"),
    ),
    "cyrillic prompt in latin letters": (
        "script",
        "ru",
        plant("paraphrase_prompts.ru.0", "Франция: STOLITSA STRANY"),
    ),
    "thai prompt in chinese": ("script", "th", plant("paraphrase_prompts.th.0", "ฝรั่งเศส的首都")),
    "words left in english": (
        "english words",
        "th",
        plant("paraphrase_prompts.th.0", "เมืองหลวง of ฝรั่งเศสคือ"),
    ),
    "new answer in the paraphrase": (
        "answer in prompt",
        "ja",
        plant("paraphrase_prompts.ja.0", "バンコクではなくフランスの首都は"),
    ),
    "old answer in the edit prompt": (
        "answer in prompt",
        "ru",
        plant("edit.ru.prompt", "Столица страны {} не Париж, а город"),
    ),
    "neighbour's answer in its prompt": (
        "answer in prompt",
        "th",
        plant("neighborhood_prompts.th.0", "ไคโรเป็นเมืองหลวงของอียิปต์ ชื่อ"),
    ),
    "answer in the question": (
        "answer in prompt",
        "zh",
        plant("multi_hop_questions.zh.0", "法国首都的河流是湄南河吗？"),
    ),
    "full stop before the answer": (
        "final punctuation",
        "zh",
        plant("edit.zh.prompt", "{}的首都是。"),
    ),
    "ideographic stop of half width": (
        "final punctuation",
        "ja",
        plant("paraphrase_prompts.ja.0", "フランスの政府の所在地｡"),
    ),
    "half-width question mark": (
        "question mark",
        "ja",
        plant("multi_hop_questions.ja.0", "フランスの首都を流れる川はどれですか?"),
    ),
    "question mark in thai": (
        "question mark",
        "th",
        plant("multi_hop_questions.th.0", "แม่น้ำสายใดไหลผ่านเมืองหลวงของฝรั่งเศส?"),
    ),
    "full-width question mark": (
        "question mark",
        "ko",
        plant("paraphrase_prompts.ko.0", "프랑스의 수도는 어디입니까？"),
    ),
    "paraphrase equal to the edit prompt": (
        "same as edit",
        "ko",
        plant("paraphrase_prompts.ko.0", "프랑스의 수도는"),
    ),
    "another number": ("numerals", "ja", plant("edit.ja.prompt", "2026年の{}の首都は")),
    "decomposed letters": (
        "characters",
        "ko",
        plant("edit.ko.target_new", unicodedata.normalize("NFD", "방콕")),
    ),
    "no-break space": (
        "characters",
        "ru",
        plant("paraphrase_prompts.ru.0", "Правительство страны\u00a0Франция находится в городе"),
    ),
    "html entity": (
        "characters",
        "zh",
        plant("paraphrase_prompts.zh.0", "&#39;法国&#39;的政府所在地是"),
    ),
    "control character": ("characters", "th", plant("edit.th.subject", "ฝรั่ง\u0007เศส")),
    "space at the end": ("characters", "zh", plant("edit.zh.prompt", "{}的首都是 ")),
    "traditional characters": (
        "traditional",
        "zh",
        plant("paraphrase_prompts.zh.0", "法国這個國家的首都是"),
    ),
    "much too long": (
        "length",
        "zh",
        plant("paraphrase_prompts.zh.0", "法国" + "的这个国家的政府机构的所在地的名称" * 5 + "是"),
    ),
    "same targets": ("same targets", "ja", plant("edit.ja.target_new", "パリ")),
    "one target in the other": (
        "overlapping targets",
        "th",
        plant("edit.th.target_true", "กรุงเทพ"),
    ),
    "neighbour with the new answer": (
        "neighbour answer",
        "ru",
        plant("neighborhood_answers.ru.0", "Бангкок"),
    ),
    "question names the new intermediate": (
        "intermediate entity",
        "zh",
        plant("multi_hop_questions.zh.0", "流经法国首都曼谷的河流是哪一条？"),
    ),
    "question names an alias of it": (
        "intermediate entity",
        "th",
        plant("multi_hop_questions.th.0", "แม่น้ำสายใดไหลผ่านบางกอกเมืองหลวงของฝรั่งเศส"),
    ),
    "list too short": ("parallel lists", "ja", plant("neighborhood_answers.ja", [])),
    "answers not parallel to questions": (
        "parallel lists",
        "ko",
        plant("multi_hop_new_answer.ko", ["가", "나"]),
    ),
    "empty text": ("empty text", "th", plant("edit.th.subject", " ")),
    "wrong type": ("shape", "ru", plant("edit.ru.prompt", None)),
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_each_quirk_is_found_where_it_was_planted(clean, write, quirk):
    check, language, spoil = QUIRKS[quirk]
    spoil(clean)
    findings = check_file(write([clean]))
    assert check in {finding.check for finding in findings}
    assert {finding.language for finding in findings} == {language}
    assert all(finding.record == "capital-fr" and finding.key for finding in findings)


LONE = sorted(
    set(QUIRKS) - {"no slot", "empty text", "same targets", "control character", "html entity"}
)


@pytest.mark.parametrize("quirk", LONE)
def test_a_quirk_is_found_by_one_check_only(clean, write, quirk):
    check, _, spoil = QUIRKS[quirk]
    spoil(clean)
    assert {finding.check for finding in check_file(write([clean]))} == {check}


def test_years_of_the_buddhist_era_are_named(clean, write):
    clean["edit"]["en"]["prompt"] = "In 2006 the capital of {} was"
    for code in ("zh", "ja", "ko", "ru"):
        clean["edit"][code]["prompt"] += " (2006):"
    clean["edit"]["th"]["prompt"] = "ในปี 2549 เมืองหลวงของ{}คือ"
    (finding,) = check_file(write([clean]))
    assert finding.check == "numerals"
    assert finding.language == "th"
    assert "Buddhist era" in finding.message


def test_thai_digits_count_as_the_same_numbers(clean, write):
    for code, value in clean["edit"].items():
        value["prompt"] = f"{value['prompt']} ({'๒๐๐๖' if code == 'th' else '2006'}):"
    assert check_file(write([clean])) == []


def test_words_left_in_english_are_found_between_latin_letters(clean, write):
    for key in ("edit", "paraphrase_prompts", "neighborhood_prompts", "neighborhood_answers"):
        clean[key]["de"] = clean[key]["en"]
    for key in ("multi_hop_questions", "multi_hop_new_answer", "neighborhood_subjects"):
        clean[key]["de"] = clean[key]["en"]
    clean["edit"]["de"] = clean["edit"]["en"] | {"prompt": "Die Hauptstadt von {} war"}
    assert ("english words", "de") in found(write([clean]))


def test_a_spanish_question_needs_its_opening_mark(raw_records, write):
    raw = raw_records[0]
    for key, value in raw.items():
        if isinstance(value, dict):
            raw[key] = {"es": value["en"], "ja": value["ja"]}
    raw["multi_hop_questions"]["es"] = ["Qué río pasa por la capital de France?"]
    assert ("question mark", "es") in found(write([raw]))


def test_a_prompt_twice_in_one_list_is_found(clean, write):
    clean["paraphrase_prompts"]["ja"] *= 2
    assert found(write([clean])) == [("duplicate prompt", "ja")]


def test_a_prompt_of_another_record_is_found(raw_records, write):
    text = "ประเทศไทยกับฝรั่งเศส เมืองหลวงคือ"
    for raw in raw_records[:2]:
        raw["paraphrase_prompts"]["th"] = [text]
    assert found(write(raw_records)) == [("duplicate prompt", "th")]


def test_a_language_that_other_records_have_is_missed(raw_records, write):
    for value in raw_records[2].values():
        if isinstance(value, dict):
            del value["th"]
    (finding,) = check_file(write(raw_records))
    assert (finding.check, finding.record, finding.language) == ("missing language", "2", "th")


def test_a_language_that_one_list_lacks_is_missed(clean, write):
    del clean["paraphrase_prompts"]["ko"]
    assert found(write([clean])) == [("missing language", "ko")]


def test_an_id_used_twice_is_found(raw_records, write):
    raw_records[1]["example_id"] = 0
    (finding,) = check_file(write(raw_records))
    assert (finding.check, finding.record, finding.key) == ("duplicate id", "0", "example_id")


def test_chains_in_the_order_of_the_questions_are_followed(clean, write):
    for language, questions in clean["multi_hop_questions"].items():
        questions.append(questions[0].replace("?", "??")[:-1])
        clean["multi_hop_questions"][language] = [questions[0], questions[0] + questions[0]]
    clean["chain"] *= 2
    clean["multi_hop_questions"]["th"][1] = "แม่น้ำของฝรั่งเศสสายใดไหลผ่านปารีส"
    assert found(write([clean])) == [("intermediate entity", "th")]


def test_a_byte_order_mark_and_windows_line_ends_are_found(raw_records, tmp_path):
    lines = "\r\n".join(json.dumps(raw, ensure_ascii=False) for raw in raw_records)
    content = b"\xef\xbb\xbf" + lines.encode()
    plain, compressed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_bytes(content)
    compressed.write_bytes(gzip.compress(content))
    for path in (plain, compressed):
        assert found(path) == [("bom", None), ("line ends", None)]


def test_a_truncated_list_is_found(mkeb_path, tmp_path):
    path = tmp_path / "cut.json"
    path.write_text(mkeb_path.read_text(encoding="utf-8")[:900], encoding="utf-8")
    assert found(path) == [("json", None)]


def test_records_before_a_truncated_line_are_still_checked(clean, write):
    clean["edit"]["zh"]["prompt"] = "{}的首都是。"
    path = write([clean], "cut.jsonl")
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"example_id": 5, "edit": {"th": ')
    assert found(path) == [("json", None), ("final punctuation", "zh")]


def test_a_file_without_a_record_is_found(tmp_path):
    path = tmp_path / "ว่าง.jsonl"
    path.write_text("\n", encoding="utf-8")
    (finding,) = check_file(path)
    assert (finding.severity, finding.message) == ("error", "has no record")


def test_a_value_that_is_not_an_object_is_found(clean, write):
    assert found(write(["ไม่ใช่"])) == [("shape", None)]
    assert found(write([clean, ["ไม่ใช่"]], "records.jsonl")) == [("json", None)]


def test_a_file_that_cannot_be_read_is_an_error_of_its_own(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        check_file(tmp_path / "没有.json")
    (tmp_path / "broken.json.gz").write_bytes(b"\x1f\x8b broken")
    with pytest.raises(DataError, match="cannot be read"):
        check_file(tmp_path / "broken.json.gz")
