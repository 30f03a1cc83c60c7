"""A model can be spread over devices, and is read and edited where its parts are."""

from __future__ import annotations

import sys

import pytest
import torch

from memla.editors import EDITORS
from memla.errors import MissingExtraError, ModelError
from memla.models.loading import load_model
from memla.models.placement import check_placement, parse_placement
from memla.models.tiny import tiny_model

TEXTS = (["เมืองหลวงของไทยคือ", "日本的首都是"], ["กรุงเทพ", "东京"], ["th", "zh"])
QUICK = {
    "ft": {"steps": 2},
    "memla": {"steps": 2, "identification": {"steps": 2}},
    "rome": {"layer": 1, "steps": 2, "covariance": {"kind": "identity"}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("модель")
    model = tiny_model("llama")
    model.model.save_pretrained(path)
    model.tokenizer.save_pretrained(path)
    return path


@pytest.mark.parametrize("device", ["auto", {"": "cpu"}, {"model": "cpu", "lm_head": "cpu"}])
def test_a_model_is_the_same_wherever_its_parts_are(folder, device):
    if device == "auto" and torch.cuda.is_available():
        pytest.skip("auto is the GPU here")
    usual, spread = load_model(folder), load_model(folder, device=device)
    assert spread.fingerprint() == usual.fingerprint()
    assert spread.log_probs(*TEXTS) == usual.log_probs(*TEXTS)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_editors_work_on_a_model_whose_parts_move_what_they_are_given(
    folder, name, request_in_thai
):
    accelerate = pytest.importorskip("accelerate")
    usual, spread = load_model(folder), load_model(folder)
    ends = ("model.embed_tokens", "model.rotary_emb", "model.norm", "lm_head")
    blocks = (f"model.layers.{layer}" for layer in range(usual.n_layers))
    # The name of the device, in place of the device, would have the weights fetched when needed.
    cpu = torch.device("cpu")
    parts = dict.fromkeys((*ends, *blocks), cpu)
    accelerate.dispatch_model(spread.model, parts, main_device=cpu, force_hooks=True)
    check_placement(spread.model)
    assert hasattr(spread.block(1), "_hf_hook")
    kind = EDITORS[name]
    editor = kind(kind.config_class.preset("recommended", QUICK[name]))
    found = []
    for model in (usual, spread):
        edit = editor.edit(model, [request_in_thai], seed=3)
        with edit.applied(model) as edited:
            layers = range(edited.n_layers)
            found.append(torch.stack([edited.value_rows(layer).clone() for layer in layers]))
    # A module that moves what it is given is not read past its forward, as others may be, so
    # products are summed in another order.
    torch.testing.assert_close(*found, rtol=0, atol=1e-6)
    assert spread.fingerprint() == usual.fingerprint()


@pytest.mark.parametrize("device", [{"": "cuda:99"}, {"": 99}, {"model": "сервер"}])
def test_a_device_of_a_map_that_is_not_there_is_named(device):
    with pytest.raises(ModelError, match="is not on this machine"):
        parse_placement(device)


def test_an_empty_map_is_refused():
    with pytest.raises(ModelError, match="empty"):
        parse_placement({})


def test_a_part_without_room_is_named():
    model = tiny_model("gpt2").model
    model.transformer.h[2].to("meta")
    with pytest.raises(ModelError, match=r"do not fit .*transformer\.h\.2") as caught:
        check_placement(model)
    assert "more GPUs" in caught.value.hint


def test_without_accelerate_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingExtraError) as caught:
        parse_placement("auto")
    assert caught.value.hint == "pip install 'memla[large]'"
    assert parse_placement("cpu") == torch.device("cpu")
