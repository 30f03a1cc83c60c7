"""The vector search of ROME and MEMIT as it is printed: one text at a time, all of it, each step.

Adam is written out, and one vector is looked for after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from memla.facts import EditRequest
from memla.models.language_model import LanguageModel

ESSENCE = {"en": "{} is a", "zh": "{}是", "th": "{}เป็น", "ru": "{} — это"}


@dataclass
class Search:
    """Settings under the papers' names."""

    steps: int
    learning_rate: float
    weight_decay: float
    clamp: float
    kl_factor: float
    stop_loss: float
    essence: bool = True
    reversed_kl: bool = False


@dataclass
class Found:
    losses: list[float]
    deltas: list[Tensor]
    """One for each module."""
    starts: list[Tensor]


def token_of_character(model: LanguageModel, text: str, index: int) -> int:
    """The last token that covers a character."""
    offsets = model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    return max(token for token, (first, last) in enumerate(offsets) if first <= index < last)


def logits_with(
    model: LanguageModel,
    modules: Sequence[nn.Module],
    deltas: Sequence[Tensor],
    ids: Sequence[int],
    place: int,
) -> tuple[Tensor, list[Tensor]]:
    """Logits of one text with vectors added at a token, and what stood there before."""
    starts: list[Tensor] = [torch.empty(0)] * len(modules)

    def hook_for(number):
        def hook(_module, _args, output):
            table = output if isinstance(output, Tensor) else output[0]
            wide = table.reshape(1, len(ids), -1)
            starts[number] = wide[0, place].detach().clone()
            at_place = torch.zeros(1, len(ids), 1, dtype=wide.dtype)
            at_place[0, place] = 1
            changed = (wide + at_place * deltas[number].to(wide.dtype)).reshape(table.shape)
            return changed if isinstance(output, Tensor) else (changed, *output[1:])

        return hook

    handles = [module.register_forward_hook(hook_for(n)) for n, module in enumerate(modules)]
    try:
        logits = model.model(input_ids=torch.tensor([list(ids)])).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return logits.to(torch.promote_types(logits.dtype, torch.float32)), starts


def answer_texts(
    model: LanguageModel, request: EditRequest, prefixes: Sequence[str]
) -> list[tuple[tuple[int, ...], int, int]]:
    """Token ids, place of the subject's last token, and length of the prompt."""
    rows = []
    for prefix in prefixes:
        text = prefix + request.text
        answer = model.compose(text, request.target_new, request.language)
        last_character = len(prefix) + request.subject_span[1] - 1
        rows.append(
            (answer.ids, token_of_character(model, text, last_character), answer.prompt_length)
        )
    return rows


def loss_of(
    model: LanguageModel,
    modules: Sequence[nn.Module],
    deltas: Sequence[Tensor],
    norms: Sequence[Tensor],
    requests: Sequence[EditRequest],
    prefixes: Mapping[str, Sequence[str]],
    search: Search,
) -> Tensor:
    """The loss of one vector (or of one at each module) that the requests share."""
    zeros = [torch.zeros_like(delta) for delta in deltas]
    total = torch.zeros(())
    for request in requests:
        texts = answer_texts(model, request, prefixes.get(request.language, [""]))
        for ids, place, length in texts:
            logits, _ = logits_with(model, modules, deltas, ids, place)
            log_probs = logits.log_softmax(-1)
            scores = [log_probs[at - 1, ids[at]] for at in range(length, len(ids))]
            nll = -sum(scores) / len(scores)
            total = total + nll / len(texts) / len(requests)
        phrase = ESSENCE[request.language].replace("{}", request.subject)
        place = token_of_character(
            model, phrase, ESSENCE[request.language].index("{}") + len(request.subject) - 1
        )
        ids = model.tokenizer(phrase)["input_ids"]
        read = len(ids) - 1 if search.essence else place
        with torch.no_grad():
            before = logits_with(model, modules, zeros, ids, place)[0].log_softmax(-1)[read]
        after = logits_with(model, modules, deltas, ids, place)[0].log_softmax(-1)[read]
        first, second = (after, before) if search.reversed_kl else (before, after)
        kl = sum(first.exp() * (first - second))
        total = total + search.kl_factor * kl / len(requests)
    for delta, norm in zip(deltas, norms, strict=True):
        total = total + search.weight_decay * delta.norm() / norm**2
    return total


def find_vector(
    model: LanguageModel,
    modules: Sequence[nn.Module],
    requests: Sequence[EditRequest],
    prefixes: Mapping[str, Sequence[str]],
    search: Search,
) -> Found:
    """Adam (betas 0.9 and 0.999, epsilon 1e-8), each step clamped to the ball."""
    dtype = torch.promote_types(model.dtype, torch.float32)
    starts = []
    for request in requests:
        ids, place, _ = answer_texts(model, request, [""])[0]
        zero = [torch.zeros(model.d_model, dtype=dtype)] * len(modules)
        starts.append(
            [start.to(dtype) for start in logits_with(model, modules, zero, ids, place)[1]]
        )
    norms = [sum(own[n].norm() for own in starts) / len(starts) for n in range(len(modules))]
    deltas = [torch.zeros(model.d_model, dtype=dtype) for _ in modules]
    first = [torch.zeros_like(delta) for delta in deltas]
    second = [torch.zeros_like(delta) for delta in deltas]
    losses: list[float] = []
    for step in range(1, search.steps + 1):
        for delta in deltas:
            delta.requires_grad_()
        loss = loss_of(model, modules, deltas, norms, requests, prefixes, search)
        losses.append(loss.item())
        if loss.item() < search.stop_loss or step == search.steps:
            break
        gradients = torch.autograd.grad(loss, deltas)
        moved = []
        for delta, gradient, m, v, norm in zip(
            deltas, gradients, first, second, norms, strict=True
        ):
            m.mul_(0.9).add_(0.1 * gradient)
            v.mul_(0.999).add_(0.001 * gradient**2)
            scale = (v / (1 - 0.999**step)).sqrt() + 1e-8
            new = delta.detach() - search.learning_rate * (m / (1 - 0.9**step)) / scale
            if new.norm() > search.clamp * norm:
                new = new * (search.clamp * norm / new.norm())
            moved.append(new)
        deltas = moved
    return Found(losses, [delta.detach() for delta in deltas], starts[0])
