"""Texts aligned at one token: read once up to it, and continued from it again and again.

A vector added at a token reaches no token before it, and nothing below its layer. So texts are
padded until that token of each stands in one column. The keys and values before the column and
the residual stream that enters the layer are read once; a further pass computes the columns from
there on, in the layers from there up.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from memla.editors.shortcuts import forward_replaced, kinds_of_output, mlp_only_at
from memla.errors import DataError, UnsupportedArchitectureError
from memla.models.architectures import submodule
from memla.models.hooks import capture_outputs, replace_output
from memla.models.language_model import LanguageModel

Site = Literal["block", "mlp", "attention"]
"""Where a vector is added: to the block's output, to that of W_proj, or to that of the attention's
output projection."""


@dataclass(frozen=True, slots=True)
class PlacedText:
    """A text and the token at which a vector is added."""

    ids: tuple[int, ...]
    place: int
    """Index of the token."""


@dataclass(frozen=True, slots=True, eq=False)
class AlignedTexts:
    """A batch of texts, padded on both sides."""

    ids: Int[Tensor, "rows columns"]
    mask: Int[Tensor, "rows columns"]
    positions: Int[Tensor, "rows columns"]
    column: int
    """Where the token meant stands in every row."""

    def rows(self, kept: Int[Tensor, " kept"]) -> AlignedTexts:
        """Some of the texts."""
        return replace(
            self, ids=self.ids[kept], mask=self.mask[kept], positions=self.positions[kept]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """Forward passes over aligned texts with vectors added at the aligned token.

    Without ``prefix`` each computes everything.
    """

    model: LanguageModel
    texts: AlignedTexts
    modules: tuple[nn.Module, ...]
    """The modules whose outputs the vectors are added to."""
    prefix: tuple[tuple[Tensor, Tensor], ...] | None = None
    """Keys and values before the column, by layer; only their number in layers below."""
    stream: Float[Tensor, "rows tail d_model"] | None = None
    """What the last of the blocks below returned, from the column on; None if there are none."""
    below: tuple[int | None, ...] = ()
    """For each block below: None if it returns a tensor, else the number of things beside it."""

    def hidden(
        self,
        vectors: Float[Tensor, "rows sites d_model"],
        row: Int[Tensor, " scored"],
        column: Int[Tensor, " scored"],
    ) -> Float[Tensor, "scored width"]:
        """Hidden states after the final norm at some places; gradients flow to the vectors.

        Args:
            vectors: What is added in each row.
            row: The places' rows.
            column: The places' columns, counted from the aligned one.
        """
        texts, last = self.texts, self.model.n_layers - 1
        start = 0 if self.prefix is None else texts.column
        with ExitStack() as stack:
            for index, module in enumerate(self.modules):
                change = partial(_added, vectors[:, index], texts.column - start)
                stack.enter_context(replace_output(module, change))
            for index, beside in enumerate(self.below):
                assert self.stream is not None
                output = self.stream if beside is None else (self.stream, *[None] * beside)
                block = self.model.block(index)
                stack.enter_context(forward_replaced(block, lambda *_, out=output, **__: out))
            if self.prefix is not None and self.model.down_projection(last) not in self.modules:
                places = row * (texts.ids.shape[1] - start) + column
                stack.enter_context(mlp_only_at(self.model, last, places))
            cache = DynamicCache(self.prefix) if self.prefix else None
            hidden = self.model.hidden_states(
                texts.ids[:, start:],
                texts.mask,
                position_ids=texts.positions[:, start:],
                past_key_values=cache,
            )
        return hidden[row, column + texts.column - start]

    def rows(self, kept: Int[Tensor, " kept"]) -> Passes:
        """Passes over some of the texts."""
        prefix = self.prefix
        if prefix is not None:
            prefix = tuple(
                pair if index < len(self.below) else (pair[0][kept], pair[1][kept])
                for index, pair in enumerate(prefix)
            )
        stream = None if self.stream is None else self.stream[kept]
        return replace(self, texts=self.texts.rows(kept), prefix=prefix, stream=stream)


@dataclass(frozen=True, slots=True, eq=False)
class ReadTexts:
    """What a first pass over texts found, and how they are continued."""

    hidden: Float[Tensor, "rows tail width"]
    """Hidden states after the final norm, from the column on."""
    starts: Float[Tensor, "rows sites d_model"]
    """What stands at the sites, at the aligned token."""
    passes: Passes


def site_module(model: LanguageModel, layer: int, site: Site) -> nn.Module:
    """The module whose output a vector at this site is added to.

    Raises:
        UnsupportedArchitectureError: The block's attention is not where its family has it.
    """
    if site == "block":
        return model.block(layer)
    if site == "mlp":
        return model.down_projection(layer)
    module = submodule(model.block(layer), model.architecture.attention)
    if module is None:
        raise UnsupportedArchitectureError(
            f"layer {layer} of {model.name!r} has no {model.architecture.attention!r}",
            hint="choose a layer with attention, or an editor that does not change it",
        )
    return module


def align(model: LanguageModel, texts: Sequence[PlacedText]) -> AlignedTexts:
    """Pad texts on both sides so that their tokens meant stand in one column.

    Raises:
        DataError: A text has more tokens than the model has positions.
    """
    longest = max(len(text.ids) for text in texts)
    limit = getattr(model.model.config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and longest > limit:
        raise DataError(
            f"{longest} tokens are too many for {model.name}, which takes {limit}",
            hint="give a shorter prompt, answer or context",
        )
    column = max(text.place for text in texts)
    width = column + max(len(text.ids) - text.place for text in texts)
    ids = torch.zeros(len(texts), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        span = slice(column - text.place, column - text.place + len(text.ids))
        ids[row, span] = torch.tensor(text.ids)
        mask[row, span] = 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    device = model.device
    return AlignedTexts(ids.to(device), mask.to(device), positions.to(device), column)


@torch.no_grad()
def read_texts(
    model: LanguageModel,
    texts: AlignedTexts,
    layer: int,
    sites: Sequence[Site],
    *,
    cached: bool = True,
) -> ReadTexts:
    """Read aligned texts once, and keep what vectors added at the sites cannot change.

    Args:
        model: The model.
        texts: The texts.
        layer: The layer of the sites.
        sites: Where vectors will be added.
        cached: Whether to keep it. If not, or if the model does not give the same when it is
            continued, as some kinds of attention may not, each pass computes everything.
    """
    modules = tuple(site_module(model, layer, site) for site in sites)
    blocks = {index: model.block(index) for index in range(layer + 1)}
    # A plain cache keeps all keys, also in layers with a sliding window.
    cache = DynamicCache() if cached else None
    with ExitStack() as stack:
        outputs = stack.enter_context(capture_outputs(dict(enumerate(modules))))
        kinds = stack.enter_context(kinds_of_output(blocks))
        entering = [index for index in (layer - 1, layer) if cached and index >= 0]
        streams = stack.enter_context(capture_outputs({index: blocks[index] for index in entering}))
        hidden = model.hidden_states(
            texts.ids, texts.mask, position_ids=texts.positions, past_key_values=cache
        )[:, texts.column :]
    rows = texts.ids.shape[0]
    # In the order of the sites, which need not be that in which they are computed.
    tables = [outputs[index].reshape(rows, -1, model.d_model) for index in range(len(sites))]
    starts = torch.stack([table[:, texts.column] for table in tables], dim=1)
    read = ReadTexts(hidden, starts, Passes(model, texts, modules))
    if cache is None:
        return read
    for n_below in _depths(layer, sites):
        continued = replace(
            read.passes,
            modules=modules if n_below == layer else (blocks[layer],),
            prefix=_prefix(cache, texts.column, n_below),
            stream=streams[n_below - 1][:, texts.column :] if n_below else None,
            below=tuple(kinds[index] for index in range(n_below)),
        )
        if _is_exact(continued, read):
            return replace(read, passes=continued)
    return read


def _depths(layer: int, sites: Sequence[Site]) -> tuple[int, ...]:
    """How many blocks may be left out, the most first.

    What W_proj writes mostly is added to the block's output as it is, so that the vector can be
    added there; not where it goes through a norm or a factor first.
    """
    if tuple(sites) == ("block",):
        return (layer + 1,)
    return (layer + 1, layer) if tuple(sites) == ("mlp",) else (layer,)


def _prefix(cache: DynamicCache, column: int, n_below: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """Keys and values before the column; of the layers below, enough to tell how many."""
    if column == 0:
        return ()
    pairs = [(table.keys, table.values) for table in cast("list[DynamicLayer]", cache.layers)]

    def before(index: int, table: Tensor | None) -> Tensor:
        assert table is not None
        part = table[:1, :1, :column, :1] if index < n_below else table[:, :, :column]
        return part.clone()

    return tuple((before(index, k), before(index, v)) for index, (k, v) in enumerate(pairs))


def _is_exact(passes: Passes, read: ReadTexts) -> bool:
    """Whether passes give what full ones do with vectors as long as what stands at the sites.

    Looked at are the longest text, and the one with the least before its token.
    """
    mask, column = passes.texts.mask, passes.texts.column
    chosen = {int(mask.sum(-1).argmax()), int(mask[:, :column].sum(-1).argmin())}
    rows = torch.tensor(sorted(chosen), device=mask.device)
    dtype = torch.promote_types(read.starts.dtype, torch.float32)
    vectors, is_text = read.starts[rows].to(dtype), mask[rows, column:]
    places = is_text.nonzero().unbind(-1)
    wanted = read.passes.rows(rows).hidden(vectors, *places)
    found = passes.rows(rows).hidden(vectors, *places)
    tolerance = torch.finfo(wanted.dtype).eps ** 0.5 * wanted.abs().max()
    return bool(((found - wanted).abs() <= tolerance).all())


def _added(vectors: Float[Tensor, "rows d_model"], column: int, output: Tensor) -> Tensor:
    """The output with a vector added to each row at the column, rounded once."""
    # Some families flatten batch and tokens inside the MLP.
    changed = output.reshape(len(vectors), -1, output.shape[-1]).clone()
    changed[:, column] = (changed[:, column].to(vectors.dtype) + vectors).to(output.dtype)
    return changed.reshape(output.shape)
