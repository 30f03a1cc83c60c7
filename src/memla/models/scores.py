"""How likely a model finds an answer, token by token."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
