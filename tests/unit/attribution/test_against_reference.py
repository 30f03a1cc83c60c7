"""The fast form equals the equations, in every family of models."""

from __future__ import annotations

import math

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import modeling_utils

from memla.attribution.config import AttributionConfig
from memla.attribution.integrated_gradients import attribute
from memla.attribution.quadrature import quadrature
from memla.facts import EditRequest
from memla.models.tiny import FAMILIES, tiny_model
from memla.models.tokens import subject_token_span
from tests.reference import attribution as reference

PROMPTS = {
    "zh": ("亚洲的{}首都是", "日本"),
    "ru": ("Столица {} — это", "Японии"),
    "th": ("เมืองหลวงของ{}คือ", "ไทย"),
}


def request_with(model, language, n_tokens):
    """A request whose answer has exactly so many tokens."""
    prompt, subject = PROMPTS[language]
    filled = prompt.replace("{}", subject)
    letters = {"zh": "ABC東京", "ru": "абвгдежз", "th": "กขคงจฉ"}[language]
    for first in letters:
        for length in range(1, 5):
            answer = first * length
            composed = model.compose(filled, answer, language)
            if len(composed.answer_ids) == n_tokens:
                return EditRequest(
                    fact="f",
                    language=language,
                    prompt=prompt,
                    subject=subject,
                    target_true=answer,
                )
    raise AssertionError(f"no answer of {n_tokens} tokens in {language}")


def expected(model, request, config, unit):
    composed = model.compose(request.text, request.target_true, request.language)
    answer = composed.answer_ids
    semantics = config.multi_token
    if semantics == "first_token":
        answer, semantics = answer[:1], "teacher_forced"
    place = None
    if config.position == "subject_last":
        place = subject_token_span(model.tokenizer, request.text, request.subject_span)[1] - 1
    nodes, weights = quadrature(config.quadrature, config.steps)
    return reference.attribution(
        model,
        composed.prompt_ids,
        answer,
        semantics=semantics,
        site=config.site,
        position=place,
        nodes=nodes.tolist(),
        weights=weights.tolist(),
        mask_token=None if config.baseline == "zero" else model.tokenizer.eos_token_id,
        skipped=() if config.mask_special else model.tokenizer.all_special_ids,
        multiplier=config.multiplier,
        logarithm=config.objective == "log_probability",
        unit=unit,
        layers=config.layers,
    )


def check(model, request, config, tolerance=1e-5):
    found = attribute(model, request, config)
    wanted = expected(model, request, config, math.exp(found.log_scale))
    scale = float(wanted.abs().max())
    assert scale > 0
    error = float((found.scores.double() - wanted).abs().max())
    assert error <= tolerance * scale
    return found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("semantics", ["teacher_forced", "joint", "joint_all"])
def test_every_family_scores_as_the_equations_say(family, semantics):
    model = tiny_model(family, n_layers=2, d_model=16, d_ff=24)
    for n_tokens in (1, 3):
        request = request_with(model, "zh", n_tokens)
        for position in ("prompt_last", "subject_last"):
            config = AttributionConfig(
                multi_token=semantics, position=position, steps=2, baseline="zero"
            )
            check(model, request, config)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_masked_baseline_is_that_of_the_equations_in_every_family(family):
    model = tiny_model(family, n_layers=2, d_model=16, d_ff=24)
    check(model, request_with(model, "ru", 3), AttributionConfig(steps=1, multi_token="joint_all"))


# XGLM's attention fills masks with a float32 number and fails in float64; the others here
# normalise in float32 whatever type their weights have.
SINGLE = {"xglm", "gemma2", "gemma3", "llama", "mistral", "qwen2", "qwen3", "phi3"}


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "xglm"])
def test_in_float64_the_difference_from_the_equations_is_rounding(family):
    model = tiny_model(family, n_layers=2, d_model=16, d_ff=24)
    model.model.double()
    config = AttributionConfig(steps=2, multi_token="joint", position="subject_last")
    tolerance = 1e-5 if family in SINGLE else 1e-9
    check(model, request_with(model, "zh", 3), config, tolerance)


