"""Which models are taken, and which are refused."""

from __future__ import annotations

import pytest
import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig

from memla.errors import UnsupportedArchitectureError
from memla.models.architectures import LAYOUTS, find_architecture
from memla.models.language_model import LanguageModel
from memla.models.loading import verify
from memla.models.tiny import FAMILIES, tiny_model, tiny_tokenizer

SMALL = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": None,
}
FALCON = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "vocab_size": 512,
    "eos_token_id": 0,
}
OPT = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "ffn_dim": 48,
    "num_attention_heads": 4,
    "vocab_size": 512,
    "max_position_embeddings": 64,
    "eos_token_id": 0,
}

VARIANTS = {
    "opt, norms after": transformers.OPTConfig(
        **OPT, do_layer_norm_before=False, word_embed_proj_dim=16
    ),
    "opt, no projection": transformers.OPTConfig(**OPT, word_embed_proj_dim=32),
    "falcon, alibi": transformers.FalconConfig(**FALCON, alibi=True),
    "falcon, one after the other": transformers.FalconConfig(**FALCON, parallel_attn=False),
    "falcon, two norms": transformers.FalconConfig(**FALCON, new_decoder_architecture=True),
    "gpt_neox, one after the other": transformers.GPTNeoXConfig(
        **SMALL, use_parallel_residual=False
    ),
    "llama, tied, with biases": transformers.LlamaConfig(
        **SMALL, tie_word_embeddings=True, mlp_bias=True
    ),
    "mistral, window": transformers.MistralConfig(**SMALL, sliding_window=4, head_dim=8),
    "granite, divided logits": transformers.GraniteConfig(**SMALL, logits_scaling=3.0),
    "cohere, multiplied logits": transformers.CohereConfig(**SMALL, logit_scale=0.5),
    "olmo2, norm after the mlp": transformers.Olmo2Config(**SMALL),
}
EXPERTS = {
    "mixtral": transformers.MixtralConfig(**SMALL, num_local_experts=2),
    "qwen2_moe": transformers.Qwen2MoeConfig(**SMALL, num_experts=2, mlp_only_layers=[0]),
    "qwen3_moe": transformers.Qwen3MoeConfig(**SMALL, num_experts=2),
    "olmoe": transformers.OlmoeConfig(**SMALL, num_experts=2),
}


def build(config: PretrainedConfig) -> LanguageModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.sin(torch.arange(weight.numel())).view(weight.shape)
    return LanguageModel(model, tiny_tokenizer())


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_a_family_are_read_rightly(variant: str) -> None:
    model = build(VARIANTS[variant])
    verify(model)
    prompts = ["日本の首都は", "Столица", "The language of Brazil is"]
    one_by_one = [model.generate([prompt], max_new_tokens=5)[0] for prompt in prompts]
    together = model.generate(prompts, max_new_tokens=5)
    assert [row.token_ids for row in together] == [row.token_ids for row in one_by_one]


def test_every_layout_has_a_toy_model() -> None:
    found = {tiny_model(family).architecture.family for family in FAMILIES}
    assert found == {layout.family for layout in LAYOUTS}


def test_gpt2_keeps_neurons_in_rows_and_llama_in_columns() -> None:
    assert tiny_model("gpt2").architecture.neuron_axis == 0
    assert tiny_model("llama").architecture.neuron_axis == 1


def test_sizes_are_read_off_the_weights() -> None:
    architecture = tiny_model("qwen3", n_layers=2, d_model=16, d_ff=40).architecture
    sizes = (architecture.n_layers, architecture.d_model, architecture.d_ff)
    assert sizes == (2, 16, 40)
    assert architecture.vocab_size == len(tiny_tokenizer())


def test_opt_without_a_final_norm_has_none() -> None:
    architecture = build(VARIANTS["opt, norms after"]).architecture
    assert architecture.final_norm is None
    assert architecture.projection == "model.decoder.project_out"


def test_gemma_says_where_its_norm_after_the_mlp_is() -> None:
    assert tiny_model("gemma3").architecture.mlp_norm == "post_feedforward_layernorm"
    assert tiny_model("llama").architecture.mlp_norm is None


def test_the_window_of_sliding_attention_is_known() -> None:
    assert tiny_model("gemma2").attention_window == 16
    assert tiny_model("llama").attention_window is None


