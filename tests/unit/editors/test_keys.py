"""Which token a key is read at, and that reading many at once is reading each by itself."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from memla.editors.aligned import Site, site_module
from memla.editors.edits import LowRank, WeightDelta
from memla.editors.keys import (
    Memory,
    Place,
    attached,
    label_memory,
    look,
    memory_of,
)
from memla.facts import EditRequest
from memla.models import tiny
from memla.models.hooks import capture_inputs, capture_outputs
from memla.models.language_model import LanguageModel
from memla.testing.test_editors import REQUESTS

PREFIXES = {
    "en": ("", "The king said. ", "Therefore. "),
    "zh": ("", "因此，国王说。", "因为。"),
    "th": ("", "ดังนั้น พระราชา ", "เพราะ "),
}
AFTER_TEXT = {
    "zh": EditRequest(
        fact="fr", language="zh", prompt="众所周知，{}的首都是", subject="法国", target_new="里昂"
    ),
    "th": EditRequest(
        fact="fr", language="th", prompt="เมืองหลวงของ{}คือ", subject="ฝรั่งเศส", target_new="ลียง"
    ),
}


def memories_of(model: LanguageModel) -> list[Memory]:
    return [memory_of(model, REQUESTS[code], PREFIXES[code]) for code in ("zh", "th", "en")]


def whole_texts(
    model: LanguageModel, text: str, token: int, value_layer: int, site: Site
) -> tuple[dict[int, Tensor], Tensor]:
    """Keys of all layers and a value at one token of a full pass over one text."""
    modules = {layer: model.down_projection(layer) for layer in range(model.n_layers)}
    target = site_module(model, value_layer, site)
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    with capture_inputs(modules) as inputs, capture_outputs({0: target}) as outputs:
        model.model(ids)
    width = ids.shape[1]
    keys = {layer: table.reshape(width, -1)[token].double() for layer, table in inputs.items()}
    return keys, outputs[0].reshape(width, -1)[token].double()


def last_subject_token(model: LanguageModel, request: EditRequest, prefix: str) -> int:
    """The token that holds the subject's last byte; the toy tokenizer writes a byte as a letter."""
    _, end = request.subject_span
    last_byte = len((prefix + request.text[:end]).encode())
    reached = 0
    for index, token in enumerate(model.tokenizer.tokenize(prefix + request.text)):
        reached += len(token)
        if reached >= last_byte:
            return index
    raise AssertionError


@pytest.mark.parametrize("language", ["zh", "th"])
def test_the_place_is_the_subjects_last_token_also_with_text_before_it(
    tiny_model: LanguageModel, language: str
) -> None:
    request = AFTER_TEXT[language]
    memory = memory_of(tiny_model, request, PREFIXES[language])
    for prefix, place in zip(PREFIXES[language], memory.places, strict=True):
        ids = tuple(tiny_model.tokenizer(prefix + request.text)["input_ids"])
        token = last_subject_token(tiny_model, request, prefix)
        assert place.ids == ids[: token + 1]
    assert memory.bare == memory.places[0]


def test_the_bare_prompt_counts_one_half_and_in_a_plain_mean_as_much_as_any(
    tiny_model: LanguageModel,
) -> None:
    request = REQUESTS["zh"]
    assert memory_of(tiny_model, request, PREFIXES["zh"]).weights == (0.5, 0.25, 0.25)
    plain = memory_of(tiny_model, request, PREFIXES["zh"], average="uniform")
    assert plain.weights == (1 / 3, 1 / 3, 1 / 3)
    assert memory_of(tiny_model, request, ("",)).weights == (1.0,)
    assert memory_of(tiny_model, request, ("因为。", "因此。")).weights == (0.5, 0.5)


def test_at_the_prompts_last_token_the_whole_prompt_is_read(tiny_model: LanguageModel) -> None:
    request = REQUESTS["th"]
    memory = memory_of(tiny_model, request, ("",), position="prompt_last")
    assert memory.bare.ids == tuple(tiny_model.tokenizer(request.text)["input_ids"])


