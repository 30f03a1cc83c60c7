"""Greedy decoding with a cache of keys and values.

Tokens that were generated are kept as ids from step to step. They are decoded to look for the end
of an answer and to show it, never to be tokenised again, which would corrupt characters that are
several tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import regex
import torch

from memla.errors import DataError
from memla.models.scores import check_finite
from memla.models.tokens import decode, prompt_ids

if TYPE_CHECKING:
    from memla.models.language_model import LanguageModel

SENTENCE_END = regex.compile(r"[。！？]|(?<=[\p{L}\p{M}\p{N}_]{3}|[\p{Hangul}\p{Thai}])[.!?](?=\s)")
"""Where a sentence ends; the full stop of an initial or of ``St.`` is none.

Korean and Thai have no such abbreviations of names, but names of one or two letters; a Thai name
can end in a mark, which is no letter.
"""


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model wrote."""

    token_ids: tuple[int, ...]
    """The tokens chosen, without the end-of-text token."""
    text: str
    """Their text; of an answer only its first sentence, on one line, without the end mark."""
    log_prob: float
    """Log-probability of the tokens given the prompt, in nats."""


@dataclass(slots=True)
class _Row:
    """One prompt while it is being continued."""

    prompt: tuple[int, ...]
    budget: int
    ids: list[int]
    log_prob: float = 0.0
    is_done: bool = False


def generate(
    model: LanguageModel,
    prompts: Sequence[str],
    *,
    max_new_tokens: int | Sequence[int],
    stop: Literal["length", "answer"] = "length",
    batch_size: int = 64,
) -> list[Generation]:
    """Continue each prompt with the most likely token again and again.

    Args:
        model: The model.
        prompts: Texts to continue.
        max_new_tokens: Number of tokens, one for all or one for each prompt.
        stop: ``length`` writes exactly that many; ``answer`` stops before at the end of the text,
            of the line or of the sentence.
        batch_size: Prompts continued together; it does not change the result.

    Raises:
        DataError: A prompt has no tokens, or there are not as many numbers as prompts.
        ModelError: The model's output is not finite.
    """
    budgets = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else max_new_tokens
    if len(budgets) != len(prompts) or any(budget < 1 for budget in budgets):
        raise DataError(
            f"{len(prompts)} prompts were given with max_new_tokens {max_new_tokens}",
            hint="give one positive number, or one for each prompt",
        )
    rows = []
    for prompt, budget in zip(prompts, budgets, strict=True):
        ids = prompt_ids(model.tokenizer, prompt)
        if not ids:
            raise DataError(f"prompt {prompt!r} has no tokens", hint="give a text to continue")
        rows.append(_Row(ids, budget, []))
    order = sorted(range(len(rows)), key=lambda i: (rows[i].budget, len(rows[i].prompt), i))
    for start in range(0, len(order), batch_size):
        _continue([rows[index] for index in order[start : start + batch_size]], model, stop)
    return [Generation(tuple(row.ids), _text(model, row.ids, stop), row.log_prob) for row in rows]


@torch.no_grad()
def _continue(rows: list[_Row], model: LanguageModel, stop: str) -> None:
    """Fill in the ids of one batch of rows."""
    ids, mask = model.pad([row.prompt for row in rows], side="left")
    cache = model.new_cache()
    while True:
        hidden = model.hidden_states(ids, mask, past_key_values=cache)[:, -1]
        scores, chosen = model.final_logits(hidden).float().log_softmax(-1).max(-1)
        check_finite(model, scores)
        for row, token, score in zip(rows, chosen.tolist(), scores.tolist(), strict=True):
            if not row.is_done:
                _append(row, token, score, model, stop)
        if all(row.is_done for row in rows):
            return
        ids = chosen[:, None]
        if mask is not None:
            mask = torch.cat([mask, torch.ones_like(ids)], dim=-1)


def _append(row: _Row, token: int, score: float, model: LanguageModel, stop: str) -> None:
    """Take one token into a row, and mark the row done if that was its last."""
    if stop == "answer" and token in _end_ids(model):
        row.is_done = True
        return
    row.ids.append(token)
    row.log_prob += score
    row.is_done = len(row.ids) >= row.budget
    if stop == "answer" and not row.is_done:
        text = decode(model.tokenizer, row.ids).lstrip()
        row.is_done = "\n" in text or SENTENCE_END.search(text) is not None


def _end_ids(model: LanguageModel) -> set[int]:
    settings = model.model.generation_config
    ends = None if settings is None else settings.eos_token_id
    listed = ends if isinstance(ends, list) else [ends]
    return {end for end in (*listed, model.tokenizer.eos_token_id) if end is not None}


def _text(model: LanguageModel, ids: list[int], stop: str) -> str:
    text = decode(model.tokenizer, ids)
    if stop == "length":
        return text
    line = text.strip().partition("\n")[0]
    end = SENTENCE_END.search(line + " ")
    return line[: end.start()].strip() if end else line
