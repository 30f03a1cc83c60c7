"""What F1 counts: tokens of the model, tokens of one fixed tokenizer, or words."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from memla.errors import DataError, SettingError
from memla.languages import words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

F1Units = Literal["model_ids_bag", "model_ids_set", "bizsre_ids", "words", "words_ko_char"]
"""What F1 counts: tokens of the model as a multiset (as MKEB is written) or as a set (as its
authors' code does); tokens of one tokenizer that is the same for all models, as Bi-ZsRE does;
words and characters that are the same for every model; or these, with Korean by syllables."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer as text, and in tokens of the model it is about."""

    text: str
    ids: tuple[int, ...]


def f1_tokens(
    said: Said, language: str, units: F1Units, tokenizer: str | None = None
) -> Sequence[Hashable]:
    """What is counted of an answer.

    Args:
        said: The answer.
        language: Its language.
        units: What to count.
        tokenizer: ``tokenizer.json``, or the folder it is in; for ``bizsre_ids``.

    Raises:
        SettingError: The units need a tokenizer and there is none.
        DataError: The tokenizer cannot be read.
    """
    if units == "model_ids_bag":
        return said.ids
    if units == "model_ids_set":
        return sorted(set(said.ids))
    if units == "bizsre_ids":
        if tokenizer is None:
            raise SettingError(
                "f1_units 'bizsre_ids' needs a tokenizer that is the same for all models",
                hint="name its tokenizer.json with f1_tokenizer (--f1-tokenizer)",
            )
        ids: list[int] = (
            fixed_tokenizer(tokenizer).encode(said.text.strip(), add_special_tokens=False).ids
        )
        return ids
    return words(said.text, language, korean_syllables=units == "words_ko_char")


def tokenizer_file(path: str) -> Path:
    """The file of a tokenizer that is named by it or by its folder."""
    given = Path(path)
    return given / "tokenizer.json" if given.is_dir() else given


def tokenizer_digest(path: str) -> str:
    """SHA-256 of a tokenizer's file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return hashlib.sha256(tokenizer_file(path).read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            f"tokenizer {path!r} cannot be read: {error.strerror or error}",
            hint="name a tokenizer.json, or the folder it is in",
        ) from None


@lru_cache(maxsize=4)
def fixed_tokenizer(path: str) -> Tokenizer:
    """The tokenizer of a file, whatever model is evaluated.

    Raises:
        DataError: It cannot be read.
    """
    from tokenizers import Tokenizer  # reports of other units need none

    tokenizer_digest(path)
    try:
        return Tokenizer.from_file(str(tokenizer_file(path)))
    except Exception as error:  # tokenizers raises nothing more exact
        raise DataError(
            f"{path!r} is no tokenizer: {str(error).partition(chr(10))[0]}",
            hint="name a tokenizer.json, or the folder it is in",
        ) from None


def f1(predicted: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """Harmonic mean of precision and recall of two multisets, ``2|a ∩ b| / (|a| + |b|)``.

    Two empty ones agree; an empty one agrees with nothing else.
    """
    if not predicted and not gold:
        return 1.0
    return 2 * _common(predicted, gold) / (len(predicted) + len(gold))


def overlap_product(predicted: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """Precision times recall of two multisets, ``|a ∩ b|² / (|a| |b|)``: the first "F1" of Bi-ZsRE.

    It is below F1 unless both are 0 or 1. Two empty ones agree; an empty one agrees with nothing
    else.
    """
    if not predicted or not gold:
        return float(not predicted and not gold)
    return _common(predicted, gold) ** 2 / (len(predicted) * len(gold))


def _common(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    if first == second:
        return len(first)
    return (Counter(first) & Counter(second)).total()
