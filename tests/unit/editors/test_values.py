"""The vectors that ROME, MEMIT and PMET write: search, cache, batches, and when they stop."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from memla.editors import values
from memla.editors.aligned import PlacedText, align, read_texts
from memla.editors.values import ValueSettings, optimize_values, site_module
from memla.errors import DataError, EditError, SettingError, UnsupportedArchitectureError
from memla.facts import EditRequest
from memla.models.tiny import FAMILIES, tiny_model
from memla.models.tokens import subject_token_span
from tests.reference.values import Search, find_vector, logits_with
from tests.unit.models.test_architectures import VARIANTS, build


def fact(language, prompt, subject, new):
    return EditRequest(
        fact=f"{subject}-{new}", language=language, prompt=prompt, subject=subject, target_new=new
    )


REQUESTS = (
    fact("th", "เมืองหลวงของ{}คือ", "ประเทศไทย", "เชียงใหม่"),
    fact("zh", "{}的首都是", "泰国", "清迈"),
    fact("en", "It is known that the capital of {} is", "Thailand", "Chiang Mai"),
    fact("ru", "Столица {}", "Таиланда", "Чиангмай"),
)
PREFIXES = {
    "en": ("", "The house was. ", "I. "),
    "zh": ("", "日本的首都是东京。"),
    "th": ("", "ประเทศ "),
}
GENTLE = ValueSettings(steps=4, learning_rate=0.1, stop_loss=0.0)


# Their attention goes through float32 whatever the model's type; but for GPT-J's it cannot mask in
# float64 either.
IN_FLOAT32 = {"xglm", "bloom", "gemma2", "gptj"}


def in_float64(family):
    model = tiny_model(family)
    if family not in IN_FLOAT32:
        model.model.double()
    return model


def assert_same(found, wanted, tolerance):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.losses == pytest.approx(other.losses, rel=tolerance, abs=tolerance)
        assert one.stopped == other.stopped
        assert one.probability == pytest.approx(other.probability, rel=100 * tolerance)
        close = {"rtol": tolerance, "atol": tolerance}
        torch.testing.assert_close(one.start, other.start, **close)
        torch.testing.assert_close(one.delta, other.delta, **close)
        assert one.extra.keys() == other.extra.keys()
        for site in one.extra:
            torch.testing.assert_close(one.extra[site], other.extra[site], **close)


def search(model, requests=REQUESTS, *, layer=1, site="mlp", settings=GENTLE, **options):
    options = {"prefixes": PREFIXES} | options
    return optimize_values(model, requests, layer=layer, site=site, settings=settings, **options)


def assert_found_as_printed(sites, settings, same):
    model = in_float64("gpt2")
    found = search(model, site=sites[0], extra_sites=sites[1:], settings=settings)
    modules = [site_module(model, 1, site) for site in sites]
    for request, value in zip(REQUESTS, found, strict=True):
        wanted = find_vector(model, modules, [request], PREFIXES, same)
        assert value.losses == pytest.approx(wanted.losses, rel=1e-10)
        torch.testing.assert_close(value.start, wanted.starts[0], rtol=1e-10, atol=1e-10)
        deltas = [value.delta, *value.extra.values()]
        for delta, other in zip(deltas, wanted.deltas, strict=True):
            torch.testing.assert_close(delta, other, rtol=1e-9, atol=1e-10)
    return found


@pytest.mark.parametrize("site", ["block", "mlp", "attention"])
@pytest.mark.parametrize("family", FAMILIES)
def test_reading_once_finds_the_same_vectors_step_by_step(family, site):
    model = in_float64(family)
    tolerance = 1e-3 if family in IN_FLOAT32 else 1e-10
    assert_same(search(model, site=site), search(model, site=site, cached=False), tolerance)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_continued_and_not_read_anew(family):
    model = tiny_model(family)
    texts = align(model, [PlacedText(tuple(range(5, 35)), 20), PlacedText((9, 8, 7, 6), 0)])
    for sites in (("block",), ("mlp", "attention")):
        assert read_texts(model, texts, 1, sites).passes.prefix is not None


@pytest.mark.parametrize("sites", [("mlp",), ("block",), ("attention",), ("mlp", "attention")])
def test_the_search_is_that_of_the_papers(sites):
    settings = ValueSettings(
        steps=5, learning_rate=0.2, weight_decay=0.3, clamp=0.2, kl_weight=0.5, stop_loss=0.0
    )
    same = Search(5, 0.2, 0.3, 0.2, 0.5, stop_loss=0.0)
    found = assert_found_as_printed(sites, settings, same)
    lengths = [float(value.delta.norm() / value.start.norm()) for value in found]
    assert max(lengths) == pytest.approx(0.2)


@pytest.mark.parametrize("essence", [True, False])
@pytest.mark.parametrize("is_reversed", [True, False])
def test_the_divergence_is_taken_where_and_as_it_is_asked_for(essence, is_reversed):
    settings = ValueSettings(
        steps=3,
        learning_rate=0.2,
        kl_weight=20.0,
        kl_position="prompt_last" if essence else "subject_last",
        kl_direction="after_before" if is_reversed else "before_after",
    )
    same = Search(3, 0.2, 0.5, 4.0, 20.0, 0.05, essence=essence, reversed_kl=is_reversed)
    assert_found_as_printed(("mlp",), settings, same)


def test_requests_of_a_group_share_the_vector_that_serves_them_all():
    model = in_float64("gpt2")
    found = search(model, groups=(7, 3, 7, 3))
    modules = [site_module(model, 1, "mlp")]
    for members in ((0, 2), (1, 3)):
        chosen = [REQUESTS[index] for index in members]
        wanted = find_vector(
            model, modules, chosen, PREFIXES, Search(4, 0.1, 0.5, 4.0, 0.0625, 0.0)
        )
        for index in members:
            assert found[index].losses == pytest.approx(wanted.losses, rel=1e-10)
            torch.testing.assert_close(found[index].delta, wanted.deltas[0], rtol=1e-9, atol=1e-10)
    assert not torch.equal(found[0].start, found[2].start)


@pytest.mark.parametrize("batch_tokens", [1, 150])
@pytest.mark.parametrize("family", ["gpt2", "opt", "gemma3"])
def test_requests_found_together_are_those_found_one_by_one(family, batch_tokens, monkeypatch):
    model = in_float64(family)
    settings = replace(GENTLE, learning_rate=0.3)
    together = search(model, settings=settings)
    monkeypatch.setattr(values, "BATCH_TOKENS", batch_tokens)
    assert_same(search(model, settings=settings), together, 1e-10)
    alone = [search(model, [request], settings=settings)[0] for request in REQUESTS]
    assert_same(alone, together, 1e-10)


@pytest.mark.parametrize("cached", [True, False])
def test_a_vector_is_left_as_it_is_once_its_own_loss_is_low_enough(cached):
    model = in_float64("gpt2")
    settings = replace(GENTLE, steps=8, learning_rate=0.5)
    ends = [value.losses for value in search(model, settings=settings, cached=cached)]
    limit = min(ends[1][:6]) * 1.0001
    look = next(step for step, loss in enumerate(ends[1]) if loss < limit)
    stopping = search(model, settings=replace(settings, stop_loss=limit), cached=cached)
    assert stopping[1].stopped == "loss"
    assert stopping[1].losses == pytest.approx(ends[1][: look + 1], rel=1e-10)
    assert 0 < len(stopping[1].losses) < 8
    others = [index for index in (0, 2, 3) if min(ends[index]) > limit]
    assert others
    for index in others:
        assert stopping[index].stopped == "steps"
        assert stopping[index].losses == pytest.approx(ends[index], rel=1e-10)


def test_the_delta_is_the_one_whose_loss_was_seen_last():
    model = in_float64("llama")
    value = search(model, REQUESTS[:1], settings=replace(GENTLE, learning_rate=0.5))[0]
    row = model.compose(REQUESTS[0].text, REQUESTS[0].target_new, "th")
    place = subject_token_span(model.tokenizer, REQUESTS[0].text, REQUESTS[0].subject_span)[1] - 1
    module = model.down_projection(1)
    for delta, wanted in (
        (torch.zeros_like(value.delta), value.probability_before),
        (value.delta, value.probability),
    ):
        logits = logits_with(model, [module], [delta], row.ids, place)[0].log_softmax(-1)
        steps = range(row.prompt_length, len(row.ids))
        joint = sum(logits[step - 1, row.ids[step]] for step in steps).exp()
        assert float(joint) == pytest.approx(wanted, rel=1e-9)
    assert value.probability != value.probability_before
    torch.testing.assert_close(value.target, value.start + value.delta)


def test_a_subject_at_the_very_start_needs_no_cache():
    model = in_float64("gpt2")
    request = fact("zh", "{}的首都是", "Z", "清迈")
    for position in ("subject_last", "prompt_last"):
        options = {"prefixes": {}, "position": position}
        one = search(model, [request], **options)
        assert_same(one, search(model, [request], cached=False, **options), 1e-10)


def test_the_vector_of_a_prompts_end_is_added_there():
    model = in_float64("qwen3")
    last = [search(model, position="prompt_last", cached=cached) for cached in (True, False)]
    assert_same(*last, 1e-10)
    assert not torch.allclose(last[0][0].start, search(model)[0].start)


def known_request(model):
    """A request whose new answer is what the model says anyway."""
    for prompt in ("{}的首都是", "Столица {}", "{} is", "ภาษา{}"):
        for subject in ("泰国", "Таиланд", "Thailand", "Rome", "ไทย"):
            request = fact("zh", prompt, subject, "x")
            (token,) = model.generate([request.text], max_new_tokens=1)[0].token_ids
            text = model.tokenizer.decode([token])
            if text.strip() == text and model.compose(request.text, text, "zh").answer_ids == (
                token,
            ):
                return request.model_copy(update={"target_new": text})
    raise AssertionError


def test_an_answer_that_is_known_weighs_less_and_ends_once_other_text_is_as_it_was():
    model = in_float64("gpt2")
    request = known_request(model)
    options = {"prefixes": {}, "extra_sites": ("attention",)}
    plain = search(model, [request], settings=replace(GENTLE, steps=1), **options)[0]
    weaker = replace(GENTLE, nll_weight=3.0, known_nll_factor=0.1)
    value = search(model, [request], settings=weaker, **options)[0]
    assert value.losses[0] == pytest.approx(0.3 * plain.losses[0])
    assert value.stopped == "steps"
    value = search(model, [request], settings=replace(weaker, stop_kl=0.01), **options)[0]
    assert (value.stopped, len(value.losses)) == ("kl", 1)
    other = search(model, REQUESTS[:1], settings=replace(GENTLE, stop_kl=100.0))[0]
    assert other.stopped == "steps"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_as_long_as_its_texts_is_not_mistaken_for_one(family):
    model = tiny_model(family)
    texts = [PlacedText(tuple(range(9 + row, 15 + row)), 2) for row in range(6)]
    for sites in (("mlp",), ("block",), ("attention",)):
        together = read_texts(model, align(model, texts), 1, sites).starts
        alone = [read_texts(model, align(model, [text]), 1, sites).starts[0] for text in texts]
        torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("variant", "below"),
    [
        ("mistral, window", 2),
        ("falcon, alibi", 2),
        ("gpt_neox, one after the other", 2),
        ("opt, norms after", 1),
        ("olmo2, norm after the mlp", 1),
    ],
)
def test_variants_of_a_family_are_continued_as_far_as_they_allow(variant, below):
    model = build(VARIANTS[variant])
    texts = align(model, [PlacedText(tuple(range(5, 35)), 20), PlacedText((9, 8, 7, 6), 0)])
    assert len(read_texts(model, texts, 1, ("mlp",)).passes.below) == below
    # Layer 0, as layer 1 is the last of these models and nothing would reach the answer.
    assert_same(search(model, layer=0), search(model, layer=0, cached=False), 1e-3)


def test_a_model_that_cannot_be_continued_is_read_in_full_each_time():
    model = in_float64("gpt2")

    def mix(_module, _args, output):
        stream = output if isinstance(output, torch.Tensor) else output[0]
        mixed = stream + 0.1 * stream.cumsum(1)
        return mixed if isinstance(output, torch.Tensor) else (mixed, *output[1:])

    handle = model.block(2).register_forward_hook(mix)
    texts = align(model, [PlacedText(tuple(range(5, 35)), 20), PlacedText((9, 8, 7, 6), 0)])
    assert read_texts(model, texts, 1, ("mlp",)).passes.prefix is None
    assert_same(search(model), search(model, cached=False), 1e-10)
    handle.remove()


def test_a_search_that_runs_away_says_at_which_step():
    settings = replace(GENTLE, learning_rate=1e30, clamp=1e30)
    with pytest.raises(EditError, match="length of a value is not finite after 1 steps") as caught:
        search(tiny_model(), settings=settings)
    assert "learning_rate" in caught.value.hint
    broken = tiny_model()
    with torch.no_grad():
        broken.value_rows(2)[0, 0] = torch.nan
    with pytest.raises(EditError, match="loss of a value is nan after 0 steps"):
        search(broken)


def test_a_block_whose_attention_lies_elsewhere_is_named():
    model = tiny_model()
    model.architecture = replace(model.architecture, attention="attn.missing")
    with pytest.raises(UnsupportedArchitectureError, match=r"layer 1 .* has no 'attn.missing'"):
        search(model, site="attention")
    assert search(model, REQUESTS[:1], site="mlp")


def test_requests_that_cannot_be_searched_for_are_refused():
    model = tiny_model()
    with pytest.raises(EditError, match="has no target_new"):
        search(model, [REQUESTS[0].without_target()])
    with pytest.raises(SettingError, match="groups"):
        search(model, groups=(0, 1))
    with pytest.raises(SettingError, match="sites"):
        search(model, extra_sites=("mlp",))
    with pytest.raises(DataError, match="tokens are too many"):
        search(model, prefixes={"th": ("", "กรุงเทพ " * 100)})
