"""Splits, card and rows of a release."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from memla.benchmarks.check import check_record
from memla.construction.card import Statistics
from memla.construction.config import BuildConfig
from memla.construction.drafting import TemplateDrafter
from memla.construction.hub import features, front_matter, to_row
from memla.construction.localisation import translate_samples
from memla.construction.relations import shipped_relations
from memla.construction.release import release_stage
from memla.construction.release_records import splits_of, to_object, to_record
from memla.construction.translation import Sample
from memla.errors import DataError
from memla.records import json_lines, write_atomically
from tests.unit.construction.conftest import LANGUAGES, planned

RELATIONS = shipped_relations()
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


@pytest.fixture
def localised(names, edit):
    edits = [edit, planned("Q183", "Q90", "Q17"), planned("Q17", "Q2887", "Q869")]
    drafter = TemplateDrafter(RELATIONS)
    samples = [Sample(one, drafter.draft(one).draft) for one in edits]
    return translate_samples(samples, LANGUAGES, names, RELATIONS, None).kept


@pytest.fixture
def record(localised, names):
    return to_record(localised[0], names, RELATIONS)


def test_a_record_has_the_texts_with_names_and_what_they_stand_for(record):
    assert record.case_id == "P36:Q142"
    assert (record.property, record.relation) == ("P36", "capital")
    assert record.edit["zh"].prompt == "{}的首都是"
    assert (record.edit["zh"].subject, record.edit["zh"].new) == ("法国", "柏林")
    assert record.edit["ja"].true_aliases == ("花の都",)
    assert record.neighborhood_subjects["th"] == ("ประเทศญี่ปุ่น",)
    assert record.neighborhood_answers["ru"] == ("Токио",)
    assert all("ประเทศฝรั่งเศส" in text for text in record.paraphrase_prompts["th"])
    assert "埃菲尔铁塔" in record.multi_hop_questions["zh"][0]
    assert record.new_answers("zh") == ("柏林",)
    assert record.chain[0].before == (("Q243", "P17", "Q142"), ("Q142", "P36", "Q90"))
    assert record.labels["Q243"]["ru"] == "Эйфелева башня"
    assert record.aliases["zh"]["法国"] == ("法兰西共和国",)
    assert [one for one in check_record(record) if one.severity == "error"] == []


def test_splits_have_their_shares_and_a_subject_is_in_one_of_them():
    records = [f"P{relation}:Q{subject}" for subject in range(100) for relation in (36, 38)]
    splits = splits_of(records, SHARES, 0)
    assert Counter(splits) == {"train": 140, "validation": 20, "test": 40}
    assert splits[::2] == splits[1::2]
    assert splits_of(records, SHARES, 1) != splits
    mirrored = splits_of(records[::-1], SHARES, 0)
    assert mirrored[::-1] == splits


def test_a_row_has_just_the_features_of_the_card(record):
    def fits(value, kind):
        if isinstance(kind, dict):
            return value.keys() == kind.keys() and all(fits(value[k], kind[k]) for k in kind)
        if isinstance(kind, list):
            return isinstance(value, list) and all(fits(one, kind[0]) for one in value)
        return type(value) is {"string": str, "int64": int}[kind]

    row = json.loads(json.dumps(to_row(record)))
    assert fits(row, features(LANGUAGES))
    assert all(row[key] for key in ("labels", "aliases", "chain"))


def test_the_front_matter_keeps_codes_that_yaml_would_misread():
    text = front_matter("set", "挪威: 集", "CC0-1.0", ["no", "zh"], ["test"])
    assert '- "no"' in text
    assert 'pretty_name: "挪威: 集"' in text
    assert 'path: "data/test.jsonl"' in text


def test_lengths_are_those_that_a_reader_counts(record):
    statistics = Statistics()
    statistics.add(record.model_copy(update={"split": "test"}))
    found = statistics.result()
    # Two of the 14 code points are a vowel and a tone above their consonant.
    assert found["languages"]["th"]["subject"] == {"texts": 1, "characters": 12.0, "words": 12.0}
    assert found["languages"]["ru"]["edit prompt"]["words"] == 3.0
    assert found["languages"]["zh"]["old answer"] == {"texts": 1, "characters": 2.0, "words": 2.0}
    assert found["relations"]["P36"] == {"name": "capital", "records": 1, "chains": 1}


def release(tmp_path, localised, names, size=10):
    source, target = tmp_path / "7", tmp_path / "8"
    drafts = [draft for one in localised for draft in one.drafts]
    write_atomically(source / "edits.jsonl", json_lines(one.edit for one in localised))
    write_atomically(source / "drafts.jsonl", json_lines(drafts))
    config = BuildConfig.model_validate(
        {
            "dataset": {"name": "set", "languages": LANGUAGES, "size": size},
            "wikidata": {"contact": "me@example.org"},
            "release": {"title": "首都", "authors": ["ผู้เขียน"], "snapshot": "2026-11-21"},
        }
    )
    report = release_stage(source, target, config, names, RELATIONS, tmp_path / "none")
    return report, target


def test_the_card_tells_who_made_what_and_when(tmp_path, localised, names):
    report, target = release(tmp_path, localised, names)
    text = (target / "README.md").read_text(encoding="utf-8")
    assert report.kept == 3
    for part in ("# 首都", "ผู้เขียน", "as of 2026-11-21", "CC0-1.0", "| P36 | capital | 3 | 1 |"):
        assert part in text
    assert "me@example.org" not in text
    assert "3 of the 10 records" in report.notes[0]


def test_a_record_that_says_the_same_as_another_or_is_broken_is_left_out(
    tmp_path, localised, names
):
    first, second, third = localised
    drafts = [
        draft.model_copy(update={"prompt": f"{draft.prompt}。"})
        if draft.language == "zh"
        else draft
        for draft in second.drafts
    ]
    broken = type(second)(second.edit, tuple(drafts))
    fact = third.edit.triple.model_copy(update={"relation": "P1376"})
    again = type(third)(
        third.edit.model_copy(update={"triple": fact}),
        tuple(draft.model_copy(update={"edit": "P1376:Q17"}) for draft in third.drafts),
    )
    report, target = release(tmp_path, [first, broken, third, again], names)
    assert report.kept == 2
    assert report.rejects == {"check: final punctuation": 1, "same prompt as another record": 1}
    assert "P36:Q183" in (target / "rejected.jsonl").read_text(encoding="utf-8")


def test_a_release_without_records_is_an_error(tmp_path, names):
    with pytest.raises(DataError, match="no record is left of 0 edits"):
        release(tmp_path, [], names)


def test_what_says_nothing_is_not_written(record):
    raw = to_object(record.model_copy(update={"aliases": {}, "labels": None}))
    assert "aliases" not in raw
    assert "labels" not in raw
    assert "split" not in raw
