from __future__ import annotations

import json
import math

import pytest
import torch

from memla.attribution import causal_tracing, traced_runs
from memla.attribution.causal_tracing import POSITIONS, Tracing, position_groups, trace
from memla.errors import DataError, SettingError, UnsupportedArchitectureError
from memla.facts import EditRequest
from memla.models import tiny
from memla.models.loading import load_model
from memla.models.tiny import FAMILIES
from memla.models.tokens import subject_token_span
from tests.reference import causal_tracing as reference

THAI = EditRequest(
    fact="thailand",
    language="th",
    prompt="เมืองหลวงของ{}คือ",
    subject="ไทย",
    target_true="กรุงเทพ",
)
CHINESE = EditRequest(
    fact="france", language="zh", prompt="{}的首都是", subject="法国", target_true="巴黎"
)
SITES = ("block", "mlp", "attention")


def drawn(model, request, samples=2, noise=3.0, requests=None):
    """The noise that ``trace`` draws."""
    spans = [
        subject_token_span(model.tokenizer, one.text, one.subject_span)
        for one in requests or [request]
    ]
    deviation = noise * causal_tracing._embedding_deviation(model, requests or [request], spans)
    span = subject_token_span(model.tokenizer, request.text, request.subject_span)
    size = (samples, span[1] - span[0])
    return span, deviation * causal_tracing._draw(model, size, 0, request)


@pytest.mark.parametrize("family", FAMILIES)
def test_effects_are_those_of_runs_made_one_by_one(family):
    model = tiny.tiny_model(family)
    found = trace(model, [CHINESE], sites=SITES, samples=2, window=2)
    span, noise = drawn(model, CHINESE)
    length = model.compose(CHINESE.text, "巴黎", "zh").prompt_length
    groups = list(position_groups(span, length).values())
    for site in SITES:
        clean, corrupted, tokens = reference.indirect_effects(
            model, CHINESE, span, noise, site, window=2
        )
        assert found.total_effect() == pytest.approx((clean, corrupted), rel=1e-4)
        effects = found.effects(site)
        for group in range(len(POSITIONS)):
            own = [index for index, value in enumerate(groups) if value == group]
            if own:
                torch.testing.assert_close(
                    effects[group], tokens[own].mean(0), rtol=1e-3, atol=1e-3 * clean
                )
            else:
                assert effects[group].isnan().all()


def test_the_last_state_of_the_last_token_is_all_that_an_answer_of_one_token_comes_from(
    tiny_model,
):
    request = THAI.model_copy(update={"target_true": "日本", "language": "zh"})
    assert len(tiny_model.compose(request.text, "日本", "zh").answer_ids) == 1
    found = trace(tiny_model, [request], sites=("block",), samples=3)
    clean, corrupted = found.total_effect()
    given_back = found.effects("block")[POSITIONS.index("last token")]
    assert float(given_back[-1]) == pytest.approx(clean - corrupted, rel=1e-4)
    assert float(given_back[0]) != pytest.approx(clean - corrupted, rel=1e-2)


def test_runs_split_into_small_batches_give_the_same(tiny_model, monkeypatch):
    whole = trace(tiny_model, [THAI], samples=2)
    monkeypatch.setattr(traced_runs, "BATCH_TOKENS", 1)
    parts = trace(tiny_model, [THAI], samples=2)
    torch.testing.assert_close(
        parts.effects("mlp"), whole.effects("mlp"), rtol=1e-4, atol=1e-7, equal_nan=True
    )


def test_blocks_below_what_is_restored_are_not_computed_again(tiny_model):
    seen: list[int] = []
    for layer in range(3):
        tiny_model.down_projection(layer).register_forward_pre_hook(
            lambda _module, _args, layer=layer: seen.append(layer)
        )
    trace(tiny_model, [THAI], sites=("block",), samples=2)
    assert [seen.count(layer) for layer in range(3)] == [1, 2, 3]


def test_all_positions_of_a_layer_run_in_one_batch(tiny_model):
    rows: list[int] = []
    embedding = traced_runs.embedding_module(tiny_model)
    embedding.register_forward_hook(lambda _module, args, _output: rows.append(len(args[0])))
    trace(tiny_model, [CHINESE], sites=("mlp",), samples=2)
    span, _ = drawn(tiny_model, CHINESE)
    n_positions = tiny_model.compose(CHINESE.text, "巴黎", "zh").prompt_length - span[0]
    runs = [count for count in rows if count > 1]
    assert runs == [3, *[2 * n_positions] * tiny_model.n_layers]


def test_neither_other_statements_nor_the_global_generator_change_the_noise(tiny_model):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = causal_tracing._draw(tiny_model, (2, 3), 0, THAI)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(causal_tracing._draw(tiny_model, (2, 3), 0, THAI), first)
    assert not torch.equal(causal_tracing._draw(tiny_model, (2, 3), 1, THAI), first)
    assert not torch.equal(causal_tracing._draw(tiny_model, (2, 3), 0, CHINESE), first)


