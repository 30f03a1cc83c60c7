"""Causal tracing run by run: one sample, one layer, one token at a time, nothing shared."""

from __future__ import annotations

from contextlib import ExitStack

import torch

from memla.attribution.traced_runs import embedding_module, site_module
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel


def probability(model: LanguageModel, ids: tuple[int, ...], prompt_length: int, changes) -> float:
    """Of the answer after the prompt, with hooks ``changes``: (module, function of its output)."""

    def hook_for(change):
        def hook(_module, _args, output):
            value = output if isinstance(output, torch.Tensor) else output[0]
            shape = value.shape
            changed = change(value.reshape(1, len(ids), -1).clone()).reshape(shape)
            return changed if isinstance(output, torch.Tensor) else (changed, *output[1:])

        return hook

    with ExitStack() as stack, torch.no_grad():
        for module, change in changes:
            stack.callback(module.register_forward_hook(hook_for(change)).remove)
        logits = model.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    probabilities = logits.double().softmax(-1)
    product = 1.0
    for place in range(prompt_length, len(ids)):
        product *= float(probabilities[place - 1, ids[place]])
    return product


def clean_states(model: LanguageModel, ids: tuple[int, ...], site: str) -> list[torch.Tensor]:
    """What the site of each layer returns in the clean run: [tokens, d_model] by layer."""
    caught: dict[int, torch.Tensor] = {}

    def catching(layer):
        def catch(value):
            caught[layer] = value[0].clone()
            return value

        return catch

    changes = [
        (site_module(model, site, layer), catching(layer)) for layer in range(model.n_layers)
    ]
    probability(model, ids, len(ids), changes)
    return [caught[layer] for layer in range(model.n_layers)]


def indirect_effects(
    model: LanguageModel,
    request: EditRequest,
    span: tuple[int, int],
    noise: torch.Tensor,
    site: str,
    window: int,
) -> tuple[float, float, torch.Tensor]:
    """Clean and corrupted probability, and the effect of each token (from the subject on)."""
    sequence = model.compose(request.text, request.target_true, request.language)
    ids, length = sequence.ids, sequence.prompt_length
    states = clean_states(model, ids, site)
    layers = range(model.n_layers)

    def corruption(sample):
        def corrupt(value):
            value[0, span[0] : span[1]] += noise[sample]
            return value

        return embedding_module(model), corrupt

    def restoration(layer, token):
        def restore(value):
            value[0, token] = states[layer][token]
            return value

        return site_module(model, site, layer), restore

    clean = probability(model, ids, length, [])
    samples = range(len(noise))
    corrupted = [probability(model, ids, length, [corruption(sample)]) for sample in samples]
    effects = torch.zeros(length - span[0], model.n_layers)
    for layer in layers:
        low = layer - window // 2
        near = (
            [layer] if site == "block" else [at for at in range(low, low + window) if at in layers]
        )
        for token in range(span[0], length):
            restored = [
                probability(
                    model,
                    ids,
                    length,
                    [corruption(sample), *(restoration(at, token) for at in near)],
                )
                for sample in samples
            ]
            gained = (after - before for after, before in zip(restored, corrupted, strict=True))
            effects[token - span[0], layer] = sum(gained) / len(noise)
    return clean, sum(corrupted) / len(corrupted), effects
