"""Speed of attribution: one pass over all layers and nodes against a loop over both.

The model is a random GPT-2 of the usual smallest size (12 layers, 124 million parameters). The loop
is what the equations say: for each layer and node the whole sequence, forwards and backwards. It is
timed twice: with the nodes of a layer as one batch, over all layers; and node by node, as
``tests/reference`` does it, in a sample of layers, from which the time for all layers is
extrapolated. Everything runs on one thread in this process. Prints JSON.

    python bench/attribution.py
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from memla.attribution.config import AttributionConfig
from memla.attribution.integrated_gradients import attribute_targets
from memla.attribution.quadrature import quadrature
from memla.attribution.targets import AttributionTarget, Passage
from memla.models.language_model import LanguageModel
from memla.models.tiny import tiny_tokenizer
from tests.reference.attribution import attribution

PROMPT_TOKENS = 12
SAMPLED_LAYERS = (0, 6)
CONFIG = AttributionConfig(baseline="zero", steps=20)


def random_gpt2() -> LanguageModel:
    """GPT-2's smallest size with seeded random weights, scaled so that logits are not flat."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(bos_token_id=None, eos_token_id=0))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(1.5)
    return LanguageModel(model, tiny_tokenizer(), name="random-gpt2-124m")


def one_pass(model: LanguageModel, prompt: list[int], token: int) -> tuple[torch.Tensor, float]:
    """Scores of the fast form and the logarithm of their unit."""
    last = len(prompt) - 1
    passage = Passage(tuple(prompt), (last,), ((last, token),))
    target = AttributionTarget((passage,), "mean", "en")
    (found,) = attribute_targets(model, [target], CONFIG)
    return found.scores, found.log_scale


def layer_by_layer(model: LanguageModel, prompt: list[int], token: int) -> torch.Tensor:
    """Scores by the loop over layers, with the nodes of a layer as one batch of sequences."""
    nodes, weights = quadrature(CONFIG.quadrature, CONFIG.steps)
    ids = torch.tensor([prompt]).repeat(len(nodes), 1)
    scores = torch.zeros(model.n_layers, model.d_ff)
    for layer in range(model.n_layers):
        module = model.down_projection(layer)
        caught: list[torch.Tensor] = []
        handle = module.register_forward_pre_hook(lambda _m, args, c=caught: c.append(args[0]))
        with torch.no_grad():
            model.model(input_ids=ids[:1], use_cache=False)
        handle.remove()
        actual = caught[0][0, -1]
        values = (nodes[:, None].float() * actual).requires_grad_()

        def replace(
            _module: object, args: tuple[torch.Tensor], v: torch.Tensor = values
        ) -> tuple[torch.Tensor]:
            return (torch.cat([args[0][:, :-1], v[:, None]], dim=1),)

        handle = module.register_forward_pre_hook(replace)
        logits = model.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1]
        handle.remove()
        (gradient,) = torch.autograd.grad(logits.softmax(-1)[:, token].sum(), values)
        scores[layer] = actual * (weights.float() @ gradient)
    return scores


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    model = random_gpt2()
    generator = torch.Generator().manual_seed(1)
    prompt = torch.randint(0, model.architecture.vocab_size, (PROMPT_TOKENS,), generator=generator)
    ids = prompt.tolist()
    with torch.no_grad():
        token = int(model.model(input_ids=prompt[None]).logits[0, -1].argmax())
    one_pass(model, ids, token)
    times = []
    for _ in range(3):
        start = time.process_time()
        scores, log_scale = one_pass(model, ids, token)
        times.append(time.process_time() - start)
    fast = min(times)
    start = time.process_time()
    slow = layer_by_layer(model, ids, token)
    batched = time.process_time() - start
    nodes, weights = quadrature(CONFIG.quadrature, CONFIG.steps)
    start = time.process_time()
    plain = attribution(
        model,
        ids,
        [token],
        semantics="teacher_forced",
        nodes=nodes.tolist(),
        weights=weights.tolist(),
        layers=SAMPLED_LAYERS,
    )
    sampled = time.process_time() - start
    single = sampled * model.n_layers / len(SAMPLED_LAYERS)
    found = scores.double() * math.exp(log_scale)
    rows = list(SAMPLED_LAYERS)
    result = {
        "model": "random GPT-2, 12 layers, 124M parameters, float32, one thread",
        "prompt_tokens": PROMPT_TOKENS,
        "nodes": CONFIG.steps,
        "time": "CPU seconds of this process",
        "one_pass_seconds": round(fast, 3),
        "layer_by_layer_seconds": round(batched, 3),
        "node_by_node_seconds": round(single, 3),
        "node_by_node_is": f"extrapolated from layers {rows} of {model.n_layers}",
        "ratio_layer_by_layer": round(batched / fast, 1),
        "ratio_node_by_node": round(single / fast, 1),
        "max_relative_difference_layer_by_layer": float(
            (found - slow.double()).abs().max() / slow.abs().max()
        ),
        "max_relative_difference_node_by_node": float(
            (found - plain)[rows].abs().max() / plain[rows].abs().max()
        ),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
