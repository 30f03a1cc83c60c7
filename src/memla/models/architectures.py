"""Where a model keeps its blocks, its MLP matrices, its final norm and its head.

The parts are found by structure: by the paths at which modules lie, their classes and the shapes
of their weights. A model's name, its folder and its ``model_type`` are never looked at, so a
renamed checkpoint is found and an impostor is not.

"Row i" of the papers, the value vector of neuron i, is dimension 0 of GPT-2's ``Conv1D`` weight
and dimension 1 of an ``nn.Linear`` weight. Only :class:`Architecture` knows which.

To support another family, add one :class:`Layout` to ``LAYOUTS`` and one entry to ``tiny.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, cast

from torch import nn
from transformers.pytorch_utils import Conv1D

from memla.errors import UnsupportedArchitectureError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The paths of one family. Those from ``down`` to ``mlp_norm`` start at a block."""

    family: str
    blocks: str
    """The list of blocks, from the model."""
    down: str
    """The second MLP matrix, W_proj: one row per neuron, which is what the neuron writes."""
    up: str
    """The first MLP matrix."""
    attention: str
    """The attention's output projection; looked up when it is asked for."""
    gate: str | None = None
    """The matrix of the gate in gated MLPs; equal to ``up`` where the two are stored as one."""
    mlp_norm: str | None = None
    """A norm on the output of the MLP, before it is added to the residual stream."""
    final_norm: str | None
    embeddings: str
    projection: str | None = None
    """A matrix between the final norm and the head, where the embeddings are narrower."""
    optional: tuple[str, ...] = ()
    """Which of ``final_norm`` and ``projection`` some models lack; None in their architecture."""
    marks: tuple[str, ...] = ()
    """Other modules that tell the family from those with the same paths."""
    head: str = "lm_head"
    supports_tree_mask: bool = True
    """Whether the model takes a 4-D attention mask, so that several continuations of one prefix
    fit into one row. Models with ALiBi derive their positions from the 2-D mask and do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture(Layout):
    """A layout found in a model, with the model's sizes."""

    neuron_axis: int
    """Dimension of the neurons in the weight of ``down``: 0 for [d_ff, d_model], else 1."""
    n_layers: int
    d_model: int
    d_ff: int
    vocab_size: int
    """Rows of the head: the width of the logits, which may exceed the tokenizer's vocabulary."""


LAYOUTS = (
    Layout(  # GPT-2, mGPT
        family="gpt2",
        blocks="transformer.h",
        down="mlp.c_proj",
        up="mlp.c_fc",
        attention="attn.c_proj",
        final_norm="transformer.ln_f",
        embeddings="transformer.wte",
    ),
    Layout(
        family="gptj",
        blocks="transformer.h",
        down="mlp.fc_out",
        up="mlp.fc_in",
        attention="attn.out_proj",
        final_norm="transformer.ln_f",
        embeddings="transformer.wte",
    ),
    Layout(  # GPT-NeoX, Pythia
        family="gpt_neox",
        blocks="gpt_neox.layers",
        down="mlp.dense_4h_to_h",
        up="mlp.dense_h_to_4h",
        attention="attention.dense",
        final_norm="gpt_neox.final_layer_norm",
        embeddings="gpt_neox.embed_in",
    ),
    Layout(  # The block hands its residual to the MLP, so only the matrix itself can be hooked.
        family="bloom",
        blocks="transformer.h",
        down="mlp.dense_4h_to_h",
        up="mlp.dense_h_to_4h",
        attention="self_attention.dense",
        final_norm="transformer.ln_f",
        embeddings="transformer.word_embeddings",
        marks=("transformer.word_embeddings_layernorm",),
        supports_tree_mask=False,
    ),
    Layout(  # Some Falcons have ALiBi, so none of them is given a 4-D mask.
        family="falcon",
        blocks="transformer.h",
        down="mlp.dense_4h_to_h",
        up="mlp.dense_h_to_4h",
        attention="self_attention.dense",
        final_norm="transformer.ln_f",
        embeddings="transformer.word_embeddings",
        marks=("transformer.rotary_emb",),
        supports_tree_mask=False,
    ),
    Layout(
        family="xglm",
        blocks="model.layers",
        down="fc2",
        up="fc1",
        attention="self_attn.out_proj",
        final_norm="model.layer_norm",
        embeddings="model.embed_tokens",
    ),
    Layout(
        family="opt",
        blocks="model.decoder.layers",
        down="fc2",
        up="fc1",
        attention="self_attn.out_proj",
        final_norm="model.decoder.final_layer_norm",
        projection="model.decoder.project_out",
        optional=("final_norm", "projection"),
        embeddings="model.decoder.embed_tokens",
    ),
    Layout(  # Gemma 2 and 3: LLaMA's paths, and a norm on what the MLP returns.
        family="gemma",
        blocks="model.layers",
        down="mlp.down_proj",
        up="mlp.up_proj",
        attention="self_attn.o_proj",
        gate="mlp.gate_proj",
        mlp_norm="post_feedforward_layernorm",
        final_norm="model.norm",
        embeddings="model.embed_tokens",
    ),
    Layout(  # LLaMA, Mistral, Qwen2, Qwen2.5, Qwen3
        family="llama",
        blocks="model.layers",
        down="mlp.down_proj",
        up="mlp.up_proj",
        attention="self_attn.o_proj",
        gate="mlp.gate_proj",
        final_norm="model.norm",
        embeddings="model.embed_tokens",
    ),
    Layout(  # The first half of the output of gate_up_proj is the gate, the second the value.
        family="phi3",
        blocks="model.layers",
        down="mlp.down_proj",
        up="mlp.gate_up_proj",
        attention="self_attn.o_proj",
        gate="mlp.gate_up_proj",
        final_norm="model.norm",
        embeddings="model.embed_tokens",
    ),
)


