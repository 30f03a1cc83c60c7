"""Many continuations of one prefix in a single pass: what makes attribution fast.

Neurons replaced at one position cannot reach any position before it, in no layer. So the prefix is
read once, and every variant of a passage, one for each layer and node of the integral, is a
continuation of the same cached keys and values. Several variants share a row of the batch, kept
apart by a 4-D attention mask, where the model takes one; and a variant joins the batch only at the
block whose neurons it replaces, because below it is the passage unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from memla.attribution.config import Site
from memla.models.hooks import capture_inputs, capture_outputs, replace_output
from memla.models.language_model import LanguageModel

MAX_PACKED_TOKENS = 1024
"""Most tokens in one row: the mask and the scores grow with their square."""


@dataclass(frozen=True, slots=True)
class ReadPassages:
    """A batch of passages of one shape, read once and unchanged."""

    ids: Int[Tensor, "batch tokens"]
    start: int
    """First position at which neurons are replaced."""
    keys_values: list[tuple[Tensor, Tensor]]
    """Keys and values before ``start``, by layer; empty at position 0."""
    block_inputs: dict[int, Float[Tensor, "batch chain d_model"]]
    """Residual stream from ``start`` on, where it enters the block of each layer looked at."""
    activations: Float[Tensor, "layers batch positions d_ff"]
    """Values of the neurons at the interventions, in the layers looked at."""
    outputs: Float[Tensor, "layers batch positions d_model"] | None
    """What the second MLP matrix returned there; None at site ``pre_act``."""

    @property
    def chain(self) -> int:
        """Number of tokens that are computed anew in each variant."""
        return self.ids.shape[1] - self.start


def site_modules(model: LanguageModel, layers: Sequence[int], site: Site) -> dict[int, nn.Module]:
    """The modules whose output carries the neurons' values: W_proj, or the matrix before it."""
    find = model.down_projection if site == "down_in" else model.up_projection
    return {layer: find(layer) for layer in layers}


@contextmanager
def capture_neurons(
    model: LanguageModel, layers: Sequence[int], site: Site
) -> Iterator[dict[int, Tensor]]:
    """Yield the values of all neurons by layer after a pass: [batch * tokens, at least d_ff]."""
    modules = site_modules(model, layers, site)
    capture = capture_inputs if site == "down_in" else capture_outputs
    with capture(modules) as caught:
        yield caught


def at_positions(
    caught: Mapping[int, Tensor], ids: Tensor, positions: Sequence[int], width: int
) -> Float[Tensor, "layers batch positions width"]:
    """Pick positions of ``ids``, and ``width`` features, from what layers anywhere have caught.

    Some families flatten batch and tokens inside the MLP, and some store the gate before the value.
    """
    tables = [
        value.reshape(ids.shape[0], -1, value.shape[-1]) for _, value in sorted(caught.items())
    ]
    return torch.stack([table[:, list(positions), :width].to(ids.device) for table in tables])


@torch.no_grad()
def read_passages(
    model: LanguageModel,
    ids: Int[Tensor, "batch tokens"],
    positions: Sequence[int],
    layers: Sequence[int],
    site: Site,
) -> ReadPassages:
    """Read passages of one shape; keep what their variants share.

    Args:
        model: The model.
        ids: Tokens of the passages.
        positions: Where neurons will be replaced, ascending.
        layers: Layers whose neurons will be replaced.
        site: Where in the MLP.
    """
    start = positions[0]
    # A plain cache keeps all keys, also in layers with a sliding window.
    cache = DynamicCache()
    modules = site_modules(model, layers, "down_in")
    with ExitStack() as stack:
        neurons = stack.enter_context(capture_neurons(model, layers, site))
        written = stack.enter_context(capture_outputs(modules if site == "down_in" else {}))
        blocks = {layer: model.block(layer) for layer in layers}
        streams = stack.enter_context(capture_inputs(blocks))
        model.hidden_states(ids, past_key_values=cache)
    outputs = at_positions(written, ids, positions, model.d_model) if written else None
    pairs = [(table.keys, table.values) for table in cast("list[DynamicLayer]", cache.layers)]
    return ReadPassages(
        ids=ids,
        start=start,
        keys_values=[(_before(k, start), _before(v, start)) for k, v in pairs] if start else [],
        block_inputs={layer: stream[:, start:] for layer, stream in streams.items()},
        activations=at_positions(neurons, ids, positions, model.d_ff),
        outputs=outputs,
    )


