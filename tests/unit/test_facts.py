from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from memla.errors import UnknownNameError
from memla.facts import (
    EditCase,
    EditRequest,
    Fact,
    OtherFacts,
    Probe,
    ProbeKind,
    other_facts,
)


def request(language="zh", **changes):
    values = {
        "fact": "capital",
        "language": language,
        "prompt": "{}的首都是",
        "subject": "法国",
        "target_new": "曼谷",
        "target_true": "巴黎",
    }
    return EditRequest(**(values | changes))


def test_the_subject_stands_where_the_braces_are():
    assert request().text == "法国的首都是"
    assert request().subject_span == (0, 2)
    thai = request("th", prompt="เมืองหลวงของ{}คือ", subject="ฝรั่งเศส")
    start, end = thai.subject_span
    assert thai.text[start:end] == "ฝรั่งเศส"


@given(
    before=st.text(st.characters(exclude_characters="{}"), max_size=5),
    subject=st.text(st.sampled_from("法国ไทยкий{}"), min_size=1, max_size=5),
    after=st.text(st.characters(exclude_characters="{}"), max_size=5),
)
def test_the_span_is_that_of_the_subject_whatever_it_contains(before, subject, after):
    made = request(prompt=f"{before}{{}}{after}", subject=subject)
    start, end = made.subject_span
    assert made.text[start:end] == made.subject


@pytest.mark.parametrize("prompt", ["法国的首都是", "{}的{}是", "{ }的首都是"])
def test_a_prompt_needs_one_place_for_its_subject(prompt):
    with pytest.raises(ValidationError, match="needs it once, at the subject"):
        request(prompt=prompt)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"target_new": " "}, "target_new is empty"),
        ({"target_true": ""}, "target_true is empty"),
        ({"target_new": "巴黎"}, "are both '巴黎'"),
        ({"subject": ""}, "subject"),
        ({"subjekt": "法国"}, "Extra inputs"),
    ],
)
def test_a_request_that_cannot_be_is_refused(changes, complaint):
    with pytest.raises(ValidationError, match=complaint):
        request(**changes)


def test_languages_are_known_in_any_case():
    assert request("ZH").language == "zh"
    with pytest.raises(UnknownNameError, match="jp"):
        request("jp")
    probe = Probe(kind="paraphrase", language="TH", prompt="เมืองหลวงคือ", answer="ปารีส")
    assert (probe.language, probe.kind) == ("th", ProbeKind.PARAPHRASE)


def test_without_its_target_a_request_tells_nothing_of_the_new_answer():
    assert "曼谷" not in request().without_target().to_json()


def test_an_editor_sees_the_new_answer_in_the_source_language_only():
    case = EditCase(
        id="1",
        relation="capital",
        requests={language: request(language) for language in ("en", "zh", "th")},
    )
    seen = case.requests_from(["th"])
    assert [one.language for one in seen] == ["th", "en", "zh"]
    assert [one.target_new for one in seen] == ["曼谷", None, None]
    both = case.requests_from(["zh", "en"])
    assert [one.language for one in both if one.target_new] == ["zh", "en"]


def test_a_case_comes_back_from_its_line():
    case = EditCase(id="ก", relation="capital", requests={"zh": request()})
    assert EditCase.model_validate_json(case.to_json()) == case


def test_a_fact_holds_its_names_in_each_language():
    fact = Fact(
        subject="Q142",
        relation="P36",
        object="Q90",
        subject_labels={"ja": "フランス"},
        object_labels={"ja": "パリ"},
    )
    assert Fact.model_validate_json(fact.to_json()) == fact


def test_other_facts_are_a_tuple_that_remembers_what_was_left_out():
    pool = [request(code, fact=fact) for fact in ("ก", "ข", "ค") for code in ("zh", "th")]
    others = OtherFacts(pool[2:], pool[:2])
    assert others == tuple(pool[2:])
    assert OtherFacts() == ()
    assert others.left_out == tuple(pool[:2])
    fewer = others.without_facts({"ข", "ก"})
    assert fewer == tuple(pool[4:])
    assert fewer.left_out == tuple(pool[:4])
    assert others.left_out == tuple(pool[:2]), "the first is as it was"
    again = pickle.loads(pickle.dumps(fewer))
    assert (again, again.left_out) == (fewer, fewer.left_out)


def test_an_edit_s_own_facts_are_no_other_facts():
    pool = [request("th", fact=fact) for fact in ("ก", "ข")]
    assert other_facts(pool, {"ก"}) == (pool[1],)
    known = other_facts(OtherFacts(pool), {"ก"})
    assert known == (pool[1],)
    assert isinstance(known, OtherFacts)
    assert known.left_out == (pool[0],)
