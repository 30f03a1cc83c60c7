"""The runs of causal tracing: clean, corrupted, and corrupted with one state restored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from memla.errors import ModelError, UnsupportedArchitectureError
from memla.models.architectures import submodule
from memla.models.hooks import capture_outputs, replace_output
from memla.models.language_model import HEAD_ROWS, LanguageModel
from memla.models.tokens import TokenizedAnswer

Site = Literal["block", "mlp", "attention"]

BATCH_TOKENS = 8192
"""Tokens in a batch of restored runs; bounds memory, changes nothing but rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """A statement read as it is and with its subject corrupted: what restored runs are made of."""

    sequence: TokenizedAnswer
    span: tuple[int, int]
    """Tokens of the subject, end exclusive."""
    noise: Float[Tensor, "samples subject width"]
    clean: float
    """Probability of the answer."""
    corrupted: float
    """The same with noise on the subject, mean over samples."""
    is_greedy: bool
    """Whether the model, left alone, gives the answer."""
    states: Mapping[Site, Mapping[int, Float[Tensor, "tokens d_model"]]]
    """What the site of each layer returns in the clean run."""
    streams: Mapping[int, Float[Tensor, "samples tokens d_model"]]
    """What each block returns in the corrupted runs."""
    returns_tuple: Mapping[int, tuple[Any, ...] | None]
    """What else each block returns."""


def embedding_module(model: LanguageModel) -> nn.Module:
    """The module that turns token ids into vectors."""
    found = submodule(model.model, model.architecture.embeddings)
    assert found is not None
    return found


def site_module(model: LanguageModel, site: Site, layer: int) -> nn.Module:
    """The module of a layer whose output is restored at a site.

    Raises:
        UnsupportedArchitectureError: The attention's output projection is not where it should be.
    """
    if site == "block":
        return model.block(layer)
    if site == "mlp":
        return model.down_projection(layer)
    found = submodule(model.block(layer), model.architecture.attention)
    if found is None:
        raise UnsupportedArchitectureError(
            f"{model.name} has no {model.architecture.attention} in layer {layer}",
            hint="trace the sites block and mlp",
        )
    return found


@torch.no_grad()
def read_baseline(
    model: LanguageModel,
    sequence: TokenizedAnswer,
    span: tuple[int, int],
    noise: Float[Tensor, "samples subject width"],
    sites: Sequence[Site],
) -> Baseline:
    """Read a statement clean and corrupted in one batch, and keep what the sites return."""
    layers = range(model.n_layers)
    samples = len(noise)
    padded = torch.cat([noise.new_zeros(1, *noise.shape[1:]), noise])
    tuples: dict[int, tuple[Any, ...] | None] = {}
    with ExitStack() as stack:
        stack.enter_context(_corrupted(model, span, padded))
        for layer in layers:
            stack.enter_context(_output_kind(model.block(layer), layer, tuples))
        # Sites are caught outside of what is replaced; a block is caught in any case.
        caught = {
            site: stack.enter_context(
                capture_outputs({layer: site_module(model, site, layer) for layer in layers})
            )
            for site in {"block": None, **dict.fromkeys(sites)}
        }
        hidden = model.hidden_states(_ids(model, sequence, samples + 1))
    scores, hits = answer_scores(model, hidden, sequence)
    shape = (samples + 1, hidden.shape[1], -1)
    streams = {layer: value[1:] for layer, value in caught["block"].items()}
    return Baseline(
        sequence=sequence,
        span=span,
        noise=noise,
        clean=float(scores[0]),
        corrupted=float(scores[1:].mean()),
        is_greedy=bool(hits[0]),
        states={
            site: {layer: value.reshape(shape)[0] for layer, value in caught[site].items()}
            for site in sites
        },
        streams=streams,
        returns_tuple=tuples,
    )


