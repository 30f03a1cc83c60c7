"""What can be loaded, and the one line that says why something cannot."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
import transformers
from transformers.utils import logging

from memla import bundled
from memla.errors import ModelError, UnknownNameError, UnsupportedArchitectureError
from memla.models import load_model
from memla.models.tiny import tiny_model, tiny_tokenizer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy LLaMA on disk."""
    folder = tmp_path_factory.mktemp("models") / "桜-llama"
    model = tiny_model("llama")
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return shutil.copytree(saved, tmp_path / "โมเดล")


def test_a_folder_gives_a_frozen_model_with_its_name(saved: Path) -> None:
    model = load_model(saved)
    assert model.name == "桜-llama"
    assert model.dtype == torch.float32
    assert not any(weight.requires_grad for weight in model.model.parameters())
    assert not model.model.training


def test_a_folder_may_be_given_as_text(saved: Path) -> None:
    assert load_model(str(saved)).fingerprint() == load_model(saved).fingerprint()


@pytest.mark.parametrize("dtype", ["bfloat16", "torch.float16", torch.bfloat16])
def test_weights_come_in_the_type_asked_for(saved: Path, dtype: str | torch.dtype) -> None:
    assert str(load_model(saved, dtype=dtype).dtype).endswith(str(dtype).split(".")[-1])


@pytest.mark.parametrize("dtype", ["int8", "float", torch.int64, "東京"])
def test_an_impossible_dtype_is_refused(saved: Path, dtype: str | torch.dtype) -> None:
    with pytest.raises(ModelError, match="dtype") as caught:
        load_model(saved, dtype=dtype)
    assert "bfloat16" in str(caught.value)


@pytest.mark.parametrize("device", ["cuda:77", "東京", "meta"])
def test_a_device_that_is_not_there_is_refused(saved: Path, device: str) -> None:
    with pytest.raises(ModelError, match=f"device '{device}'"):
        load_model(saved, device=device)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    for name in (tmp_path / "無い", str(tmp_path / "нет"), "./nowhere", "a/b/c"):
        with pytest.raises(ModelError, match="no model folder"):
            load_model(name)


def test_a_name_that_cannot_be_fetched_is_told() -> None:
    with pytest.raises(ModelError, match="'nobody/模型' cannot be loaded") as caught:
        load_model("nobody/模型")
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_config_is_told(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_model(folder)


def test_a_broken_config_is_told(folder: Path) -> None:
    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="the configuration of model"):
        load_model(folder)


def test_a_config_of_an_unknown_type_is_told(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "模型"}', encoding="utf-8")
    with pytest.raises(ModelError, match="the configuration of model"):
        load_model(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model.bin.index.json"])
def test_pickled_weights_are_refused(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelError, match="only pickled weights") as caught:
        load_model(folder)
    assert "safe_serialization" in str(caught.value)


def test_a_folder_without_weights_is_told(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors \("):
        load_model(folder)


def test_broken_weights_are_told(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(ModelError, match="the safetensors of model"):
        load_model(folder)


def test_weights_of_another_shape_are_told(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["intermediate_size"] = 48
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="the safetensors of model"):
        load_model(folder)


def test_missing_weights_are_told_not_drawn(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["num_hidden_layers"] = 4
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=r"lacks \d+ weights of a LlamaForCausalLM"):
        load_model(folder)


def test_a_folder_without_a_tokenizer_is_told(folder: Path) -> None:
    for path in folder.glob("token*"):
        path.unlink()
    with pytest.raises(ModelError, match="no tokenizer"):
        load_model(folder)


def test_a_slow_tokenizer_is_refused(folder: Path) -> None:
    for path in folder.glob("token*"):
        path.unlink()
    (folder / "vocab.json").write_text(json.dumps({"[PAD]": 0, "[UNK]": 1, "|": 2}), "utf-8")
    transformers.Wav2Vec2CTCTokenizer(
        folder / "vocab.json", pad_token="[PAD]", unk_token="[UNK]", bos_token=None, eos_token=None
    ).save_pretrained(folder)
    with pytest.raises(ModelError, match="slow tokenizer") as caught:
        load_model(folder)
    assert "tokenizer.json" in str(caught.value)


def test_a_broken_tokenizer_is_told(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="the tokenizer of model"):
        load_model(folder)


def save(config: transformers.PretrainedConfig, kind: type, folder: Path) -> None:
    kind(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)


def test_an_encoder_and_decoder_is_refused(tmp_path: Path) -> None:
    config = transformers.T5Config(
        num_layers=1, d_model=8, d_ff=8, d_kv=4, num_heads=2, vocab_size=512
    )
    save(config, transformers.T5ForConditionalGeneration, tmp_path)
    with pytest.raises(UnsupportedArchitectureError, match="an encoder beside its decoder"):
        load_model(tmp_path)


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        num_hidden_layers=1, hidden_size=12, intermediate_size=8, vocab_size=512
    )
    save(config, transformers.BertForMaskedLM, tmp_path)
    with pytest.raises(ModelError, match="BertLMHeadModel"):
        load_model(tmp_path)


def test_a_mixture_of_experts_is_refused(tmp_path: Path) -> None:
    config = transformers.MixtralConfig(
        num_hidden_layers=1,
        hidden_size=16,
        intermediate_size=8,
        num_attention_heads=2,
        num_key_value_heads=1,
        num_local_experts=2,
        vocab_size=512,
    )
    save(config, transformers.MixtralForCausalLM, tmp_path)
    with pytest.raises(UnsupportedArchitectureError, match="mixture of experts"):
        load_model(tmp_path)


def spoil_with_code(folder: Path) -> Path:
    """Make loading the folder need its code, which leaves a mark when it runs."""
    mark = folder / "ran"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["model_type"] = "own-код"
    config["auto_map"] = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.Own"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "own.py").write_text(
        "import pathlib\nfrom transformers import LlamaConfig, LlamaForCausalLM\n"
        f"pathlib.Path({str(mark)!r}).touch()\n"
        "class OwnConfig(LlamaConfig):\n    model_type = 'own-код'\n"
        "class Own(LlamaForCausalLM):\n    config_class = OwnConfig\n",
        encoding="utf-8",
    )
    return mark


def test_code_of_a_checkpoint_runs_only_when_asked_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "m"))
    mark = spoil_with_code(folder)
    with pytest.raises(ModelError, match="the configuration of model"):
        load_model(folder)
    assert not mark.exists()
    assert load_model(folder, trust_remote_code=True).architecture.family == "llama"
    assert mark.exists()


def test_loading_leaves_the_settings_of_transformers_alone(saved: Path) -> None:
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_model(saved)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_loading_writes_nothing_to_the_terminal(
    saved: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load_model(saved)
    assert capfd.readouterr() == ("", "")


def test_a_bundled_model_is_loaded_by_its_name(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bundled.MODELS, "小", str(saved))
    model = load_model("小")
    assert model.name == "小"
    assert model.fingerprint() == tiny_model("llama").fingerprint()


def test_an_installation_without_weights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bundled.MODELS, "мини", "нет")
    with pytest.raises(ModelError, match="not in this installation"):
        load_model("мини")


def test_an_unknown_bundled_model_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mini'"):
        bundled.model_path("minj")
