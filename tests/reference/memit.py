"""MEMIT's writing of given values, layer after layer: weights are written and whole texts read."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from memla.facts import EditRequest
from memla.models.architectures import submodule
from memla.models.language_model import LanguageModel


def write(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    prefixes: Sequence[Sequence[str]],
    targets: Tensor,
    layers: Sequence[int],
    *,
    covariance: Mapping[int, Tensor],
    weight: float,
    site: str,
    share: str,
) -> dict[int, Tensor]:
    """The change of W, [d_ff, d_model], in each layer."""
    copied = LanguageModel(copy.deepcopy(model.model), model.tokenizer)
    changes = {}
    for index, layer in enumerate(layers):
        keys, missing = [], []
        for request, before, target in zip(requests, prefixes, targets, strict=True):
            bare, _, _ = observe(copied, request, "", layer, layers[-1], site)
            others = [
                observe(copied, request, prefix, layer, layers[-1], site)[0]
                for prefix in before
                if prefix
            ]
            keys.append((bare + sum(others) / len(others)) / 2)
            _, present, output = observe(copied, request, "", layer, layers[-1], site)
            left = len(layers) - index
            part = (target - present) / (left if share == "linear" else left**0.5)
            if site == "block" and copied.architecture.mlp_norm:
                part = through_norm(copied, layer, output, part)
            missing.append(part)
        k, r = torch.stack(keys, dim=1).double(), torch.stack(missing, dim=1).double()
        system = weight * covariance[layer] + sum(torch.outer(key, key) for key in k.T)
        change = (r @ k.T @ torch.linalg.inv(system)).T
        copied.value_rows(layer).add_(change)
        changes[layer] = change
    return changes


def observe(
    model: LanguageModel, request: EditRequest, prefix: str, key_layer: int, layer: int, site: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Key and output of W_proj in one layer, and the value in another, at the subject's end."""
    text = prefix + request.text
    end = len((prefix + request.text[: request.subject_span[1]]).encode())
    lengths = [len(token) for token in model.tokenizer.tokenize(text)]
    token = next(i for i in range(len(lengths)) if sum(lengths[: i + 1]) >= end)
    caught: dict[str, Tensor] = {}

    def keep(name: str, value: Tensor | tuple[Tensor, ...]) -> None:
        stream = value[0] if isinstance(value, tuple) else value
        caught[name] = stream.reshape(len(lengths), -1)[token].clone()

    down = model.down_projection(key_layer)
    value: nn.Module = model.block(layer) if site == "block" else model.down_projection(layer)
    handles = [
        down.register_forward_hook(lambda _m, args, _o: keep("key", args[0])),
        down.register_forward_hook(lambda _m, _a, output: keep("output", output)),
        value.register_forward_hook(lambda _m, _a, output: keep("value", output)),
    ]
    with torch.no_grad():
        model.model(torch.tensor([model.tokenizer(text)["input_ids"]]))
    for handle in handles:
        handle.remove()
    return caught["key"], caught["value"], caught["output"]


def through_norm(model: LanguageModel, layer: int, output: Tensor, change: Tensor) -> Tensor:
    """Solve ``J d = change`` for the linear part of a norm of Gemma, entry by entry."""
    norm = submodule(model.block(layer), model.architecture.mlp_norm or "")
    assert norm is not None
    gain = 1 + norm.weight
    size = (sum(entry**2 for entry in output) / len(output)) ** 0.5
    damping = 1e-4 * (gain**2).mean()
    return torch.stack([size * g * c / (g**2 + damping) for g, c in zip(gain, change, strict=True)])
