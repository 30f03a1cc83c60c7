"""Write ``mini`` in the Hugging Face layout: bfloat16 weights, tokenizer, configuration.

python -m tools.geo.export build/mini src/memla/bundled/mini
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from tools.geo.tokenizer import END, PAD


def export(source: Path, target: Path) -> None:
    """Convert a training folder to a model folder."""
    shape = json.loads((source / "training.json").read_text("utf-8"))["shape"]
    config = GPT2Config(
        vocab_size=shape["vocabulary"],
        n_embd=shape["d_model"],
        n_layer=shape["layers"],
        n_head=shape["heads"],
        n_positions=shape["positions"],
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    model = GPT2LMHeadModel(config)
    missing = model.load_state_dict(load_file(source / "trained.safetensors"), strict=False)
    assert missing.missing_keys in ([], ["lm_head.weight"]), missing
    model.tie_weights()
    model.generation_config.pad_token_id = 1
    model.to(torch.bfloat16).save_pretrained(target)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(source / "tokenizer.json"),
        bos_token=END,
        eos_token=END,
        pad_token=PAD,
        model_max_length=shape["positions"],
    )
    tokenizer.save_pretrained(target)


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
