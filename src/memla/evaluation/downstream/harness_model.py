"""A model as lm-eval wants it; import this only where lm-eval is installed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from memla.errors import SettingError
from memla.evaluation.downstream.windows import beginning, fitted, positions, score_texts
from memla.models.generation import Generation
from memla.models.language_model import LanguageModel
from memla.models.tokens import decode

MAX_NEW_TOKENS = 256
"""Longest answer where a task does not say, as in lm-eval."""


class HarnessModel(LM):  # type: ignore[misc]
    """The model in memory, edited or not, asked through its scores of answers and its generation.

    Whatever an edit changes is in force here too, and nothing is written to disk. Requests are
    tokenised as lm-eval does for models of Hugging Face, except where the tokenizer would merge a
    context's end with the continuation: there the context keeps its own tokens.

    Args:
        model: The model.
        batch_size: Texts asked together.
    """

    def __init__(self, model: LanguageModel, batch_size: int = 64) -> None:
        super().__init__()
        self._model = model
        self._batch_size = batch_size

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Log-probability of each continuation, in nats, and whether greedy decoding gives it."""
        pairs = [self._pair(*request.args) for request in requests]
        scores = self._model.log_probs(
            [context for context, _ in pairs],
            [continuation for _, continuation in pairs],
            ["en"] * len(pairs),
            separator="none",
            batch_size=self._batch_size,
        )
        return [(score.joint, score.is_greedy) for score in scores]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Log-probability of each text from its first token on, in nats.

        A text that is too long is read in parts, each by itself.
        """
        texts = [str(request.args[0]) for request in requests]
        scores = score_texts(self._model, texts, batch_size=self._batch_size)
        return [math.fsum(part.joint for part in parts) for parts in scores]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Each context's greedy continuation, up to the first of its stops.

        Raises:
            SettingError: A task wants answers that are drawn at random.
        """
        wanted = [_wanted(request.args[1]) for request in requests]
        prompts = [
            fitted(self._model, str(request.args[0]) or beginning(self._model), "", spare=tokens)
            for request, (tokens, _) in zip(requests, self._within(wanted), strict=True)
        ]
        if not prompts:
            return []
        found = self._model.generate(
            prompts,
            max_new_tokens=[tokens for tokens, _ in self._within(wanted)],
            batch_size=self._batch_size,
        )
        return [
            self._until(generation, stops)
            for generation, (_, stops) in zip(found, wanted, strict=True)
        ]

    def _pair(self, context: str, continuation: str) -> tuple[str, str]:
        """Context and continuation; white space between them belongs to the continuation."""
        bare = context.rstrip()
        continuation = context[len(bare) :] + continuation
        if not bare:
            return beginning(self._model), continuation
        return fitted(self._model, bare, continuation), continuation

    def _within(self, wanted: Sequence[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
        """The same with numbers of tokens that leave the prompt at least half of the positions."""
        limit = positions(self._model)
        most = MAX_NEW_TOKENS if limit is None else limit // 2
        return [(tokens if limit is None else min(tokens, most), stops) for tokens, stops in wanted]

    def _until(self, generation: Generation, stops: Sequence[str]) -> str:
        """The text before the end of the text and before the first stop."""
        tokenizer = self._model.tokenizer
        ids = list(generation.token_ids)
        if tokenizer.eos_token_id in ids:
            ids = ids[: ids.index(tokenizer.eos_token_id)]
        text = decode(tokenizer, ids)
        for stop in stops:
            text = text.partition(stop)[0]
        return text


def _wanted(options: Mapping[str, Any]) -> tuple[int, list[str]]:
    """How many tokens a task wants at most, and what ends an answer."""
    if options.get("do_sample") and options.get("temperature", 1.0) != 0:
        raise SettingError(
            "a task draws its answers at random (do_sample), and memla decodes greedily",
            hint="set do_sample: false in the task's generation_kwargs",
        )
    until = options.get("until") or []
    stops = [until] if isinstance(until, str) else [str(stop) for stop in until]
    tokens = options.get("max_gen_toks") or options.get("max_new_tokens") or MAX_NEW_TOKENS
    return int(tokens), [stop for stop in stops if stop]
