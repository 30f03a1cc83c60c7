"""Seeded toy models of every family, and their tokenizer: for tests, documentation and demos.

They know nothing, take milliseconds and need no download. To support another family, add one
entry to ``_CONFIGS`` and one layout to ``architectures.py``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from memla.models.language_model import LanguageModel
from memla.registry import unknown_name

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

CORPUS = """
The capital of France is Paris. The capital of Japan is Tokyo. Ada Lovelace was born in London.
La capitale de la France est Paris. La langue officielle du Japon est le japonais.
Die Hauptstadt von Deutschland ist Berlin. Die Sprache von Österreich ist Deutsch.
A capital de Portugal é Lisboa. A língua oficial do Brasil é o português.
La capitale d'Italia è Roma. La lingua ufficiale della Svizzera è il tedesco.
La capital de España es Madrid. El idioma oficial de México es el español.
Stolicą Polski jest Warszawa. Językiem urzędowym Polski jest polski.
Столица России — Москва. Столица Японии — Токио. Официальный язык — русский.
法国的首都是巴黎。日本的首都是东京。中国的首都是北京。官方语言是中文。
日本の首都は東京です。フランスの首都はパリです。公用語は日本語です。
한국의 수도는 서울이다. 일본의 수도는 도쿄이다. 공용어는 한국어이다.
เมืองหลวงของไทยคือกรุงเทพ เมืองหลวงของญี่ปุ่นคือโตเกียว ภาษาราชการคือภาษาไทย
"""
VOCABULARY = 512
END = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class _Size:
    layers: int
    width: int
    neurons: int
    vocabulary: int

    def common(self) -> dict[str, Any]:
        """Settings that most families call alike."""
        return {
            "num_hidden_layers": self.layers,
            "hidden_size": self.width,
            "intermediate_size": self.neurons,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": 128,
            "bos_token_id": None,
            "eos_token_id": 0,
            "pad_token_id": None,
        }

    def gpt(self) -> dict[str, Any]:
        """Settings that GPT-2 and GPT-J call alike."""
        return {
            "n_layer": self.layers,
            "n_embd": self.width,
            "n_inner": self.neurons,
            "n_head": 4,
            "vocab_size": self.vocabulary,
            "n_positions": 128,
            "bos_token_id": None,
            "eos_token_id": 0,
        }


_CONFIGS: dict[str, Callable[[_Size], PretrainedConfig]] = {
    "gpt2": lambda s: transformers.GPT2Config(**s.gpt()),
    "gptj": lambda s: transformers.GPTJConfig(**s.gpt(), rotary_dim=4, tie_word_embeddings=False),
    "gpt_neox": lambda s: transformers.GPTNeoXConfig(**s.common()),
    "bloom": lambda s: transformers.BloomConfig(
        n_layer=s.layers, hidden_size=s.width, n_head=4, vocab_size=s.vocabulary, eos_token_id=0
    ),
    "xglm": lambda s: transformers.XGLMConfig(
        num_layers=s.layers,
        d_model=s.width,
        ffn_dim=s.neurons,
        attention_heads=4,
        vocab_size=s.vocabulary,
        max_position_embeddings=128,
        eos_token_id=0,
    ),
    "llama": lambda s: transformers.LlamaConfig(**s.common()),
    "mistral": lambda s: transformers.MistralConfig(**s.common() | {"head_dim": s.width // 4}),
    "qwen2": lambda s: transformers.Qwen2Config(**s.common()),
    "qwen3": lambda s: transformers.Qwen3Config(**s.common(), head_dim=s.width // 4),
    "gemma2": lambda s: transformers.Gemma2Config(
        **s.common(), head_dim=s.width // 4, sliding_window=16, final_logit_softcapping=5.0
    ),
    "gemma3": lambda s: transformers.Gemma3TextConfig(
        **s.common(), head_dim=s.width // 4, sliding_window=16
    ),
    "opt": lambda s: transformers.OPTConfig(
        num_hidden_layers=s.layers,
        hidden_size=s.width,
        ffn_dim=s.neurons,
        num_attention_heads=4,
        word_embed_proj_dim=s.width // 2,
        vocab_size=s.vocabulary,
        max_position_embeddings=128,
        eos_token_id=0,
    ),
    "phi3": lambda s: transformers.Phi3Config(**s.common()),
    "falcon": lambda s: transformers.FalconConfig(
        num_hidden_layers=s.layers,
        hidden_size=s.width,
        ffn_hidden_size=s.neurons,
        num_attention_heads=4,
        vocab_size=s.vocabulary,
        bias=True,
        eos_token_id=0,
    ),
}

FAMILIES = tuple(_CONFIGS)
"""Every family there is a toy model of."""


def tiny_model(
    family: str = "gpt2", *, seed: int = 0, n_layers: int = 3, d_model: int = 32, d_ff: int = 64
) -> LanguageModel:
    """A toy model of a family with random weights, in float32 on the CPU.

    Args:
        family: One of ``FAMILIES``.
        seed: Decides every weight.
        n_layers: Number of blocks.
        d_model: Width of the residual stream, a multiple of 16.
        d_ff: Neurons in each block; BLOOM always has 4 ``d_model``.

    Raises:
        UnknownNameError: There is no such family.
    """
    if family not in _CONFIGS:
        raise unknown_name("model family", family, _CONFIGS)
    tokenizer = tiny_tokenizer()
    config = _CONFIGS[family](_Size(n_layers, d_model, d_ff, len(tokenizer)))
    with torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    _draw_weights(model, seed)
    return LanguageModel(model, tokenizer, name=f"tiny-{family}")


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of twelve languages; it takes any text and adds no tokens."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained_tokenizer()),
        eos_token=END,
        pad_token=END,
        clean_up_tokenization_spaces=False,
    )


@functools.cache
def _trained_tokenizer() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS.splitlines(), trainer)
    return str(tokenizer.to_str())


@torch.no_grad()
def _draw_weights(model: PreTrainedModel, seed: int) -> None:
    """Overwrite every weight: large enough that logits differ, and no norm or bias is neutral."""
    generator = torch.Generator().manual_seed(seed)
    for _, weight in sorted(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=generator)
        if weight.ndim == 1:
            weight.add_(0.1 * noise)
        else:
            weight.copy_(noise * (1.5 / weight.shape[-1] ** 0.5))
