"""What MEMIT and PMET write, against weights written and whole texts read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, GPTJConfig

from memla.editors.covariance import CovarianceConfig, Covariances
from memla.editors.edits import LowRank, WeightDelta
from memla.editors.layered import LayeredConfig
from memla.editors.memit import MemitConfig, MemitEditor
from memla.editors.pmet import PmetConfig, PmetEditor
from memla.editors.values import optimize_values
from memla.errors import EditError, SettingError
from memla.facts import EditRequest
from memla.models import tiny
from memla.models.language_model import LanguageModel
from memla.testing.test_editors import REFERENCES, REQUESTS, capital
from tests.reference import memit as reference

THREE = (REQUESTS["zh"], REQUESTS["th"], REQUESTS["en"])
EASY = EditRequest(
    fact="thailand",
    language="zh",
    prompt="我来自{}",
    subject="泰国",
    target_new="日本",
    target_true="中国",
)
"""Its subject ends the prompt, and its answer is one token, so that a value decides at once."""
BARE = {"templates": ()}
EDITORS: Mapping[str, Any] = {"memit": MemitEditor, "pmet": PmetEditor}
FAMILIES = ("gpt2", "gemma2", "bloom", "falcon", "gptj", "opt")


def edited(
    name: str,
    model: LanguageModel,
    *requests: EditRequest,
    preset: str = "recommended",
    references: tuple[EditRequest, ...] = REFERENCES,
    **changes: object,
) -> WeightDelta:
    editor = EDITORS[name]
    quick = {"layers": (0, 1), "steps": 4, "contexts": {"n_long": 2, "long_length": 3}}
    config = editor.config_class.preset(preset, quick | changes)
    made: WeightDelta = editor(config).edit(model, requests or THREE, references=references)
    return made


def dense(model: LanguageModel, edit: WeightDelta) -> dict[int, Tensor]:
    return {layer: part.dense(model.d_ff) for layer, part in edit.deltas.items()}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["memit", "pmet"])
def test_three_languages_in_one_edit_are_what_writing_layer_by_layer_gives(
    name: str, family: str
) -> None:
    model = tiny.tiny_model(family)
    edit = edited(name, model, covariance_weight=5.0)
    config: LayeredConfig = (
        EDITORS[name].config_class(layers=(0, 1), steps=4, covariance_weight=5.0).for_model(model)
    )
    prefixes: Any = edit.info["prefixes"]
    assert all(len(texts) > 2 for texts in prefixes.values())
    values = optimize_values(
        model,
        THREE,
        layer=1,
        site="block" if name == "memit" else "mlp",
        extra_sites=() if name == "memit" else ("attention",),
        prefixes=prefixes,
        settings=config.value_settings(),
    )
    covariances = Covariances(CovarianceConfig()).get(
        model, REFERENCES, (0, 1), fingerprint=model.fingerprint()
    )
    expected = reference.write(
        tiny.tiny_model(family),
        THREE,
        [prefixes[request.language] for request in THREE],
        torch.stack([value.target for value in values]),
        (0, 1),
        covariance={layer: one.matrix for layer, one in covariances.items()},
        weight=5.0,
        site="block" if name == "memit" else "mlp",
        share="linear" if name == "memit" else "sqrt",
    )
    for layer, change in dense(model, edit).items():
        part = edit.deltas[layer]
        assert isinstance(part, LowRank)
        assert part.up.shape[1] == 3
        scale = float(expected[layer].abs().max())
        torch.testing.assert_close(change.double(), expected[layer], rtol=0, atol=1e-3 * scale)


@pytest.mark.parametrize("name", ["memit", "pmet"])
def test_the_new_answer_becomes_as_probable_as_the_edit_reports(
    name: str, tiny_model: LanguageModel
) -> None:
    weak = {"relative_weight": 1e-4, "clamp": 4.0, "steps": 25, "kl_weight": 0.0625}
    edit = edited(name, tiny_model, EASY, layers=(0, 1), learning_rate=0.5, **weak)
    report: Any = edit.info["values"]
    before = tiny_model.log_probs([EASY.text], ["日本"], ["zh"])[0]
    with edit.applied(tiny_model):
        after = tiny_model.log_probs([EASY.text], ["日本"], ["zh"])[0]
    assert report[0]["probability_edited"] == pytest.approx(after.probability, rel=1e-3)
    assert report[0]["probability_before"] == pytest.approx(before.probability, rel=1e-3)
    assert after.probability > 50 * before.probability


@pytest.mark.parametrize("name", ["memit", "pmet"])
def test_a_heavier_covariance_writes_less(name: str, tiny_model: LanguageModel) -> None:
    left = []
    for weight in (1e-3, 1.0, 1e3, 1e6):
        # Without other contexts the key is that of the bare prompt, at which we look.
        edit = edited(name, tiny_model, layers=(1,), covariance_weight=weight, contexts=BARE)
        report: Any = edit.info["values"]
        left.append([value["missing_norm"] / value["delta_norm"] for value in report])
    sums = [sum(one) for one in left]
    assert sums == sorted(sums)
    assert max(left[0]) < 0.01
    assert min(left[-1]) > 0.99


@pytest.mark.parametrize("name", ["memit", "pmet"])
def test_statements_about_the_edited_fact_do_not_count_as_other_text(
    name: str, tiny_model: LanguageModel
) -> None:
    own = capital("th", "ประเทศไทย", None, "กรุงเทพ")
    plain = dense(tiny_model, edited(name, tiny_model))
    given = dense(tiny_model, edited(name, tiny_model, references=(*REFERENCES, own)))
    for layer, change in plain.items():
        assert torch.equal(change, given[layer])


def test_keys_are_those_of_the_contexts_with_the_bare_prompt_as_one_half(
    tiny_model: LanguageModel,
) -> None:
    alone = edited("memit", tiny_model, contexts=BARE)
    given: Any = alone.info["prefixes"]
    assert given == {"en": [""], "th": [""], "zh": [""]}
    several = edited("memit", tiny_model)
    for layer in (0, 1):
        assert not torch.equal(dense(tiny_model, alone)[layer], dense(tiny_model, several)[layer])


@pytest.mark.parametrize("name", ["memit", "pmet"])
def test_an_editor_keeps_contexts_and_statistics_and_takes_none_for_another_models(
    name: str,
) -> None:
    config = EDITORS[name].config_class.preset(
        "recommended", {"steps": 2, "contexts": {"n_long": 1}}
    )
    editor = EDITORS[name](config)
    models = [tiny.tiny_model("gpt2", seed=seed) for seed in (0, 1, 0)]
    made = [editor.edit(model, THREE, references=REFERENCES) for model in models]
    alone = EDITORS[name](config).edit(models[1], THREE, references=REFERENCES)
    for layer, part in made[0].deltas.items():
        assert torch.equal(part.dense(64), made[2].deltas[layer].dense(64))
        assert torch.equal(made[1].deltas[layer].dense(64), alone.deltas[layer].dense(64))
    assert made[0].info == made[2].info


def test_pmets_attention_takes_up_some_of_what_the_mlp_would_have_to_learn(
    tiny_model: LanguageModel,
) -> None:
    edit = edited("pmet", tiny_model, EASY)
    prefixes: Any = edit.info["prefixes"]
    settings = PmetConfig(steps=4).for_model(tiny_model).value_settings()
    without = optimize_values(
        tiny_model, [EASY], layer=1, site="mlp", prefixes=prefixes, settings=settings
    )[0]
    report: Any = edit.info["values"]
    assert report[0]["last_loss"] < without.losses[-1]
    assert report[0]["start_norm"] == pytest.approx(float(without.start.norm()), rel=1e-5)


def large(config: GPT2Config | GPTJConfig) -> LanguageModel:
    """A model of a published size that has shapes and no weights."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return LanguageModel(model, tiny.tiny_tokenizer())


