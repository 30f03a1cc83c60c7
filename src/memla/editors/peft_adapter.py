"""Edits as PEFT LoRA adapters, and back: an edit leaves memla in a form that others load.

A masked update is low-rank, so it is a LoRA update of the second MLP matrices, with its own rank in
each layer. PEFT's A is the neurons' side, ``up.T``, and its B the model's side, ``down.T``, however
the weight is stored; ``alpha`` equals the rank, so the scale is 1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as tensor_bytes

from memla.editors.edits import LowRank, WeightDelta
from memla.editors.storage import write_files
from memla.errors import DataError, EditMismatchError, MissingExtraError
from memla.models.language_model import LanguageModel

if TYPE_CHECKING:
    from peft import LoraConfig

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
PREFIX = "base_model.model."


def export_peft(edit: WeightDelta, model: LanguageModel, folder: str | Path) -> Path:
    """Write an edit as a LoRA adapter that ``peft.PeftModel.from_pretrained`` loads.

    Args:
        edit: What to write; a dense part becomes an adapter of rank ``d_model``.
        model: The model it was made for; says where its matrices are.
        folder: Where; it must not exist, or be empty. Whole or absent.

    Raises:
        MissingExtraError: peft is not installed.
        EditMismatchError: The edit has other sizes than the model.
        DataError: The edit changes nothing, or the folder cannot be written.
    """
    _peft()
    edit.check_sizes(model)
    if not edit.deltas:
        raise DataError(
            "the edit changes no layer, and an adapter needs one",
            hint="save it as an edit folder instead",
        )
    tensors, ranks = {}, {}
    for layer, part in sorted(edit.deltas.items()):
        factors = part.factors(model.d_ff)
        path = _path(model, layer)
        tensors[f"{PREFIX}{path}.lora_A.weight"] = factors.up.T.contiguous()
        tensors[f"{PREFIX}{path}.lora_B.weight"] = factors.down.T.contiguous()
        ranks[path] = factors.up.shape[1]
    files = {CONFIG_FILE: _config_file(ranks, model), WEIGHTS_FILE: tensor_bytes(tensors)}
    return write_files(Path(folder), files)


def _config_file(ranks: Mapping[str, int], model: LanguageModel) -> bytes:
    """What PEFT writes for adapters of these ranks, by module."""
    largest = max(ranks.values())
    config = _peft().LoraConfig(
        task_type="CAUSAL_LM",
        inference_mode=True,
        r=largest,
        lora_alpha=largest,
        lora_dropout=0.0,
        target_modules=sorted(ranks),
        rank_pattern=dict(ranks),
        alpha_pattern=dict(ranks),
        fan_in_fan_out=model.architecture.neuron_axis == 0,
        base_model_name_or_path=model.name,
    )
    with tempfile.TemporaryDirectory() as scratch:
        config.save_pretrained(scratch)
        return (Path(scratch) / CONFIG_FILE).read_bytes()


def import_peft(folder: str | Path, model: LanguageModel) -> WeightDelta:
    """Read a LoRA adapter of second MLP matrices as an edit of ``model``.

    Raises:
        MissingExtraError: peft is not installed.
        DataError: The folder is missing, not a plain LoRA adapter, or damaged.
        EditMismatchError: The adapter changes other modules too, or has other sizes.
    """
    config, tensors = _read(Path(folder))
    layers = {_path(model, layer): layer for layer in range(model.n_layers)}
    names = {name.removeprefix(PREFIX).rsplit(".lora_", 1)[0] for name in tensors}
    foreign = sorted(names - layers.keys())
    if foreign:
        raise EditMismatchError(
            f"the adapter changes {foreign[0]!r}, which is not a second MLP matrix of "
            f"{model.name!r}",
            hint=f"only {_path(model, 0)!r} and the like can be read as an edit",
        )
    deltas = {}
    for name in sorted(names, key=layers.__getitem__):
        lora_a = tensors.get(f"{PREFIX}{name}.lora_A.weight")
        lora_b = tensors.get(f"{PREFIX}{name}.lora_B.weight")
        if lora_a is None or lora_b is None:
            raise DataError(f"{str(folder)!r} is damaged: {name!r} lacks one of its two matrices")
        scale = _scale(config, name, lora_a.shape[0])
        deltas[layers[name]] = LowRank(lora_a.T.contiguous(), scale * lora_b.T.contiguous())
    edit = WeightDelta(deltas, model.fingerprint(), {"method": "peft adapter", "model": model.name})
    edit.check_sizes(model)
    return edit


def _read(folder: Path) -> tuple[LoraConfig, Mapping[str, torch.Tensor]]:
    peft = _peft()
    if not (folder / CONFIG_FILE).is_file():
        raise DataError(
            f"{str(folder)!r} is not an adapter: it has no {CONFIG_FILE}", hint="check the path"
        )
    try:
        config = peft.PeftConfig.from_pretrained(str(folder))
        tensors = load_file(folder / WEIGHTS_FILE)
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise DataError(f"{str(folder)!r} cannot be read as an adapter: {error}") from None
    if not isinstance(config, peft.LoraConfig) or config.use_dora or config.bias != "none":
        raise DataError(
            f"{str(folder)!r} is an adapter of another kind than plain LoRA",
            hint="export it as LoRA without DoRA and without biases",
        )
    return config, tensors


def _scale(config: LoraConfig, name: str, rank: int) -> float:
    """What PEFT multiplies the update of a module by."""
    from peft.utils.other import get_pattern_key

    alphas = config.alpha_pattern or {}
    alpha = float(alphas.get(get_pattern_key(list(alphas), name), config.lora_alpha))
    return alpha / (rank**0.5 if config.use_rslora else rank)


def _path(model: LanguageModel, layer: int) -> str:
    return f"{model.architecture.blocks}.{layer}.{model.architecture.down}"


def _peft() -> ModuleType | Any:  # noqa: ANN401
    try:
        import peft
    except ImportError:
        raise MissingExtraError(
            "adapters need the package peft", hint="pip install 'memla[peft]'"
        ) from None
    return peft
