"""A lean GPT-2 for training: logits only where they are needed, parameters under HF's names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional as nn


@dataclass(frozen=True)
class Shape:
    """Sizes of the network."""

    vocabulary: int = 12288
    d_model: int = 192
    layers: int = 6
    heads: int = 4
    positions: int = 96


class LeanGPT2:
    """GPT-2 with a tied head, matrices in bfloat16, everything else in float32."""

    def __init__(self, shape: Shape, generator: torch.Generator, device: str = "cpu") -> None:
        self.shape = shape
        d, residual = shape.d_model, 0.02 / math.sqrt(2 * shape.layers)

        def normal(*size: int, std: float = 0.02) -> Tensor:
            return torch.randn(*size, generator=generator) * std

        values = {
            "transformer.wte.weight": normal(shape.vocabulary, d),
            "transformer.wpe.weight": normal(shape.positions, d, std=0.01),
            "transformer.ln_f.weight": torch.ones(d),
            "transformer.ln_f.bias": torch.zeros(d),
        }
        for layer in range(shape.layers):
            block = f"transformer.h.{layer}."
            for name, rows, columns, std in (
                ("attn.c_attn", d, 3 * d, 0.02),
                ("attn.c_proj", d, d, residual),
                ("mlp.c_fc", d, 4 * d, 0.02),
                ("mlp.c_proj", 4 * d, d, residual),
            ):
                values[f"{block}{name}.weight"] = normal(rows, columns, std=std)
                values[f"{block}{name}.bias"] = torch.zeros(columns)
            for name in ("ln_1", "ln_2"):
                values[f"{block}{name}.weight"] = torch.ones(d)
                values[f"{block}{name}.bias"] = torch.zeros(d)
        self.parameters = {
            name: value.to(device).requires_grad_() for name, value in values.items()
        }

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Take over the weights of an earlier run."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(values[name])

    def hidden(
        self, ids: Tensor, *, mask: Tensor | None = None, masked_blocks: int = 0
    ) -> list[Tensor]:
        """Residual stream after each block, and last the normed one; each [batch, length, d].

        ``mask`` [batch, 1, length, length], True where attention may look, replaces the causal
        mask in the first ``masked_blocks`` blocks.
        """
        p, d, heads = self.parameters, self.shape.d_model, self.shape.heads
        batch, length = ids.shape
        stream = nn.embedding(ids, p["transformer.wte.weight"])
        stream = stream + p["transformer.wpe.weight"][:length]
        causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        states = []
        for layer in range(self.shape.layers):
            block = f"transformer.h.{layer}."
            joined = self._linear(self._norm(stream, block + "ln_1"), block + "attn.c_attn")
            query, key, value = joined.view(batch, length, 3, heads, d // heads).permute(
                2, 0, 3, 1, 4
            )
            visible = mask if mask is not None and layer < masked_blocks else causal
            mixed = _attend(query, key, value, visible)
            mixed = mixed.transpose(1, 2).reshape(batch, length, d)
            stream = stream + self._linear(mixed, block + "attn.c_proj")
            inner = self._linear(self._norm(stream, block + "ln_2"), block + "mlp.c_fc")
            inner = nn.gelu(inner, approximate="tanh")
            stream = stream + self._linear(inner, block + "mlp.c_proj")
            states.append(stream)
        states.append(self._norm(stream, "transformer.ln_f"))
        return states

    def logits(self, normed: Tensor) -> Tensor:
        """Scores of the next token, [..., vocabulary]."""
        head = self.parameters["transformer.wte.weight"].to(torch.bfloat16)
        return normed.to(torch.bfloat16) @ head.t()

    def loss(self, normed: Tensor, wanted: Tensor) -> Tensor:
        """Mean cross-entropy of the wanted tokens [n]; rows with -100 do not count."""
        head = self.parameters["transformer.wte.weight"]
        return HeadLoss.apply(normed, head, wanted)  # type: ignore[no-any-return]

    def _norm(self, x: Tensor, name: str) -> Tensor:
        p = self.parameters
        return nn.layer_norm(x, (self.shape.d_model,), p[name + ".weight"], p[name + ".bias"])

    def _linear(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.parameters[name + ".weight"], self.parameters[name + ".bias"]
        flat = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        out = torch.addmm(bias.to(torch.bfloat16), flat, weight.to(torch.bfloat16))
        return out.view(*x.shape[:-1], -1)


def _attend(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    """Plain attention: for texts of a dozen tokens, faster on a CPU than the fused kernel."""
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5)
    shares = scores.float().masked_fill(~visible, -1e9).softmax(dim=-1)
    return shares.to(value.dtype) @ value


class HeadLoss(torch.autograd.Function):
    """Tied head and cross-entropy in one, a few rows at a time so that scores stay in the cache."""

    ROWS = 192

    @staticmethod
    def forward(ctx: FunctionCtx, normed: Tensor, head: Tensor, wanted: Tensor) -> Tensor:  # type: ignore[override]
        """States [n, d], head [vocabulary, d], wanted tokens [n]; -100 marks rows to leave out."""
        counts = wanted >= 0
        number = counts.sum()
        states, table = normed.to(torch.bfloat16), head.to(torch.bfloat16)
        state_slope = torch.empty_like(states)
        head_slope = torch.zeros_like(head)
        total = normed.new_zeros(())
        for start in range(0, len(wanted), HeadLoss.ROWS):
            rows = slice(start, start + HeadLoss.ROWS)
            target = wanted[rows].clamp_min(0)[:, None]
            weight = counts[rows, None] / number
            scores = (states[rows] @ table.t()).float()
            chosen = scores.gather(1, target)
            peak = scores.amax(dim=1, keepdim=True)
            scores.sub_(peak).exp_()
            mass = scores.sum(dim=1, keepdim=True)
            total += ((mass.log() + peak - chosen) * weight).sum()
            scores.mul_(weight / mass)
            scores.scatter_add_(1, target, -weight)
            slope = scores.to(torch.bfloat16)
            state_slope[rows] = slope @ table
            head_slope += slope.t() @ states[rows]
        ctx.save_for_backward(state_slope, head_slope)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        """Both slopes are known since the forward pass."""
        state_slope, head_slope = ctx.saved_tensors
        return state_slope.float() * gradient, head_slope * gradient, None
