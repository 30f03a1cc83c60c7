"""Integrals of gradients over straight paths, for answers of any probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx

from memla.attribution.config import AttributionConfig
from memla.attribution.continuation import ReadPassages, continue_variants
from memla.attribution.targets import AttributionTarget, Combination, Passage
from memla.models.language_model import LanguageModel

Nodes = Float[Tensor, " nodes"]


class _TokenLogProb(torch.autograd.Function):
    """Log-softmax at one token of each row, with one pass over the vocabulary on the way back."""

    @staticmethod
    def forward(ctx: FunctionCtx, logits: Tensor, tokens: Tensor) -> Tensor:
        """Log-probabilities [...] of tokens [..., 1] by logits [..., vocab]."""
        total = logits.logsumexp(-1, keepdim=True)
        ctx.save_for_backward(logits, tokens, total)
        return (logits.gather(-1, tokens) - total)[..., 0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """The token less the distribution, times the incoming gradient."""
        logits, tokens, total = ctx.saved_tensors
        share = gradient[..., None]
        spread = (logits - total).exp_().mul_(-share)
        return spread.scatter_add_(-1, tokens, share), None


class PathIntegrals:
    """Sums over nodes for a batch of passages, in chunks, whatever the size of probabilities.

    The gradient of a probability P is P times that of its logarithm, so rows are weighted with
    ``exp(log P - scale)``. That is the plain gradient up to one positive factor per passage, and
    does not vanish for answers of probability 1e-30. ``scale`` is the largest log P so far; what
    was summed before is rescaled when it grows.
    """

    def __init__(
        self,
        model: LanguageModel,
        read: ReadPassages,
        passages: Sequence[Passage],
        owners: Sequence[AttributionTarget],
        layers: tuple[int, ...],
        config: AttributionConfig,
    ) -> None:
        self.model, self.read, self.layers, self.config = model, read, layers, config
        self.positions = passages[0].interventions
        # Passages of one shape belong to targets of one kind: both follow from the configuration.
        self.combination: Combination = owners[0].combination
        self.places = [place - read.start for place, _ in passages[0].scored]
        tokens = [[token for _, token in passage.scored] for passage in passages]
        self.tokens: Int[Tensor, "batch scored"] = torch.tensor(tokens, device=read.ids.device)
        precise = torch.promote_types(model.dtype, torch.float32)
        like: dict[str, Any] = {"dtype": precise, "device": read.ids.device}
        width = (len(self.positions), model.d_model if config.site == "down_in" else model.d_ff)
        self.gradient = torch.zeros(len(layers), len(passages), *width, **like)
        self.change = torch.zeros(len(layers), len(passages), **like)
        self.scale = torch.full((len(passages),), -math.inf, **like)

    def add(
        self,
        end: Float[Tensor, "layers batch positions width"],
        reach: Float[Tensor, "layers batch positions width"],
        nodes: Nodes,
        weights: Nodes,
        signs: Nodes,
    ) -> None:
        """Add some nodes: points ``end - (1 - node) * reach`` of the path."""
        left = (1 - nodes).to(end)[:, None, None]
        values = (end[:, :, None] - left * reach[:, :, None]).requires_grad_()
        with torch.enable_grad():
            hidden = continue_variants(
                self.model, self.read, values, self.positions, self.layers, self.config.site
            )
            terms = self._terms(hidden)
            scale, shares = self._shares(terms.detach())
            (gradient,) = torch.autograd.grad((shares * terms).sum(), values)
        is_log = self.config.objective == "log_probability"
        worth = (terms.detach() if is_log else shares).sum(-1)
        total = torch.maximum(self.scale, scale)
        before, now = (self.scale - total).exp(), (scale - total).exp()
        added = torch.einsum("lbnpw,n->lbpw", gradient, weights.to(gradient))
        self.gradient = before[:, None, None] * self.gradient + now[:, None, None] * added
        self.change = before * self.change + now * (worth @ signs.to(worth))
        self.scale = total

    def _terms(
        self, hidden: Float[Tensor, "layers batch nodes chain hidden"]
    ) -> Float[Tensor, "layers batch nodes terms"]:
        """Log-probabilities that the objective adds up: of each scored token, or of them all."""
        logits = self.model.final_logits(hidden[..., self.places, :]).to(self.scale.dtype)
        tokens = self.tokens[:, None, :, None].expand(*logits.shape[:-1], 1)
        chosen = cast("Tensor", _TokenLogProb.apply(logits, tokens))  # type: ignore[no-untyped-call]
        return chosen if self.combination == "mean" else chosen.sum(-1, keepdim=True)

    def _shares(
        self, terms: Float[Tensor, "layers batch nodes terms"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "layers batch nodes terms"]]:
        """The largest term of each passage, and all terms' probabilities relative to it."""
        if self.config.objective == "log_probability":
            return torch.zeros_like(self.scale), torch.ones_like(terms)
        largest = terms.amax((0, 2, 3))
        return largest, (terms - largest[:, None, None]).exp()
