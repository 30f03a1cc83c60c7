"""Edits leave as LoRA adapters and come back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from memla.editors.edits import Dense, LowRank, Part, RowSparse, WeightDelta
from memla.editors.peft_adapter import CONFIG_FILE, export_peft, import_peft
from memla.errors import DataError, EditMismatchError, MissingExtraError
from memla.models import tiny
from memla.models.language_model import LanguageModel

# peft reads a property that transformers renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

PROMPT = "เมืองหลวงของญี่ปุ่นคือ"


def edit_for(model: LanguageModel) -> WeightDelta:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return 0.1 * torch.randn(*shape, generator=generator)

    parts: dict[int, Part] = {
        0: RowSparse(torch.tensor([1, 5, 20]), draw(3, model.d_model)),
        1: LowRank(draw(model.d_ff, 2), draw(2, model.d_model)),
        2: Dense(draw(model.d_ff, model.d_model)),
    }
    return WeightDelta(parts, model.fingerprint())


def logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids).logits


@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom", "phi3"])
def test_an_exported_edit_gives_the_same_logits_in_peft(family: str, tmp_path: Path) -> None:
    model = tiny.tiny_model(family)
    ids = torch.tensor([model.tokenizer(PROMPT)["input_ids"]])
    edit = edit_for(model)
    with edit.applied(model):
        expected = logits(model.model, ids)
    folder = export_peft(edit, model, tmp_path / "adapter")
    adapted = PeftModel.from_pretrained(tiny.tiny_model(family).model, str(folder))
    difference = (logits(adapted, ids) - expected).abs().max()
    assert difference < 2e-6 * expected.abs().max()


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_an_exported_edit_is_imported_again(family: str, tmp_path: Path) -> None:
    model = tiny.tiny_model(family)
    edit = edit_for(model)
    back = import_peft(export_peft(edit, model, tmp_path / "adapter"), model)
    assert back.fingerprint == model.fingerprint()
    for layer, part in edit.deltas.items():
        torch.testing.assert_close(back.deltas[layer].dense(model.d_ff), part.dense(model.d_ff))


@pytest.mark.parametrize("rslora", [False, True])
def test_a_foreign_adapter_of_mlp_matrices_becomes_an_edit(tmp_path: Path, rslora: bool) -> None:
    model = tiny.tiny_model("llama")
    ids = torch.tensor([model.tokenizer(PROMPT)["input_ids"]])
    with torch.random.fork_rng():
        config = LoraConfig(
            r=3, lora_alpha=12, target_modules=["down_proj"], use_rslora=rslora,
            init_lora_weights=False,
        )  # fmt: skip
        adapted = get_peft_model(tiny.tiny_model("llama").model, config)
    adapted.eval()
    expected = logits(adapted, ids)
    adapted.save_pretrained(str(tmp_path / "adapter"))
    with import_peft(tmp_path / "adapter", model).applied(model):
        torch.testing.assert_close(logits(model.model, ids), expected, rtol=0, atol=2e-5)


def test_an_adapter_that_also_changes_attention_is_refused(tmp_path: Path) -> None:
    model = tiny.tiny_model("llama")
    with torch.random.fork_rng():
        config = LoraConfig(r=1, target_modules=["down_proj", "q_proj"])
        adapted = get_peft_model(tiny.tiny_model("llama").model, config)
    adapted.save_pretrained(str(tmp_path / "adapter"))
    with pytest.raises(EditMismatchError, match="q_proj"):
        import_peft(tmp_path / "adapter", model)


def test_other_adapters_and_broken_folders_are_named(tmp_path: Path) -> None:
    model = tiny.tiny_model("gpt2")
    with pytest.raises(DataError, match="it has no adapter_config"):
        import_peft(tmp_path / "нет", model)
    folder = export_peft(edit_for(model), model, tmp_path / "adapter")
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    (folder / CONFIG_FILE).write_text(json.dumps(config | {"use_dora": True}), encoding="utf-8")
    with pytest.raises(DataError, match="plain LoRA"):
        import_peft(folder, model)
    (folder / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be read as an adapter"):
        import_peft(folder, model)


def test_an_edit_of_nothing_and_an_edit_of_another_model_are_not_exported(tmp_path: Path) -> None:
    model = tiny.tiny_model("gpt2")
    with pytest.raises(DataError, match="changes no layer"):
        export_peft(WeightDelta({}, "x"), model, tmp_path / "a")
    with pytest.raises(EditMismatchError):
        export_peft(WeightDelta({9: Dense(torch.zeros(64, 32))}, "x"), model, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_peft_is_one_line_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.tiny_model("gpt2")
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memla\[peft\]'"):
        export_peft(edit_for(model), model, tmp_path / "a")
