"""Short phrases in every language that some editors put around a subject or before a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ESSENCE: Mapping[str, str] = MappingProxyType(
    {
        "en": "{} is a",
        "zh": "{}是",
        "fr": "{} est un",
        "de": "{} ist ein",
        "ja": "{}は",
        "ko": "{}은",
        "pt": "{} é um",
        "ru": "{} — это",
        "it": "{} è un",
        "es": "{} es un",
        "pl": "{} to",
        "th": "{}เป็น",
    }
)
"""The beginning of a sentence on what the subject is; what follows should survive an edit."""
