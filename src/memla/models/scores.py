"""How likely a model finds an answer, token by token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from memla.errors import ModelError
from memla.models.tokens import TokenizedAnswer, decode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from memla.models.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class AnswerScore:
    """How likely a model finds an answer after a prompt."""

    token_log_probs: tuple[float, ...]
    """Log-probability of each token of the answer given all before it, in nats."""
    n_bytes: int
    """Length of the answer in UTF-8 bytes, without its separator."""
    boundary_merge: bool
    """Whether the tokenizer would have merged prompt and answer; see ``tokens.compose``."""
    is_greedy: bool
    """Whether greedy decoding gives exactly this answer: each token is the most likely one."""
    answer_ids: tuple[int, ...] = ()
    """Tokens of the answer as it follows this prompt, its separator included."""
    predicted_ids: tuple[int, ...] = ()
    """The most likely token at the place of each of them, given the right ones before it."""
    predicted: str = ""
    """Text of the predicted tokens."""

    @property
    def joint(self) -> float:
        """Log-probability of the whole answer, in nats."""
        return math.fsum(self.token_log_probs)

    @property
    def mean(self) -> float:
        """Log-probability per token, in nats."""
        return self.joint / len(self.token_log_probs)

    @property
    def first_token(self) -> float:
        """Log-probability of the first token, in nats."""
        return self.token_log_probs[0]

    @property
    def per_byte(self) -> float:
        """Log-probability per byte of text, in nats: comparable between tokenizers."""
        return self.joint / self.n_bytes

    @property
    def probability(self) -> float:
        """Probability of the whole answer, in [0, 1]."""
        return math.exp(self.joint)


def score_answer(
    tokenizer: PreTrainedTokenizerFast,
    answer: str,
    sequence: TokenizedAnswer,
    log_probs: Sequence[float],
    predicted_ids: Sequence[int],
) -> AnswerScore:
    """The score of an answer, from what one forward pass over it gave.

    Args:
        tokenizer: Turns the predicted tokens into text.
        answer: The answer, without its separator.
        sequence: The tokens that were read.
        log_probs: Log-probability of each token of the answer.
        predicted_ids: Most likely token at the place of each.
    """
    predicted = tuple(predicted_ids)
    return AnswerScore(
        token_log_probs=tuple(log_probs),
        n_bytes=len(answer.encode()),
        boundary_merge=sequence.boundary_merge,
        is_greedy=predicted == sequence.answer_ids,
        answer_ids=sequence.answer_ids,
        predicted_ids=predicted,
        predicted=decode(tokenizer, predicted),
    )


def check_finite(model: LanguageModel, log_probs: Tensor) -> None:
    """Make sure that what a model gave are numbers.

    Raises:
        ModelError: Some are not.
    """
    if not log_probs.isfinite().all():
        raise ModelError(
            f"{model.name} gives probabilities that are not finite in {model.dtype}",
            hint="load it in float32 or bfloat16, or check its weights",
        )
