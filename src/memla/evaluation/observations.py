"""What a model said, as it is stored; reading it needs no model."""

from __future__ import annotations

from typing import Literal

from memla.facts import Probe
from memla.records import Record

Decoding = Literal["gold_length", "until_stop"]
"""How long a model's own answer is: as many tokens as the right answer, or until it stops."""


class Likelihood(Record):
    """How probable an answer is to a model, in nats, in every normalisation in use."""

    joint: float
    """Summed over the answer's tokens: the logarithm of P(y|x)."""
    mean: float
    """Per token, as ROME and MEMIT compare answers."""
    first_token: float
    """Of the first token alone."""
    per_byte: float
    """Per byte of UTF-8, which no tokenizer decides."""
    n_tokens: int
    is_greedy: bool
    """Whether greedy decoding gives exactly this answer."""
    boundary_merge: bool
    """Whether the tokenizer joins the prompt's end and the answer's start."""


class Observation(Record):
    """What a model said to one probe."""

    probe: Probe
    answer: Likelihood | None = None
    """Of the probe's right answer; only for edit and paraphrase probes."""
    contrast: Likelihood | None = None
    """Of the answer it competes with, if there is one."""
    predicted: str
    """The model's own greedy answer."""
    predicted_ids: tuple[int, ...]
    """The same in tokens of the model."""
    gold_ids: tuple[int, ...]
    """Tokens of the right answer, with what separates it from the prompt."""
