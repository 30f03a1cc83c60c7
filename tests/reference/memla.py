"""MEMLA's equations 5 to 8 as they are printed: slow, dense, one sequence at a time.

Here the update of a layer is the whole product of two matrices, ``d_ff`` rows and all, times a
mask of the same size; the weights themselves are replaced; Adam is written out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from memla.models.language_model import LanguageModel


@dataclass
class DenseEditor:
    """One LoRA editor of a layer and its mask, all of full size."""

    layer: int
    up: Tensor
    down: Tensor
    mask: Tensor

    def update(self) -> Tensor:
        """Eq. 7: the product, entry by entry times the mask."""
        return (self.up @ self.down) * self.mask


def dense_editor(
    model: LanguageModel,
    layer: int,
    neurons: Sequence[int],
    *,
    masked: bool,
    zero_side: str,
    rank_per_neuron: int,
    spread: float | None,
    generator: torch.Generator,
) -> DenseEditor:
    """Full-size factors of rank n |S| (eq. 5); the Gaussian one is drawn in float32."""
    rank = rank_per_neuron * len(neurons)
    deviation = rank**-0.5 if spread is None else spread
    mask = torch.full((model.d_ff, model.d_model), 0.0 if masked else 1.0, dtype=torch.float64)
    mask[list(neurons)] = 1.0
    if zero_side == "neurons":
        up = torch.zeros(model.d_ff, rank, dtype=torch.float64)
        down = (torch.randn(rank, model.d_model, generator=generator) * deviation).double()
    else:
        up = (torch.randn(rank, model.d_ff, generator=generator) * deviation).double().T.clone()
        down = torch.zeros(rank, model.d_model, dtype=torch.float64)
    return DenseEditor(layer, up, down, mask)


def edited_logits(
    model: LanguageModel, updates: Mapping[int, Tensor], ids: Sequence[int]
) -> Tensor:
    """Eq. 8 with c = 1: logits of one row of tokens with W + update in place of W."""
    names = {id(value): name for name, value in model.model.named_parameters()}
    changed = {}
    for layer, update in updates.items():
        weight = model.down_projection(layer).weight
        turned = update if model.architecture.neuron_axis == 0 else update.T
        changed[names[id(weight)]] = weight + turned
    rows = torch.tensor([ids])
    output: Tensor = functional_call(model.model, changed, (), {"input_ids": rows}).logits
    return output[0]


def answer_log_prob(logits: Tensor, prompt_length: int, ids: Sequence[int]) -> Tensor:
    """Log-probability of the tokens after the prompt, summed."""
    log_probs = logits.log_softmax(-1)
    places = range(prompt_length, len(ids))
    return torch.stack([log_probs[place - 1, ids[place]] for place in places]).sum()


def summed(editors: Sequence[DenseEditor], updates: Sequence[Tensor]) -> dict[int, Tensor]:
    """The update of each layer: that of its editors together."""
    by_layer: dict[int, Tensor] = {}
    for editor, update in zip(editors, updates, strict=True):
        by_layer[editor.layer] = by_layer.get(editor.layer, torch.zeros(())) + update
    return by_layer


def train_dense(
    editors: Sequence[DenseEditor],
    loss_of: Callable[[Mapping[int, Tensor]], Tensor],
    *,
    learning_rate: float,
    steps: int,
) -> tuple[dict[int, Tensor], list[float]]:
    """Adam (betas 0.9 and 0.999, epsilon 1e-8) on all entries of all factors."""
    factors = [factor for editor in editors for factor in (editor.up, editor.down)]
    first = [torch.zeros_like(factor) for factor in factors]
    second = [torch.zeros_like(factor) for factor in factors]
    losses = []
    for step in range(1, steps + 1):
        for factor in factors:
            factor.requires_grad_()
        loss = loss_of(summed(editors, [editor.update() for editor in editors]))
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, factors)
        with torch.no_grad():
            for factor, gradient, m, v in zip(factors, gradients, first, second, strict=True):
                m.mul_(0.9).add_(0.1 * gradient)
                v.mul_(0.999).add_(0.001 * gradient**2)
                corrected = m / (1 - 0.9**step)
                scale = (v / (1 - 0.999**step)).sqrt() + 1e-8
                factor.sub_(learning_rate * corrected / scale)
    with torch.no_grad():
        updates = summed(editors, [editor.update() for editor in editors])
        losses.append(loss_of(updates).item())
    return {layer: update.detach() for layer, update in updates.items()}, losses