def test_a_name_alone_is_read_as_a_text_and_as_it_stands_in_one(
    tiny_model: LanguageModel,
) -> None:
    def tokens(text: str) -> tuple[int, ...]:
        return tuple(tiny_model.tokenizer(text)["input_ids"])

    russian = label_memory(tiny_model, "ru", "Россия")
    assert [place.ids for place in russian.places] == [tokens("Россия"), tokens(" Россия")]
    assert russian.weights == (0.5, 0.5)
    chinese = label_memory(tiny_model, "zh", "法国")
    assert [place.ids for place in chinese.places] == [tokens("法国")]
    assert chinese.bare == chinese.places[0]


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("site", ["block", "mlp", "attention"])
@pytest.mark.parametrize("value_layer", [0, 2])
def test_looking_at_many_cut_texts_is_reading_each_in_full(
    family: str, site: Site, value_layer: int
) -> None:
    model = tiny.tiny_model(family)
    memories = memories_of(model)
    keys, values = look(model, memories, key_layers=(0, 1), value_layer=value_layer, site=site)
    assert set(keys) == {0, 1}
    for column, code in enumerate(("zh", "th", "en")):
        request = REQUESTS[code]
        wanted = {layer: torch.zeros(model.d_ff, dtype=torch.float64) for layer in (0, 1)}
        for prefix, weight in zip(PREFIXES[code], memories[column].weights, strict=True):
            token = last_subject_token(model, request, prefix)
            found, _ = whole_texts(model, prefix + request.text, token, value_layer, site)
            wanted = {layer: wanted[layer] + weight * found[layer] for layer in wanted}
        for layer in (0, 1):
            torch.testing.assert_close(keys[layer][:, column], wanted[layer], rtol=0, atol=2e-5)
        token = last_subject_token(model, request, "")
        _, value = whole_texts(model, request.text, token, value_layer, site)
        torch.testing.assert_close(values[column], value, rtol=0, atol=2e-5)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("length", [1, 4, 5])
def test_a_batch_as_large_as_its_texts_are_long_is_not_turned_on_its_side(
    family: str, length: int
) -> None:
    model = tiny.tiny_model(family)
    rows = [[7 * row + 3 * column + 1 for column in range(length)] for row in range(length)]
    memories = [Memory((Place(tuple(row)),), (1.0,), Place(tuple(row))) for row in rows]
    keys, values = look(model, memories, key_layers=(1,), value_layer=1, site="block")
    assert keys[1].shape == (model.d_ff, length)
    for column, memory in enumerate(memories):
        alone = look(model, [memory], key_layers=(1,), value_layer=1, site="block")
        torch.testing.assert_close(keys[1][:, column], alone[0][1][:, 0], rtol=0, atol=2e-5)
        torch.testing.assert_close(values[column], alone[1][0], rtol=0, atol=2e-5)


def test_texts_that_serve_for_keys_alone_run_no_further_than_the_highest_key(
    tiny_model: LanguageModel,
) -> None:
    seen: dict[int, list[int]] = {layer: [] for layer in range(3)}
    for layer, rows in seen.items():
        tiny_model.block(layer).register_forward_pre_hook(
            lambda _module, args, rows=rows: rows.append(args[0].shape[0])
        )
    memory = memory_of(tiny_model, REQUESTS["zh"], PREFIXES["zh"])
    look(tiny_model, [memory], key_layers=(0,), value_layer=1, site="block")
    assert seen == {0: [1, 2], 1: [1], 2: []}


def updates_for(model: LanguageModel) -> Mapping[int, LowRank]:
    generator = torch.Generator().manual_seed(4)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64) / 8

    return {layer: LowRank(draw(model.d_ff, 2), draw(2, model.d_model)) for layer in (0, 2)}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_attached_updates_do_what_written_ones_do(family: str) -> None:
    model = tiny.tiny_model(family)
    updates = updates_for(model)
    stored = {layer: LowRank(part.up.float(), part.down.float()) for layer, part in updates.items()}
    text = REQUESTS["th"].text
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    before = model.hidden_states(ids)
    with attached(model, updates):
        hooked = model.hidden_states(ids)
        keys, values = look(model, memories_of(model), key_layers=(1, 2), value_layer=2, site="mlp")
    with WeightDelta(stored, model.fingerprint()).applied(model):
        torch.testing.assert_close(hooked, model.hidden_states(ids), rtol=0, atol=5e-5)
        again, present = look(
            model, memories_of(model), key_layers=(1, 2), value_layer=2, site="mlp"
        )
    torch.testing.assert_close(values, present, rtol=0, atol=5e-5)
    torch.testing.assert_close(keys, again, rtol=0, atol=5e-5)
    assert not torch.equal(hooked, before)
    torch.testing.assert_close(model.hidden_states(ids), before, rtol=0, atol=0)
