"""CounterFact, by hand."""

from __future__ import annotations

import math

import pytest

from memla.evaluation.results import Plan
from tests.observed import case, cells, likely, look, values

PLAN = Plan(protocol="counterfact", target_languages=("zh", "ru"))


def test_the_mean_over_tokens_decides_unless_the_plan_says_otherwise():
    assert PLAN.answer_score == "mean"
    # Russian: -6 over 6 tokens is -1 each, -2 over 1 is -2: the longer answer wins by mean only.
    seen = case([look("edit", "ru", "Санкт-Петербург", new=likely(-6, 6), old=likely(-2))])
    found = values(PLAN, seen)
    assert (found["ES"], found["ES_joint"]) == ([1], [0])
    assert found["EM"] == [pytest.approx(0.3678794 - 0.1353353, abs=1e-6)], "exp(-1) - exp(-2)"
    joint = values(PLAN.model_copy(update={"answer_score": "joint"}), seen)
    assert (joint["ES"], joint["ES_mean"]) == ([0], [1])


def test_neighbours_succeed_when_the_true_answer_is_ahead():
    seen = case(
        [
            look("neighborhood", "zh", "北京", new=likely(-1), old=likely(-3)),
            look("neighborhood", "zh", "北京", new=likely(-3), old=likely(-1)),
            look("neighborhood", "zh", "北京", new=likely(-2), old=likely(-2)),
        ]
    )
    found = values(PLAN, seen)
    assert found["NS"] == [1, 0, 0], "a tie is no success"
    first = math.exp(-1) - math.exp(-3)
    assert found["NM"] == [pytest.approx(first), pytest.approx(-first), 0]


def test_a_fact_counts_once_however_many_prompts_it_has():
    good, bad = (likely(-1), likely(-2)), (likely(-2), likely(-1))
    one = [
        look("neighborhood", "zh", "北京", new=new, old=old) for new, old in (good, bad, bad, bad)
    ]
    two = [look("neighborhood", "zh", "上海", new=good[0], old=good[1])]
    table = cells(PLAN, case(one, name="1"), case(two, name="2"))
    # the mean of 1/4 and 1, not two prompts of five
    assert table["NS", "zh"].value == 62.5
    assert table["NS", "zh"].n == 5


def test_s_is_the_harmonic_mean_of_the_tables_numbers_also_before_the_edit():
    good, bad = (likely(-1), likely(-2)), (likely(-2), likely(-1))
    kinds = ("edit", "paraphrase", "neighborhood")

    def made(name, *results):
        return case(
            [look(kind, "zh", new=a, old=b) for kind, (a, b) in zip(kinds, results, strict=True)],
            [
                look(kind, "zh", new=a, old=b)
                for kind, (a, b) in zip(kinds, (bad, bad, good), strict=True)
            ],
            name,
        )

    table = cells(PLAN, made("1", good, good, good), made("2", good, bad, good))
    # ES 1, PS 1/2, NS 1: 3 / (1 + 2 + 1)
    assert table["S", "zh"].value == 75
    assert table["S", "zh"].value == table["S", "transfer"].value
    assert table["S_before", "zh"].value == 0, "nothing of the edit is known before it"
    assert table["S", "zh"].low <= 75 <= table["S", "zh"].high


def test_accuracy_asks_for_every_token():
    seen = case([look("edit", "zh", new=likely(-1, greedy=True), old=likely(-2))])
    assert values(PLAN, seen)["ES_accuracy"] == [1]


def test_an_answer_inside_its_sentence_has_no_accuracy():
    answers = {"new": likely(-1, greedy=True), "old": likely(-2)}
    found = values(PLAN, case([look("edit", "ja", "東京", suffix="です。", **answers)]))
    assert found["ES"] == [1]
    assert "ES_accuracy" not in found


def test_without_a_second_answer_only_accuracy_is_left():
    seen = case([look("neighborhood", "zh", new=likely(-1))])
    assert values(PLAN, seen) == {"NS_accuracy": [0]}
