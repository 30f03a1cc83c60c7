"""How much of services is used, what that costs, and how much may be."""

from __future__ import annotations

import math

from pydantic import ConfigDict, Field

from memla.records import Record


class Usage(Record):
    """How much of a service was used."""

    requests: int = Field(default=0, ge=0)
    """Answered requests; attempts that failed before do not count."""
    characters: int = Field(default=0, ge=0)
    """Characters sent, as translation services count them."""
    input_tokens: int = Field(default=0, ge=0)
    """Tokens sent to a model."""
    output_tokens: int = Field(default=0, ge=0)
    """Tokens that a model wrote."""
    cost_micros: int = Field(default=0, ge=0)
    """Cost in millionths of the prices' currency, each answer's rounded up: whole numbers, whose
    sum does not depend on the order."""

    @property
    def cost(self) -> float:
        """Cost in the prices' currency."""
        return self.cost_micros / 1e6

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            requests=self.requests + other.requests,
            characters=self.characters + other.characters,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_micros=self.cost_micros + other.cost_micros,
        )


class Price(Record):
    """What a service costs, each for a million."""

    characters: float = Field(default=0.0, ge=0)
    """Of characters sent."""
    input_tokens: float = Field(default=0.0, ge=0)
    """Of tokens sent."""
    output_tokens: float = Field(default=0.0, ge=0)
    """Of tokens written."""

    def of(self, usage: Usage) -> int:
        """Cost of a usage, in millionths, rounded up."""
        return math.ceil(
            self.characters * usage.characters
            + self.input_tokens * usage.input_tokens
            + self.output_tokens * usage.output_tokens
        )


class Limits(Record):
    """Bounds of one build, all services and all its runs together; a request beyond is not sent."""

    model_config = ConfigDict(allow_inf_nan=False)

    requests: int | None = Field(default=50_000, ge=0)
    """Most requests that are answered; Wikidata's count."""
    characters: int | None = Field(default=1_000_000, ge=0)
    """Most characters sent to translation services."""
    tokens: int | None = Field(default=None, ge=0)
    """Most tokens sent to and written by models."""
    cost: float | None = Field(default=None, ge=0)
    """Most that may be spent, in the currency of the prices in ``[drafts]`` and
    ``[translation]``."""
