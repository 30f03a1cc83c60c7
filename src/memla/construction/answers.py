"""What a web service sends back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from memla.errors import ServiceError


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service sent back, whole; secrets in it are hidden."""

    service: str
    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)
    """By name in small letters."""

    def json(self) -> Any:  # noqa: ANN401
        """The text, read as JSON.

        Raises:
            ServiceError: It is not JSON.
        """
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise ServiceError(f"{self} is not JSON") from None

    @property
    def retry_after(self) -> float | None:
        """Seconds that ``Retry-After`` asks for, as a number or a date; None: it does not say."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdecimal():
            return float(value)
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())

    def __str__(self) -> str:
        shown = " ".join(self.text.split())
        shown = shown if len(shown) <= 200 else shown[:200] + "..."
        return f"the answer of {self.service!r} (status {self.status}) {shown!r}"
