"""How well a model still reads text, and how far its answers to other facts have moved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

import torch
from jaxtyping import Float
from torch import Tensor

from memla.errors import ModelError
from memla.evaluation.downstream.material import HeldText
from memla.evaluation.downstream.scores import Measure, Measured
from memla.evaluation.downstream.windows import score_texts
from memla.models.language_model import LanguageModel


class Perplexity:
    """Perplexity of texts by language: exp of the mean negative log-likelihood of a token.

    Texts of a language count by their tokens, not each the same. ``bits_per_byte`` is of the same
    sum, per UTF-8 byte: it alone can be compared between languages and between tokenizers.
    """

    name: Measure = "perplexity"

    def __init__(self, texts: Sequence[HeldText], *, batch_size: int = 64) -> None:
        self._texts = _by_language(texts)
        self._batch_size = batch_size

    def measure(self, model: LanguageModel) -> Iterator[Measured]:
        """Both numbers for each language.

        Raises:
            ModelError: The model gives no numbers, or the perplexity is too large for one.
        """
        for language, texts in self._texts.items():
            parts = score_texts(model, texts, batch_size=self._batch_size)
            flat = [part for of_text in parts for part in of_text]
            nats = -math.fsum(part.joint for part in flat)
            per_token = nats / sum(len(part.token_log_probs) for part in flat)
            if per_token > 700:
                raise ModelError(f"a token of {language!r} has {per_token:.0f} nats")
            values = {
                "perplexity": math.exp(per_token),
                "bits_per_byte": nats / math.log(2) / sum(part.n_bytes for part in flat),
            }
            for metric, value in values.items():
                yield _number(self.name, language, metric, value, len(texts))


class Drift:
    """How far the next token has moved after prompts about facts that were never edited.

    ``kl`` is the Kullback-Leibler divergence KL(before || after) over the whole vocabulary, in
    nats, as a mean over prompts; ``first_token_kept`` is the share of prompts whose most likely
    next token stays. The distributions of the unedited model are held in memory: four bytes for
    each prompt and token of the vocabulary.
    """

    name: Measure = "drift"

    def __init__(
        self, prompts: Sequence[HeldText], unedited: LanguageModel, *, batch_size: int = 64
    ) -> None:
        self._prompts = _by_language(prompts)
        self._batch_size = batch_size
        self._before = {
            language: unedited.next_token_log_probs(texts, batch_size=batch_size)
            for language, texts in self._prompts.items()
        }

    def measure(self, model: LanguageModel) -> Iterator[Measured]:
        """Both numbers for each language.

        Raises:
            ModelError: The model gives no numbers, or rules out what was possible before.
        """
        for language, texts in self._prompts.items():
            before = self._before[language]
            after = model.next_token_log_probs(texts, batch_size=self._batch_size)
            divergences = divergence(before, after).tolist()
            if not math.isfinite(math.fsum(divergences)):
                raise ModelError(f"the divergence in {language!r} is not finite")
            kept = (before.argmax(-1) == after.argmax(-1)).double().tolist()
            for metric, values in (("kl", divergences), ("first_token_kept", kept)):
                mean = fmean(values)
                yield _number(self.name, language, metric, mean, len(texts), _stderr(values))


def divergence(
    before: Float[Tensor, "prompts vocab"], after: Float[Tensor, "prompts vocab"]
) -> Float[Tensor, " prompts"]:
    """KL(before || after) of each row of log-probabilities, in nats, at least 0."""
    p = before.double()
    terms = torch.where(p.isneginf(), 0.0, p.exp() * (p - after.double()))
    return terms.sum(-1).clamp(min=0)


def _by_language(texts: Sequence[HeldText]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in texts:
        found.setdefault(one.language, []).append(one.text)
    return found


def _number(
    name: Measure, language: str, metric: str, value: float, n: int, stderr: float | None = None
) -> Measured:
    return Measured(
        measure=name, language=language, metric=metric, value=value, before=None, n=n, stderr=stderr
    )


def _stderr(values: Sequence[float]) -> float | None:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
