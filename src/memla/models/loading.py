"""Load a causal language model from a folder, from the Hugging Face hub, or from the package.

Only safetensors are read: the older format runs code when it is opened. Code that comes with a
checkpoint is run only when the caller asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from memla import bundled
from memla.errors import ModelError, UnsupportedArchitectureError
from memla.models.language_model import LanguageModel
from memla.models.placement import check_placement, parse_placement

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json")
TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
LOGIT_TOLERANCE = 1e-2
"""Share of the largest logit by which ours may differ from the model's own, in any dtype."""

PADDING_TOLERANCE = 1e-1
"""The same for padded logits, which in half precision come from other roundings."""


def load_model(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    dtype: str | torch.dtype = "float32",
    device: str | Mapping[str, str | int] = "cpu",
    trust_remote_code: bool = False,
) -> LanguageModel:
    """Load a model with its tokenizer, ready to be read and edited.

    Args:
        name_or_path: A folder, a name on the hub, or the name of a bundled model: ``mini``. A
            folder of that name comes first.
        revision: Branch, tag or commit on the hub.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto`` spreads the blocks over all GPUs,
            for a model larger than one; or the device of each part by its path in the model.
        trust_remote_code: Whether to run Python code that comes with the checkpoint.

    Raises:
        ModelError: It cannot be found or fetched, has no safetensors, no fast tokenizer or no
            decoder, or the dtype or device cannot be.
        MissingExtraError: It is to be spread over devices, and accelerate is not installed.
        UnsupportedArchitectureError: Its parts cannot be found, or it is a mixture of experts.
    """
    torch_dtype = parse_dtype(dtype)
    place = parse_placement(device)
    source, name = _source(name_or_path)
    options: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    with _quiet():
        config = _config(source, name, options)
        tokenizer = _tokenizer(source, name, options)
        options |= {"config": config, "dtype": torch_dtype}
        if not isinstance(place, torch.device):
            options["device_map"] = place
        model = _weights(source, name, options)
    loaded = LanguageModel(model, tokenizer, name=name)
    if isinstance(place, torch.device):
        loaded.model.to(device=place)
    check_placement(loaded.model)
    verify(loaded)
    return loaded


def parse_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """The torch type of a name.

    Raises:
        ModelError: It is none that a model can be loaded in.
    """
    found = DTYPES.get(dtype.removeprefix("torch.")) if isinstance(dtype, str) else dtype
    if found is None or found not in DTYPES.values():
        raise ModelError(f"dtype {dtype!r} cannot be", hint=f"choose one of {', '.join(DTYPES)}")
    return found


@torch.no_grad()
def verify(model: LanguageModel) -> None:
    """Make sure that a model works as memla reads it, on two tokens.

    The hidden states and the head that memla finds must give the model's own logits, and padding
    on the left must not change them.

    Raises:
        UnsupportedArchitectureError: The model does something after its final norm, or with its
            positions, that memla does not know.
    """
    size = model.architecture.vocab_size
    ids = torch.tensor([[1 % size, 2 % size]], device=model.device)
    all_read = torch.ones_like(ids)
    padded, mask = functional.pad(ids, (1, 0)), functional.pad(all_read, (1, 0))
    kind = type(model.model).__name__
    hint = "choose a decoder of a supported family"
    try:
        own = model.model(input_ids=ids, attention_mask=all_read).logits
        ours = model.final_logits(model.hidden_states(ids, all_read))
        shifted = model.final_logits(model.hidden_states(padded, mask))[:, 1:]
    except Exception as error:  # Code of any model, which can fail in any way.
        message = f"{kind} does not run as memla runs decoders: {error}"
        raise UnsupportedArchitectureError(message, hint=hint) from error
    if not _agree(own, ours, LOGIT_TOLERANCE):
        message = f"{kind} changes its logits in a way memla does not know"
        raise UnsupportedArchitectureError(message, hint=hint)
    if not _agree(own, shifted, PADDING_TOLERANCE):
        message = f"{kind} counts padding among its positions"
        raise UnsupportedArchitectureError(message, hint=hint)


def _agree(own: Tensor, ours: Tensor, tolerance: float) -> bool:
    """Whether two tensors of logits differ by no more than a share of the largest."""
    limit = tolerance * own.float().abs().amax().clamp(min=1)
    return own.shape == ours.shape and bool(((own - ours).float().abs() <= limit).all())


def _source(name_or_path: str | Path) -> tuple[str, str]:
    """Where to load from, and what to call the model in results."""
    text = str(name_or_path)
    path = Path(text).expanduser()
    if path.is_dir():
        _check_folder(path)
        return str(path), path.resolve().name
    if text in bundled.MODELS:
        folder = bundled.model_path(text)
        _check_folder(folder)
        return str(folder), text
    looks_like_path = isinstance(name_or_path, Path) or text.startswith((".", "/", "~"))
    if looks_like_path or text.count("/") > 1:
        raise ModelError(
            f"there is no model folder {text!r}",
            hint="give a folder with config.json, or a name on the Hugging Face hub",
        )
    return text, text


def _check_folder(folder: Path) -> None:
    """Refuse a folder that lacks what a model needs, before anything in it is read."""
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"folder {str(folder)!r} has no config.json", hint="give the folder of a saved model"
        )
    if not any((folder / name).is_file() for name in SAFE_WEIGHTS):
        pickled = any((folder / name).is_file() for name in PICKLED_WEIGHTS)
        only = ", only pickled weights, which can run code" if pickled else ""
        raise ModelError(
            f"folder {str(folder)!r} has no model.safetensors{only}",
            hint="save the model with safe_serialization=True",
        )
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise ModelError(
            f"folder {str(folder)!r} has no tokenizer",
            hint="save a fast tokenizer, tokenizer.json, next to the weights",
        )


def _config(source: str, name: str, options: dict[str, Any]) -> PretrainedConfig:
    with _naming("configuration", name):
        config = AutoConfig.from_pretrained(source, **options)
    if getattr(config, "is_encoder_decoder", False):
        raise UnsupportedArchitectureError(
            f"model {name!r} has an encoder beside its decoder",
            hint="choose a causal language model",
        )
    return cast("PretrainedConfig", config)


def _tokenizer(source: str, name: str, options: dict[str, Any]) -> PreTrainedTokenizerFast:
    with _naming("tokenizer", name):
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, **options)
    if not tokenizer.is_fast:
        raise ModelError(
            f"model {name!r} has only a slow tokenizer, which cannot say where a token stands",
            hint="convert it and save tokenizer.json next to the weights",
        )
    return cast("PreTrainedTokenizerFast", tokenizer)


def _weights(source: str, name: str, options: dict[str, Any]) -> PreTrainedModel:
    with _naming("safetensors", name):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source, use_safetensors=True, output_loading_info=True, **options
        )
    model, report = loaded
    # transformers would draw what is missing at random and only warn.
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"model {name!r} lacks {len(missing)} weights of a {type(model).__name__}, "
            f"such as {missing[0]!r}",
            hint="choose a checkpoint of a causal language model",
        )
    return cast("PreTrainedModel", model)


@contextmanager
def _naming(part: str, name: str) -> Iterator[None]:
    """Turn whatever goes wrong in transformers, its network and its parsers into one error."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"the {part} of model {name!r} cannot be loaded: {reason}",
            hint="check the name and the network, or give a folder that save_pretrained wrote",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and load reports of transformers off the terminal."""
    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()