@pytest.mark.parametrize("name", EXPERTS)
def test_a_mixture_of_experts_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedArchitectureError, match="mixture of experts") as caught:
        build(EXPERTS[name])
    assert "dense" in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        transformers.BertConfig(num_hidden_layers=1, hidden_size=12, vocab_size=64),
        transformers.MptConfig(n_layers=1, d_model=32, n_heads=4, vocab_size=64),
        transformers.MambaConfig(num_hidden_layers=1, hidden_size=32, vocab_size=64),
    ],
    ids=["bert", "mpt", "mamba"],
)
def test_an_unknown_layout_is_refused_with_what_is_known(config: PretrainedConfig) -> None:
    with pytest.raises(UnsupportedArchitectureError, match="no supported family") as caught:
        find_architecture(AutoModelForCausalLM.from_config(config))
    assert "gpt2" in str(caught.value)


def refuse(model: LanguageModel) -> None:
    with pytest.raises(UnsupportedArchitectureError, match="do not fit"):
        find_architecture(model.model)


def test_blocks_of_different_width_are_refused() -> None:
    model = tiny_model("llama")
    model.block(1).mlp.down_proj = nn.Linear(65, model.d_model)
    refuse(model)


def test_an_up_projection_of_another_width_is_refused() -> None:
    model = tiny_model("llama")
    for layer in range(model.n_layers):
        model.block(layer).mlp.up_proj = nn.Linear(model.d_model, 63)
    refuse(model)


def test_a_matrix_of_an_unknown_class_is_refused() -> None:
    model = tiny_model("gpt2")
    for layer in range(model.n_layers):
        model.block(layer).mlp.c_proj = nn.Identity()
    refuse(model)


def test_a_packed_matrix_is_refused() -> None:
    model = tiny_model("llama")
    weight = torch.zeros(model.d_model * 32, 1)
    for layer in range(model.n_layers):
        model.down_projection(layer).weight = nn.Parameter(weight)
    refuse(model)


@pytest.mark.parametrize("width", [31, 33])
def test_a_head_of_another_width_is_refused(width: int) -> None:
    for family in ("llama", "opt"):
        model = tiny_model(family)
        model.model.lm_head = nn.Linear(width, 512)
        refuse(model)


def test_a_final_norm_of_another_width_is_refused() -> None:
    model = tiny_model("gpt2")
    model.model.transformer.ln_f = nn.LayerNorm(31)
    refuse(model)


def test_a_head_that_is_no_matrix_is_refused() -> None:
    model = tiny_model("gpt2")
    model.model.lm_head = nn.Identity()
    refuse(model)


def test_a_model_without_a_head_is_refused() -> None:
    model = tiny_model("gpt2")
    del model.model.lm_head
    with pytest.raises(UnsupportedArchitectureError, match="no supported family"):
        find_architecture(model.model)


def test_an_empty_list_of_blocks_is_no_model() -> None:
    model = tiny_model("gpt2")
    model.model.transformer.h = nn.ModuleList()
    with pytest.raises(UnsupportedArchitectureError, match="no supported family"):
        find_architecture(model.model)


def test_a_model_that_changes_its_logits_unseen_is_refused() -> None:
    model = tiny_model("llama")
    plain = model.model.forward

    def doubled(*args, **kwargs):
        output = plain(*args, **kwargs)
        output.logits = 2 * output.logits
        return output

    model.model.forward = doubled
    with pytest.raises(UnsupportedArchitectureError, match="changes its logits"):
        verify(model)


def test_a_model_that_counts_padding_is_refused() -> None:
    model = tiny_model("gpt2")
    model._takes_positions = False
    with pytest.raises(UnsupportedArchitectureError, match="counts padding"):
        verify(model)


def test_a_decoder_without_position_ids_or_alibi_is_refused() -> None:
    config = transformers.BartConfig(
        vocab_size=512,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        decoder_ffn_dim=48,
        decoder_attention_heads=4,
    )
    with pytest.raises(UnsupportedArchitectureError, match="BartForCausalLM"):
        verify(build(config))


def test_a_model_that_does_not_run_is_refused() -> None:
    model = tiny_model("llama")
    model.model.model.norm = nn.LayerNorm(31)
    with pytest.raises(UnsupportedArchitectureError, match="does not run as memla runs decoders"):
        verify(model)
