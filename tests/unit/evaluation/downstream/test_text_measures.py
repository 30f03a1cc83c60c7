"""Perplexity and drift are what their definitions say, worked out slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from memla.editors.edits import RowSparse, WeightDelta
from memla.errors import DataError, ModelError
from memla.evaluation.downstream.material import HeldText
from memla.evaluation.downstream.text_measures import Drift, Perplexity, divergence
from memla.evaluation.downstream.windows import beginning, pieces, score_texts
from memla.models.tiny import tiny_model as make_model

TEXTS = {
    "th": ["เมืองหลวงของไทยคือกรุงเทพ", "โตเกียว"],
    "zh": ["日本的首都是东京。", "法国的首都是巴黎，意大利的首都是罗马。"],
    "en": ["The capital of France is Paris."],
}
HELD = [HeldText(language=code, text=text) for code, texts in TEXTS.items() for text in texts]


def distributions(model, text):
    """The plain way: one text, one forward pass; a row for what follows each token."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        return model.model(ids).logits[0].double().log_softmax(-1).numpy(), ids[0].tolist()


def nats(model, text):
    scores, ids = distributions(model, model.tokenizer.eos_token + text)
    return [-scores[place - 1, ids[place]] for place in range(1, len(ids))]


def shaken(model, size=2.0):
    update = torch.randn(24, model.d_model, generator=torch.Generator().manual_seed(5))
    return WeightDelta({1: RowSparse(torch.arange(24), size * update)}, model.fingerprint())


def values(found):
    return {(one.language, one.metric): one.value for one in found}


@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom"])
@pytest.mark.parametrize("batch_size", [1, 64])
def test_perplexity_is_that_of_a_plain_count(family, batch_size):
    model = make_model(family)
    found = values(Perplexity(HELD, batch_size=batch_size).measure(model))
    for language, texts in TEXTS.items():
        each = [one for text in texts for one in nats(model, text)]
        n_bytes = sum(len(text.encode()) for text in texts)
        assert found[language, "perplexity"] == pytest.approx(math.exp(np.mean(each)), rel=1e-4)
        bits = sum(each) / math.log(2) / n_bytes
        assert found[language, "bits_per_byte"] == pytest.approx(bits, rel=1e-4)


def test_drift_is_that_of_a_plain_count(tiny_model):
    drift = Drift(HELD, tiny_model, batch_size=2)
    before = {
        text: distributions(tiny_model, text)[0][-1] for texts in TEXTS.values() for text in texts
    }
    with shaken(tiny_model).applied(tiny_model) as edited:
        found = {(one.language, one.metric): one for one in drift.measure(edited)}
        for language, texts in TEXTS.items():
            p = [before[text] for text in texts]
            q = [distributions(edited, text)[0][-1] for text in texts]
            each = [
                float(np.sum(np.exp(one) * (one - other))) for one, other in zip(p, q, strict=True)
            ]
            kept = [one.argmax() == other.argmax() for one, other in zip(p, q, strict=True)]
            kl = found[language, "kl"]
            assert kl.value == pytest.approx(np.mean(each), rel=1e-3)
            assert kl.value > 0.01
            assert found[language, "first_token_kept"].value == pytest.approx(np.mean(kept))
            assert kl.n == len(texts)
            if len(texts) > 1:
                stderr = np.std(each, ddof=1) / math.sqrt(len(each))
                assert kl.stderr == pytest.approx(stderr, rel=1e-2)


def test_the_unedited_model_has_not_drifted(tiny_model):
    found = values(Drift(HELD, tiny_model).measure(tiny_model))
    assert {found[code, "kl"] for code in TEXTS} == {0.0}
    assert {found[code, "first_token_kept"] for code in TEXTS} == {1.0}


@given(arrays(np.float64, (2, 7), elements=st.floats(-30, 30)))
def test_a_divergence_is_never_negative_and_nothing_to_oneself(logits):
    p, q = torch.tensor(logits).float().log_softmax(-1)
    assert divergence(p[None], p[None]).item() == 0
    assert divergence(p[None], q[None]).item() >= 0


def test_what_had_no_chance_before_adds_nothing():
    p = torch.tensor([[0.5, 0.5, 0.0]]).log()
    assert divergence(p, torch.tensor([[0.25, 0.25, 0.5]]).log()).item() == pytest.approx(
        math.log(2)
    )
    assert divergence(p, torch.tensor([[1.0, 0.0, 0.0]]).log()).item() == math.inf


def test_a_model_that_rules_out_what_it_said_has_no_drift(tiny_model):
    drift = Drift(HELD, tiny_model)
    drift._before["th"] = torch.zeros_like(drift._before["th"]) - math.inf
    drift._before["th"][:, 0] = 0
    with torch.no_grad():
        tiny_model.value_rows(2)[:] *= math.inf
    with pytest.raises(ModelError, match="not finite"):
        list(drift.measure(tiny_model))


@pytest.mark.parametrize("family", ["gpt2", "bloom"])
def test_a_long_text_is_read_in_parts_that_lose_nothing(family):
    model = make_model(family)
    text = "東京都は日本の首都。Столица — Токио. เมืองหลวง " * 30
    parts = pieces(model, text)
    assert "".join(parts) == text
    limit = getattr(model.model.config, "max_position_embeddings", None)
    assert (len(parts) > 1) == (limit is not None)
    (scores,) = score_texts(model, [text])
    for part, score in zip(parts, scores, strict=True):
        assert score.joint == pytest.approx(-sum(nats(model, part)), rel=1e-3)
        if limit is not None:
            assert len(score.token_log_probs) < limit
    assert sum(score.n_bytes for score in scores) == len(text.encode())


def test_a_text_begins_after_the_tokenizers_own_mark(tiny_model):
    assert beginning(tiny_model) == tiny_model.tokenizer.eos_token
    tiny_model.tokenizer.eos_token = None
    with pytest.raises(ModelError, match="no mark"):
        beginning(tiny_model)


def test_a_text_that_is_hopeless_is_told(tiny_model):
    with torch.no_grad():
        tiny_model.model.lm_head.weight.mul_(1e6)
    with pytest.raises((ModelError, DataError), match="nats"):
        list(Perplexity(HELD).measure(tiny_model))