@pytest.mark.parametrize("family", ["gpt2", "llama", "phi3", "bloom"])
@pytest.mark.parametrize(
    "settings",
    [
        {"site": "pre_act"},
        {"site": "pre_act", "multi_token": "joint_all", "position": "subject_last"},
        {"multiplier": "activation"},
        {"objective": "log_probability"},
        {"objective": "log_probability", "multi_token": "joint"},
        {"multi_token": "first_token"},
        {"layers": (1,)},
        {"layers": (0, 1), "multi_token": "joint"},
        {"layers": (0, 2), "multi_token": "joint", "position": "subject_last"},
        {"quadrature": "gauss_legendre"},
        {"quadrature": "trapezoid"},
        {"quadrature": "linspace_inclusive"},
    ],
    ids=str,
)
def test_each_switch_does_what_the_equations_say(family, settings):
    model = tiny_model(family, n_layers=3, d_model=16, d_ff=24)
    check(model, request_with(model, "th", 2), AttributionConfig(steps=3, **settings))


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
def test_a_prompt_longer_than_the_sliding_window_is_read_as_the_model_reads_it(family):
    model = tiny_model(family, n_layers=2, d_model=16, d_ff=24)
    request = request_with(model, "zh", 3).model_copy(
        update={"prompt": "在亚洲东部的大海之中有一个国家叫做{}，它的首都就是"}
    )
    for position in ("prompt_last", "subject_last"):
        config = AttributionConfig(steps=2, multi_token="joint", position=position, baseline="zero")
        check(model, request, config)
    window = model.model.config.sliding_window
    assert len(model.compose(request.text, request.target_true, "zh").ids) > window


def test_a_subject_that_is_the_first_token_has_no_prefix():
    model = tiny_model("gpt2", n_layers=2, d_model=16, d_ff=24)
    request = EditRequest(
        fact="f", language="ru", prompt="{} — это", subject="А", target_true="Б В Г"
    )
    config = AttributionConfig(steps=2, multi_token="joint", position="subject_last")
    check(model, request, config)


def test_special_tokens_are_masked_only_on_request():
    model = tiny_model("gpt2", n_layers=2, d_model=16, d_ff=24)
    tokenizer = model.tokenizer
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", tokenizer.eos_token_id)]
    )
    request = request_with(model, "zh", 2)
    without = check(model, request, AttributionConfig(steps=2, baseline="pad"))
    config = AttributionConfig(steps=2, baseline="pad", mask_special=True)
    everywhere = check(model, request, config)
    assert not torch.equal(without.scores, everywhere.scores)


def test_tokens_that_mask_are_not_taken_for_padding(monkeypatch):
    model = tiny_model("gpt2", n_layers=2, d_model=16, d_ff=24)
    model.model.config.pad_token_id = model.tokenizer.pad_token_id
    warned = []
    monkeypatch.setattr(modeling_utils.logger, "warning_once", warned.append)
    attribute(model, request_with(model, "th", 1), AttributionConfig(steps=2, baseline="pad"))
    assert warned == []


def test_the_authors_preset_repeats_the_deviations_of_their_code():
    """Activation as multiplier, answer tokenised alone with BOS, the stale token appended."""
    model = tiny_model("gpt2", n_layers=2, d_model=16, d_ff=24)
    tokenizer = model.tokenizer
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", tokenizer.eos_token_id)]
    )
    request = request_with(model, "ru", 2)
    found = attribute(model, request, AttributionConfig.preset("authors"))

    ids = tokenizer(request.text)["input_ids"]
    answer = tokenizer(request.target_true)["input_ids"]
    assert ids[0] == answer[0] == tokenizer.eos_token_id
    with torch.no_grad():
        stale = int(model.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
    wanted = torch.zeros(2, 24, dtype=torch.float64)
    for index, token in enumerate(answer):
        text = request.text + tokenizer.decode([stale]) * index
        wanted += reference.attribution(
            model,
            tokenizer(text)["input_ids"],
            [token],
            semantics="teacher_forced",
            site="pre_act",
            nodes=[step / 20 for step in range(20)],
            weights=[1 / 20] * 20,
            mask_token=tokenizer.eos_token_id,
            multiplier="activation",
            unit=math.exp(found.log_scale) * len(answer),
        )
    assert float((found.scores - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())