def find_architecture(model: PreTrainedModel) -> Architecture:
    """Find the parts of a causal language model.

    Raises:
        UnsupportedArchitectureError: No layout has its paths, the shapes of its matrices do not
            fit together, or it is a mixture of experts.
    """
    for name, _ in model.named_modules():
        if name.rpartition(".")[2] == "experts":
            raise UnsupportedArchitectureError(
                f"{type(model).__name__} is a mixture of experts",
                hint="its MLPs have no one list of neurons; choose a dense model",
            )
    for layout in LAYOUTS:
        paths = _present(layout, model)
        if paths is not None:
            return _measure(paths, model)
    known = ", ".join(layout.family for layout in LAYOUTS)
    raise UnsupportedArchitectureError(
        f"{type(model).__name__} has its blocks where no supported family has them",
        hint=f"choose a decoder laid out as one of {known}",
    )


def submodule(module: nn.Module, path: str) -> nn.Module | None:
    """The module at a dotted path, or None."""
    for name in path.split("."):
        found = getattr(module, name, None)
        if not isinstance(found, nn.Module):
            return None
        module = found
    return module


def linear_shape(module: nn.Module | None) -> tuple[int, int, int] | None:
    """How a linear module stores its weight.

    Returns:
        The dimension its input runs along (0 or 1), the width of its input and of its output;
        None for a module of another class, and for weights that are packed.
    """
    if isinstance(module, Conv1D):
        axis = 0
    elif isinstance(module, nn.Linear):
        axis = 1
    else:
        return None
    weight = cast("nn.Parameter", module.weight)
    return (axis, weight.shape[axis], weight.shape[1 - axis]) if weight.ndim == 2 else None


def _present(layout: Layout, model: nn.Module) -> Layout | None:
    """The layout without the optional parts this model lacks, or None if it is another's."""
    blocks = submodule(model, layout.blocks)
    if not isinstance(blocks, nn.ModuleList) or len(blocks) == 0:
        return None
    lacking: dict[str, None] = {}
    for name in ("final_norm", "projection", "embeddings", "head"):
        path = getattr(layout, name)
        if path is not None and submodule(model, path) is None:
            if name not in layout.optional:
                return None
            lacking[name] = None
    if any(submodule(model, mark) is None for mark in layout.marks):
        return None
    inside = [path for path in (layout.down, layout.up, layout.gate, layout.mlp_norm) if path]
    if any(submodule(block, path) is None for block in blocks for path in inside):
        return None
    return replace(layout, **lacking)  # type: ignore[arg-type]


def _measure(layout: Layout, model: nn.Module) -> Architecture:
    """The sizes of a model whose paths are known, after a check that they fit together."""
    blocks = list(cast("nn.ModuleList", submodule(model, layout.blocks)))
    shapes = {_mlp_shape(layout, block) for block in blocks}
    shape = shapes.pop()
    if shapes or shape is None:
        raise _misfit(model, "MLP matrices")
    axis, d_ff, d_model = shape
    norm = getattr(submodule(model, layout.final_norm or ""), "weight", None)
    if norm is not None and tuple(norm.shape) != (d_model,):
        raise _misfit(model, f"a final norm of shape {tuple(norm.shape)} over {d_model}")
    vocabulary, width = _matrix(model, layout.head)
    if layout.projection is not None:
        narrow, wide = _matrix(model, layout.projection)
        if (narrow, wide) != (width, d_model):
            raise _misfit(model, f"a projection of shape {(narrow, wide)}")
    elif width != d_model:
        raise _misfit(model, f"a head of width {width} over {d_model}")
    return Architecture(
        **{field.name: getattr(layout, field.name) for field in fields(layout)},
        neuron_axis=axis,
        n_layers=len(blocks),
        d_model=d_model,
        d_ff=d_ff,
        vocab_size=vocabulary,
    )


def _mlp_shape(layout: Layout, block: nn.Module) -> tuple[int, int, int] | None:
    """Neuron axis, d_ff and d_model of a block; None if its matrices do not fit together."""
    down = linear_shape(submodule(block, layout.down))
    if down is None:
        return None
    axis, d_ff, d_model = down
    width = 2 * d_ff if layout.up == layout.gate else d_ff
    for path in (layout.up, layout.gate or layout.up):
        first = linear_shape(submodule(block, path))
        if first is None or first[1:] != (d_model, width):
            return None
    return axis, d_ff, d_model


def _matrix(model: nn.Module, path: str) -> tuple[int, int]:
    """Output and input width of the linear module at a path."""
    shape = linear_shape(submodule(model, path))
    if shape is None:
        raise _misfit(model, f"parts at {path}")
    return shape[2], shape[1]


def _misfit(model: nn.Module, what: str) -> UnsupportedArchitectureError:
    return UnsupportedArchitectureError(
        f"{type(model).__name__} has {what} that do not fit together",
        hint="choose a dense, unquantised decoder whose blocks are alike",
    )
