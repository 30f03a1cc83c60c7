"""Whatever an editor cannot work with is one error, which names it and says the way out.

And the model is bit for bit what it was.
"""

from __future__ import annotations

import pytest
import torch

from memla.attribution.key_statistics import collect_statistics, statement_texts
from memla.editors import EDITORS
from memla.errors import DataError, EditError, MemlaError, ModelError, SettingError
from memla.facts import EditRequest
from memla.models.tiny import tiny_model
from memla.testing.test_editors import (
    REFERENCES,
    REQUESTS,
    assert_untouched,
    capital,
    requests_from,
    state,
)

BARE = {"contexts": {"templates": ()}}
VALUES = {
    "rome": BARE,
    "memit": BARE,
    "pmet": BARE,
    "alphaedit": BARE,
    "crosskey": {"position": "subject_last", "layers": (0, 1)},
}
"""Editors that find a value, write it in closed form and weigh it by statistics of keys."""
LAYERS = {name: "layer" if name == "rome" else "layers" for name in (*VALUES, "ft")}
STEPPED = (*VALUES, "ft")

with_values = pytest.mark.parametrize("name", VALUES)
every_writer = pytest.mark.parametrize("name", [*VALUES, "ft", "kn"])


def refused(name, error, *words, model=None, requests=None, references=REFERENCES, **settings):
    """The hint of the one error that an edit ends with; the model is left as it was."""
    model = model or tiny_model()
    before = state(model)
    editor = EDITORS[name]
    steps = {"steps": 3} if name in STEPPED else {}
    config = editor.config_class.preset(
        "recommended", {**VALUES.get(name, {}), **steps, **settings}
    )
    with pytest.raises(MemlaError) as caught:
        editor(config).edit(model, requests or requests_from("th"), references=references)
    assert_untouched(model, before)
    assert isinstance(caught.value, error)
    for word in words:
        assert word in caught.value.message
    assert caught.value.hint
    return caught.value.hint


def layers_of(name, *layers):
    return {LAYERS[name]: layers[-1] if name == "rome" else layers}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_that_the_model_has_not_is_named_with_those_it_has(name):
    words = "3", "'tiny-gpt2'"
    assert refused(name, SettingError, *words, **layers_of(name, 0, 3))


@with_values
def test_a_file_of_statistics_that_is_not_there_is_named(name, tmp_path):
    path = tmp_path / "нет.safetensors"
    hint = refused(name, DataError, str(path), covariance={"statistics": path})
    assert "memla statistics" in hint


@with_values
def test_statistics_of_another_models_weights_are_refused(name, tmp_path):
    path, other = tmp_path / "其他.safetensors", tiny_model("gpt2", seed=1)
    collect_statistics(other, statement_texts(REFERENCES)).save(path)
    words = str(path), "tiny-gpt2", other.fingerprint()[:12]
    hint = refused(name, EditError, *words, covariance={"statistics": path})
    assert "memla statistics tiny-gpt2" in hint


@with_values
def test_statistics_without_a_layer_that_is_edited_are_refused(name, tmp_path):
    path = tmp_path / "ชั้น.safetensors"
    collect_statistics(tiny_model(), statement_texts(REFERENCES), layers=[2]).save(path)
    settings = {"covariance": {"statistics": path}, **layers_of(name, 1)}
    hint = refused(name, DataError, str(path), "layer 1", "[2]", **settings)
    assert "memla statistics" in hint
    assert "--layers 1" in hint


@pytest.mark.parametrize("name", ["rome", "memit", "pmet", "crosskey"])
def test_statistics_that_cannot_be_inverted_say_how_many_keys_they_have(name):
    one = (capital("zh", "法国", None, "巴黎", "france"),)
    settings = {"covariance": {"ridge": 0.0}, **layers_of(name, 1)}
    words = "layer 1", "keys for 64 neurons"
    assert "covariance.ridge" in refused(name, EditError, *words, references=one, **settings)


@with_values
def test_without_references_and_statistics_both_are_offered(name):
    hint = refused(name, EditError, "neither", references=())
    assert "memla statistics tiny-gpt2" in hint
    assert "references" in hint


def test_a_file_of_text_does_not_stand_for_reference_subjects(tmp_path):
    model = tiny_model()
    path = tmp_path / "ข้อความ.safetensors"
    collect_statistics(model, statement_texts(REFERENCES)).save(path)
    settings = {"covariance": {"statistics": path}, "layers": (0,), "position": "subject_last"}
    hint = refused("crosskey", EditError, "no references", references=(), **settings)
    assert "locality='text'" in hint
    config = EDITORS["crosskey"].config_class.preset("recommended", settings | {"locality": "text"})
    assert EDITORS["crosskey"](config).edit(model, requests_from("th")).deltas


@pytest.mark.parametrize("name", ["alphaedit", "crosskey"])
def test_a_null_space_without_a_direction_says_what_to_raise(name):
    settings = {"nullspace_threshold": 1e-12}
    if name == "crosskey":
        settings |= {"locality": "null_space"}
    assert "nullspace_threshold" in refused(name, EditError, "no eigenvalue", **settings)


@with_values
def test_a_subject_that_reaches_no_token_is_named(name):
    lost = EditRequest(
        fact="nobody", language="zh", prompt="{}的首都是", subject="\u200b", target_new="清迈"
    )
    hint = refused(
        name, MemlaError, repr(lost.text), model=model_that_drops("\u200b"), requests=[lost]
    )
    assert "{}" in hint


def model_that_drops(text):
    """A model whose tokenizer leaves a character out, as many normalise some away."""
    from tokenizers import normalizers

    model = tiny_model()
    model.tokenizer.backend_tokenizer.normalizer = normalizers.Replace(text, "")
    return model


@every_writer
def test_weights_that_are_not_numbers_are_found(name):
    model = tiny_model()
    with torch.no_grad():
        model.value_rows(0)[5, 3] = float("nan")
    hint = refused(name, (EditError, ModelError), model=model)
    assert "float32" in hint


@every_writer
def test_weights_that_are_not_numbers_are_found_with_any_statistics(name):
    model = tiny_model()
    with torch.no_grad():
        model.value_rows(0)[5, 3] = float("nan")
    identity = {"covariance": {"kind": "identity"}} if name in VALUES else {}
    assert "float32" in refused(name, (EditError, ModelError), model=model, **identity)


@pytest.mark.parametrize("name", STEPPED)
def test_a_search_that_diverges_says_after_how_many_steps(name):
    model = tiny_model()
    model.model.get_input_embeddings().weight.mul_(1e30)
    hint = refused(name, (EditError, ModelError), model=model)
    assert "float32" in hint or "weights" in hint


@with_values
def test_what_is_written_in_the_last_layer_at_a_subject_reaches_no_answer(name):
    words = "layer 2", "last", "'tiny-gpt2'", REQUESTS["th"].text
    hint = refused(name, SettingError, *words, **layers_of(name, 1, 2))
    assert "below 2" in hint


@with_values
def test_the_last_layer_can_be_edited_where_the_subject_ends_the_prompt(name):
    ends = EditRequest(
        fact="thailand",
        language="zh",
        prompt="我来自{}",
        subject="泰国",
        target_new="日本",
        target_true="中国",
    )
    settings = {**VALUES[name], "steps": 3, **layers_of(name, 1, 2)}
    config = EDITORS[name].config_class.preset("recommended", settings)
    edit = EDITORS[name](config).edit(tiny_model(), [ends], references=REFERENCES)
    assert 2 in edit.deltas