def test_published_settings_are_found_by_size_and_those_given_stay() -> None:
    xl = large(GPT2Config(n_layer=48, n_embd=1600, n_head=25, vocab_size=64))
    memit = MemitConfig(clamp=2.0).for_model(xl)
    assert memit.layers == (13, 14, 15, 16, 17)
    assert (memit.covariance_weight, memit.clamp, memit.steps) == (20000, 2.0, 20)
    gptj = large(GPTJConfig(n_layer=28, n_embd=4096, n_head=16, vocab_size=64, n_positions=8))
    pmet = PmetConfig().for_model(gptj)
    assert pmet.layers == (3, 4, 5, 6, 7, 8)
    assert (pmet.covariance_weight, pmet.kl_weight, pmet.learning_rate) == (15000, 1.0, 0.2)
    assert (pmet.value_settings().known_nll_factor, pmet.value_settings().stop_kl) == (0.1, 0.01)
    small = large(GPT2Config(n_layer=12, n_embd=768, n_head=12, vocab_size=64))
    assert (pmet.clamp, PmetConfig().for_model(small).clamp) == (0.75, 4.0)
    assert MemitConfig(relative_weight=0.5).for_model(small).covariance_weight == 1536
    assert MemitConfig().for_model(small).layers == (1, 2, 3, 4)


@pytest.mark.parametrize("name", ["memit", "pmet"])
def test_layers_the_model_has_not_are_refused(name: str, tiny_model: LanguageModel) -> None:
    with pytest.raises(SettingError, match=r"\[1, 3\].*layers 0 to 2"):
        edited(name, tiny_model, layers=(3, 1))
    with pytest.raises(SettingError, match="numbered from 0"):
        MemitConfig.preset("recommended", {"layers": ()})


@pytest.mark.parametrize("name", ["memit", "pmet"])
def test_without_other_text_there_is_an_error_and_with_the_identity_an_edit(
    name: str, tiny_model: LanguageModel
) -> None:
    with pytest.raises(EditError, match="neither") as caught:
        edited(name, tiny_model, references=())
    assert "covariance.kind" in str(caught.value.hint)
    edit = edited(name, tiny_model, references=(), covariance={"kind": "identity"})
    assert set(edit.deltas) == {0, 1}


def test_the_authors_preset_puts_english_texts_before_every_prompt(
    tiny_model: LanguageModel,
) -> None:
    edit = edited("memit", tiny_model, preset="authors")
    prefixes: Any = edit.info["prefixes"]
    assert prefixes["th"] == prefixes["en"]
    assert edited("memit", tiny_model).info["prefixes"] != prefixes


def test_a_model_in_bfloat16_is_edited_in_float32() -> None:
    model = tiny.tiny_model("llama")
    model.model.bfloat16()
    edit = edited("memit", model)
    assert all(change.dtype == torch.float32 for change in dense(model, edit).values())
    assert all(change.isfinite().all() for change in dense(model, edit).values())
