"""Asking a model: the same answers whatever is asked beside them."""

from __future__ import annotations

import math

import pytest
import torch

from memla.errors import ModelError
from memla.evaluation.observe import observe


@pytest.fixture
def probes(capitals):
    return [probe for case in capitals.cases() for probe in case.probes]


def test_what_is_seen_does_not_depend_on_batch_size_or_order(tiny_model, probes):
    together = observe(tiny_model, probes, batch_size=64)
    alone = [observe(tiny_model, [probe])[0] for probe in probes]
    backwards = observe(tiny_model, probes[::-1], batch_size=3)[::-1]
    for first, second, third in zip(together, alone, backwards, strict=True):
        assert first.predicted_ids == second.predicted_ids == third.predicted_ids
        if first.answer is not None:
            assert first.answer.joint == pytest.approx(second.answer.joint, abs=1e-4)
            assert first.answer.joint == pytest.approx(third.answer.joint, abs=1e-4)


def test_a_model_answers_with_as_many_tokens_as_the_right_answer_has(tiny_model, probes):
    for seen in observe(tiny_model, probes):
        expected = tiny_model.answer_ids(seen.probe.answer, seen.probe.language)
        assert seen.gold_ids == expected
        assert len(seen.predicted_ids) == len(expected)


def test_both_answers_of_a_comparison_are_stored_in_every_normalisation(tiny_model, probes):
    thai = next(p for p in probes if p.language == "th" and p.kind == "edit")
    (seen,) = observe(tiny_model, [thai])
    scores = tiny_model.log_probs([thai.prompt] * 2, [thai.answer, thai.contrast], ["th"] * 2)
    for likelihood, score, text in zip(
        (seen.answer, seen.contrast), scores, (thai.answer, thai.contrast), strict=True
    ):
        assert likelihood.joint == pytest.approx(score.joint)
        assert likelihood.mean == pytest.approx(score.joint / likelihood.n_tokens)
        assert likelihood.per_byte == pytest.approx(score.joint / len(text.encode()))
        assert likelihood.first_token == pytest.approx(score.token_log_probs[0])


def test_only_comparisons_ask_for_probabilities(tiny_model, probes):
    neighbor = next(p for p in probes if p.language == "ja" and p.kind == "neighborhood")
    (seen,) = observe(tiny_model, [neighbor])
    assert seen.answer is None
    assert seen.contrast is None


def test_an_answer_can_end_where_the_model_ends_it(tiny_model, probes):
    for seen in observe(tiny_model, probes[:6], decoding="until_stop"):
        assert len(seen.predicted_ids) <= 24
        assert "\n" not in seen.predicted


def test_a_probability_that_is_no_number_is_an_error_not_a_failure(tiny_model, probes):
    with torch.no_grad():
        tiny_model.value_rows(0)[:] = math.nan
    with pytest.raises(ModelError):
        observe(tiny_model, probes[:2])
