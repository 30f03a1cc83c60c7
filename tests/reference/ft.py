"""Fine-tuning as its loop says it: one sequence at a time, whole models, Adam written out.

The weights themselves are replaced and no block is remembered. Both of ROME's losses are spelt out
token by token, and the bound is applied to each weight by comparing numbers.
"""

from __future__ import annotations

import torch
from torch.func import functional_call


def logits_with(model, updates, ids):
    """Logits of one row of tokens with W + update in place of W."""
    names = {id(value): name for name, value in model.model.named_parameters()}
    changed = {}
    for layer, update in updates.items():
        weight = model.down_projection(layer).weight
        turned = update if model.architecture.neuron_axis == 0 else update.T
        changed[names[id(weight)]] = weight + turned
    return functional_call(model.model, changed, (), {"input_ids": torch.tensor([ids])}).logits[0]


def answer_loss(model, updates, prompt, answer):
    """FT-M: mean over tokens of -log p(token | prompt, tokens before it)."""
    total = 0.0
    for index, token in enumerate(answer):
        logits = logits_with(model, updates, [*prompt, *answer[:index]])
        total = total - logits[-1].log_softmax(-1)[token]
    return total / len(answer)


def bag_loss(model, updates, prompt, answer):
    """FT-L: mean over tokens of -log p(token | prompt), whatever their order."""
    total = 0.0
    for token in answer:
        total = total - logits_with(model, updates, prompt)[-1].log_softmax(-1)[token]
    return total / len(answer)


def fine_tune(model, layers, pairs, loss, *, learning_rate, steps, epsilon):
    """Projected Adam (betas 0.9 and 0.999, 1e-8) on the sum of the pairs' losses.

    Args:
        model: A LanguageModel, of which only the HF model is run.
        layers: Whose second MLP matrices are trained.
        pairs: Prompt and answer of each request, as token ids.
        loss: ``answer_loss`` or ``bag_loss``.
        learning_rate: Adam's step.
        steps: Number of steps.
        epsilon: Bound on each entry of the updates, or None.

    Returns:
        Updates by layer [d_ff, d_model], and the loss before each step and at the end.
    """
    shape = model.d_ff, model.d_model
    updates = {layer: torch.zeros(shape, dtype=torch.float64) for layer in layers}
    first = {layer: torch.zeros(shape, dtype=torch.float64) for layer in layers}
    second = {layer: torch.zeros(shape, dtype=torch.float64) for layer in layers}
    losses = []
    for step in range(1, steps + 1):
        for update in updates.values():
            update.requires_grad_()
        total = sum(loss(model, updates, prompt, answer) for prompt, answer in pairs)
        losses.append(total.item())
        gradients = torch.autograd.grad(total, list(updates.values()))
        for layer, gradient in zip(layers, gradients, strict=True):
            update = updates[layer].detach()
            first[layer] = 0.9 * first[layer] + 0.1 * gradient
            second[layer] = 0.999 * second[layer] + 0.001 * gradient**2
            corrected = first[layer] / (1 - 0.9**step)
            scale = (second[layer] / (1 - 0.999**step)) ** 0.5 + 1e-8
            update = update - learning_rate * corrected / scale
            if epsilon is not None:
                update = torch.where(update > epsilon, epsilon, update)
                update = torch.where(update < -epsilon, -epsilon, update)
            updates[layer] = update
    total = sum(loss(model, updates, prompt, answer) for prompt, answer in pairs)
    return updates, [*losses, total.item()]