@torch.no_grad()
def restored_scores(
    model: LanguageModel,
    read: Baseline,
    site: Site,
    layers: Sequence[int],
    positions: Sequence[int],
) -> Float[Tensor, " positions"]:
    """Probability of the answer with a site's clean state put back at each position in turn.

    Args:
        model: The model.
        read: The statement's baseline.
        site: What is put back.
        layers: In which layers at once, ascending and without gaps.
        positions: Each is the only one restored in its runs.

    Returns:
        The mean over samples.
    """
    samples, n_tokens = len(read.noise), len(read.sequence.ids) - 1
    per_batch = max(1, BATCH_TOKENS // (samples * n_tokens))
    found = []
    for start in range(0, len(positions), per_batch):
        chosen = positions[start : start + per_batch]
        scores = _run(model, read, site, layers, chosen)
        found.append(scores.reshape(len(chosen), samples).mean(1))
    return torch.cat(found)


def _run(
    model: LanguageModel,
    read: Baseline,
    site: Site,
    layers: Sequence[int],
    positions: Sequence[int],
) -> Float[Tensor, " runs"]:
    """Probabilities of all samples of all positions: one batch.

    Below what is restored, the runs are the corrupted ones: those blocks are not computed again.
    """
    samples = len(read.noise)
    last_known = layers[-1] if site == "block" else layers[0] - 1
    with ExitStack() as stack:
        if last_known >= 0:
            stream = read.streams[last_known].repeat(len(positions), 1, 1)
            for layer in range(last_known + 1):
                skipped = _skipped(model.block(layer), stream, read.returns_tuple[layer])
                stack.enter_context(skipped)
        else:
            noise = read.noise.repeat(len(positions), 1, 1)
            stack.enter_context(_corrupted(model, read.span, noise))
        for layer in layers:
            change = partial(_put_back, read.states[site][layer], positions, samples)
            stack.enter_context(replace_output(site_module(model, site, layer), change))
        hidden = model.hidden_states(_ids(model, read.sequence, len(positions) * samples))
    return answer_scores(model, hidden, read.sequence)[0]


def answer_scores(
    model: LanguageModel, hidden: Float[Tensor, "runs tokens width"], sequence: TokenizedAnswer
) -> tuple[Float[Tensor, " runs"], Bool[Tensor, " runs"]]:
    """Probability of the whole answer in each run, and whether all its tokens are the likeliest.

    Raises:
        ModelError: The output is not finite.
    """
    wanted = torch.tensor(sequence.answer_ids, device=hidden.device)
    places = hidden[:, sequence.prompt_length - 1 :]
    flat = places.reshape(-1, places.shape[-1])
    targets = wanted.repeat(len(hidden))
    scores, hits = [], []
    for part, token in zip(flat.split(HEAD_ROWS), targets.split(HEAD_ROWS), strict=True):
        logits = model.final_logits(part).float()
        scores.append(logits.log_softmax(-1).gather(-1, token[:, None])[:, 0])
        hits.append(logits.argmax(-1) == token)
    log_probs = torch.cat(scores).reshape(len(hidden), -1).sum(1)
    if not log_probs.isfinite().all():
        raise ModelError(
            f"{model.name} gives probabilities that are not finite in {model.dtype}",
            hint="load it in float32 or bfloat16, or check its weights",
        )
    return log_probs.exp().cpu(), torch.cat(hits).reshape(len(hidden), -1).all(1).cpu()


def _ids(model: LanguageModel, sequence: TokenizedAnswer, rows: int) -> Tensor:
    return torch.tensor(sequence.ids[:-1], device=model.device).repeat(rows, 1)


def _put_back(clean: Tensor, positions: Sequence[int], samples: int, output: Tensor) -> Tensor:
    """The output of all runs, with the clean state at each run's own position."""
    changed = output.reshape(len(positions), samples, len(clean), -1).clone()
    for run, position in enumerate(positions):
        changed[run, :, position] = clean[position]
    return changed.reshape(output.shape)


@contextmanager
def _corrupted(
    model: LanguageModel, span: tuple[int, int], noise: Float[Tensor, "runs subject width"]
) -> Iterator[None]:
    """Add noise to the embeddings of the subject's tokens."""

    def add(output: Tensor) -> Tensor:
        changed = output.clone()
        changed[:, span[0] : span[1]] += noise.to(output)
        return changed

    with replace_output(embedding_module(model), add):
        yield


@contextmanager
def _output_kind(
    block: nn.Module, layer: int, tuples: dict[int, tuple[Any, ...] | None]
) -> Iterator[None]:
    """Note what a block returns beside the residual stream."""

    def hook(_module: nn.Module, _args: object, output: Any) -> None:  # noqa: ANN401
        tuples[layer] = None if isinstance(output, Tensor) else tuple(output[1:])

    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _skipped(block: nn.Module, stream: Tensor, rest: tuple[Any, ...] | None) -> Iterator[None]:
    """Let a block return a stream that is known, without computing anything."""
    own = block.__dict__.get("forward")
    result = stream if rest is None else (stream, *rest)

    def forward(*_args: object, **_kwargs: object) -> object:
        return result

    block.__dict__["forward"] = forward
    try:
        yield
    finally:
        if own is None:
            del block.__dict__["forward"]
        else:
            block.__dict__["forward"] = own