def _before(cached: Tensor | None, start: int) -> Tensor:
    """Keys or values, [batch, heads, tokens, width], of the tokens before ``start``."""
    assert cached is not None
    return cached[:, :, :start]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How variants lie in the batch: [active layers, passages, rows, variants a row, chain]."""

    passages: int
    nodes: int
    chain: int
    past: int
    per_row: int
    layers: tuple[int, ...]
    joins_late: bool
    """Whether a variant enters the batch at the block of its layer, or at the first block."""

    @property
    def rows(self) -> int:
        """Rows of the batch for one layer."""
        return self.passages * self.nodes // self.per_row

    def active(self, block: int) -> int:
        """Number of layers whose variants run through a block."""
        if not self.joins_late:
            return len(self.layers)
        return max(1, sum(layer <= block for layer in self.layers))


def _layout(model: LanguageModel, read: ReadPassages, layers: Sequence[int], nodes: int) -> _Layout:
    passages, chain = read.ids.shape[0], read.chain
    window = getattr(model.model.config.get_text_config(), "sliding_window", None)
    is_packed = model.architecture.supports_tree_mask and (
        window is None or read.ids.shape[1] <= window
    )
    per_row = 1
    if is_packed:
        # As many variants as make the row longer than the prefix it attends to, but no more.
        fitting = [n for n in range(1, nodes + 1) if nodes % n == 0]
        allowed = [n for n in fitting if n * chain <= MAX_PACKED_TOKENS] or [1]
        enough = [n for n in allowed if n * chain >= read.start]
        per_row = enough[0] if enough else allowed[-1]
    return _Layout(passages, nodes, chain, read.start, per_row, tuple(layers), is_packed)


def continue_variants(
    model: LanguageModel,
    read: ReadPassages,
    values: Float[Tensor, "layers batch nodes positions width"],
    positions: Sequence[int],
    layers: Sequence[int],
    site: Site,
) -> Float[Tensor, "layers batch nodes chain hidden"]:
    """Hidden states after the final norm of all variants, from ``read.start`` on.

    Args:
        model: The model.
        read: The passages.
        values: What replaces the output of the site's module in each variant, ``width`` features
            of it; gradients flow back to it.
        positions: The positions at which it does.
        layers: The layers in which it does: one per entry of ``values``.
        site: Where in the MLP.
    """
    layout = _layout(model, read, layers, values.shape[2])
    offsets = [position - read.start for position in positions]
    with ExitStack() as stack:
        for index, module in enumerate(site_modules(model, layers, site).values()):
            change = _writer(values[index], index, offsets, layout)
            stack.enter_context(replace_output(module, change))
        if layout.joins_late:
            for layer in range(layers[0] + 1, model.n_layers):
                stream = read.block_inputs.get(layer)
                stack.enter_context(_joining(model.block(layer), stream, layout))
        hidden = _run(model, read, layout)
    shape = (len(layers), layout.passages, layout.nodes, layout.chain, hidden.shape[-1])
    return hidden.reshape(shape)


def _writer(
    values: Float[Tensor, "batch nodes positions width"],
    index: int,
    offsets: Sequence[int],
    layout: _Layout,
) -> Callable[[Tensor], Tensor]:
    """A change of a module's output that writes ``values`` into the variants of one layer."""

    def write(output: Tensor) -> Tensor:
        shape = (-1, layout.passages, layout.nodes, layout.chain, output.shape[-1])
        changed = output.reshape(shape).clone()
        changed[index][:, :, offsets, : values.shape[-1]] = values.to(output)
        return changed.reshape(output.shape)

    return write


@contextmanager
def _joining(block: nn.Module, stream: Tensor | None, layout: _Layout) -> Iterator[None]:
    """Let the variants of a block's own layer, if it has any, enter the batch in front of it."""
    rows = None
    if stream is not None:
        packed = stream.repeat(1, layout.per_row, 1)
        rows = packed.repeat_interleave(layout.rows // layout.passages, dim=0)

    def join(
        _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        hidden = args[0] if args else next(iter(kwargs.values()))
        grown = hidden if rows is None else torch.cat([hidden, rows.to(hidden)])

        def adapt(value: Any) -> Any:  # noqa: ANN401
            if value is hidden:
                return grown
            if isinstance(value, Tensor) and value.ndim == 4:  # the mask
                return value[:1].expand(grown.shape[0], -1, -1, -1)
            return value

        return tuple(map(adapt, args)), {name: adapt(value) for name, value in kwargs.items()}

    handle = block.register_forward_pre_hook(join, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _run(model: LanguageModel, read: ReadPassages, layout: _Layout) -> Tensor:
    """The pass over all variants, with the shared keys and values in front of them."""
    repeats = layout.rows // layout.passages
    tokens = read.ids[:, read.start :].repeat(1, layout.per_row)
    first = layout.active(0)
    ids = tokens.repeat_interleave(repeats, dim=0).repeat(first, 1)
    cache = None
    if read.keys_values:
        cache = DynamicCache(
            [
                (_shared(keys, repeats, count), _shared(values, repeats, count))
                for block, (keys, values) in enumerate(read.keys_values)
                for count in [layout.active(block)]
            ]
        )
    places = torch.arange(read.start, read.start + layout.chain, device=ids.device)
    places = places.repeat(layout.per_row)[None]
    if not layout.joins_late:
        places = places.expand(ids.shape[0], -1)
        return model.hidden_states(ids, position_ids=places, past_key_values=cache)
    mask = tree_mask(layout.past, layout.chain, layout.per_row, model.dtype, ids.device)
    # Not by LanguageModel.hidden_states: more rows come out than go in, with one row of positions.
    output = model.model.base_model(
        input_ids=ids,
        attention_mask=mask.expand(ids.shape[0], -1, -1, -1),
        position_ids=places,
        past_key_values=cache,
        use_cache=cache is not None,
    )
    return cast("Tensor", output.last_hidden_state).to(ids.device)


def _shared(cached: Tensor, repeats: int, layers: int) -> Tensor:
    """Keys or values of the prefix, once for each row of the batch."""
    return cached.repeat_interleave(repeats, dim=0).repeat(layers, 1, 1, 1)


def tree_mask(
    past: int, chain: int, branches: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "1 1 queries keys"]:
    """Additive mask of several chains that share a prefix and do not see each other.

    Each of the ``branches`` chains of ``chain`` tokens sees the ``past`` tokens and itself,
    causally. The forbidden entries are the type's least number, not minus infinity, because some
    models add masks up.
    """
    causal = torch.ones(chain, chain, dtype=torch.bool, device=device).tril()
    allowed = torch.block_diag(*[causal] * branches).bool()
    prefix = torch.ones(chain * branches, past, dtype=torch.bool, device=device)
    mask = torch.zeros(1, 1, chain * branches, past + chain * branches, dtype=dtype, device=device)
    return mask.masked_fill(~torch.cat([prefix, allowed], dim=1), torch.finfo(dtype).min)