def test_effects_are_averaged_by_language_and_over_all(tiny_model):
    other = CHINESE.model_copy(update={"fact": "japan", "subject": "日本", "target_true": "东京"})
    found = trace(tiny_model, [THAI, CHINESE, other], sites=("mlp",), samples=2)
    assert found.languages == ("th", "zh")
    one, two, three = (statement.effects["mlp"] for statement in found.statements)
    torch.testing.assert_close(
        found.effects("mlp", "zh"), torch.stack([two, three]).nanmean(0), equal_nan=True
    )
    torch.testing.assert_close(
        found.effects("mlp"), torch.stack([one, two, three]).nanmean(0), equal_nan=True
    )
    with pytest.raises(DataError, match="nothing was traced in 'ru'"):
        found.effects("mlp", "ru")


def test_the_best_layer_is_where_the_last_subject_token_matters_most(tiny_model):
    found = trace(tiny_model, [THAI], sites=("block", "mlp"), samples=2)
    row = found.effects("mlp")[2]
    assert float(row[found.best_layer()]) == float(row.max())
    assert found.best_layer("block", "last token") == int(found.effects("block")[5].argmax())
    short = CHINESE.model_copy(update={"prompt": "首都：{}"})
    with pytest.raises(DataError, match="no prompt has a first token after"):
        trace(tiny_model, [short], samples=1).best_layer("mlp", "first token after")


def test_positions_are_grouped_from_the_subject_to_the_end_of_the_prompt():
    def named(*arguments):
        return [POSITIONS[group].split()[0] for group in position_groups(*arguments).values()]

    assert named((1, 4), 8) == ["first", "middle", "last", "first", "further", "further", "last"]
    assert list(position_groups((1, 4), 8).values()) == [0, 1, 2, 3, 4, 4, 5]
    assert list(position_groups((0, 1), 2).values()) == [2, 5]
    assert list(position_groups((0, 2), 2).values()) == [0, 2]


def test_a_tracing_as_json_has_no_nan(tiny_model):
    found = trace(tiny_model, [CHINESE], samples=1)
    said = json.loads(json.dumps(found.to_json(), allow_nan=False, ensure_ascii=False))
    assert said["positions"] == list(POSITIONS)
    assert set(said["languages"]) == {"zh"}
    assert said["all"] == said["languages"]["zh"]
    values = found.effects("mlp").tolist()
    for row, told in zip(values, said["all"]["effects"]["mlp"], strict=True):
        assert told == [None if math.isnan(value) else value for value in row]


def test_statements_the_model_does_not_know_can_be_left_out():
    model = load_model("mini")
    known = EditRequest(
        fact="cyprus",
        language="ru",
        prompt="Столица страны {} —",
        subject="Кипр",
        target_true="Никосия",
    )
    wrong = known.model_copy(update={"target_true": "Москва"})
    found = trace(model, [wrong, known], sites=("block",), samples=1, known_only=True)
    assert (len(found.statements), found.n_unknown) == (1, 1)
    clean, corrupted = found.total_effect("ru")
    assert clean > 0.9 > 0.5 > corrupted
    with pytest.raises(DataError, match="gives none of the 1 true answers"):
        trace(model, [wrong], sites=("block",), samples=1, known_only=True)


def test_the_model_is_left_as_it_was(tiny_model):
    before = tiny_model.fingerprint()

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trace(tiny_model, [THAI], samples=1, on_progress=press)
    trace(tiny_model, [THAI], samples=1)
    assert tiny_model.fingerprint() == before
    for module in tiny_model.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in module.__dict__


@pytest.mark.parametrize(
    ("requests", "settings", "error", "message"),
    [
        ([], {}, DataError, "no statement"),
        ([THAI.model_copy(update={"target_true": None})], {}, DataError, "has no target_true"),
        ([THAI], {"samples": 0}, SettingError, "samples is 0"),
        ([THAI], {"noise": float("nan")}, SettingError, "noise is nan"),
        ([THAI], {"window": 0}, SettingError, "window is 0"),
    ],
)
def test_what_cannot_be_traced_is_said_with_the_way_out(
    tiny_model, requests, settings, error, message
):
    with pytest.raises(error, match=message) as caught:
        trace(tiny_model, requests, **settings)
    assert caught.value.hint


def test_attention_that_is_not_where_it_should_be_is_an_error(tiny_model):
    tiny_model.block(1).attn.c_proj = None
    with pytest.raises(UnsupportedArchitectureError, match="in layer 1"):
        traced_runs.site_module(tiny_model, "attention", 1)


def test_a_tracing_holds_what_it_was_made_with(tiny_model):
    found = trace(tiny_model, [THAI], samples=2, noise=2.0)
    _, noise = drawn(tiny_model, THAI, noise=2.0)
    assert isinstance(found, Tracing)
    assert (found.samples, found.window, found.n_unknown) == (2, 1, 0)
    assert found.noise == pytest.approx(float(noise.std()), rel=0.2)
