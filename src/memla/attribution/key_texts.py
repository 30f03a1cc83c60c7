"""Text whose keys are counted: in which languages, at which tokens, with which weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from memla.errors import DataError, SettingError
from memla.facts import EditRequest
from memla.languages import parse_language
from memla.models.language_model import LanguageModel
from memla.models.tokens import join, prompt_ids, subject_token_span

KeyPosition = Literal["all", "subject_last"]

WINDOW = 1024
"""Tokens of a text that are read at once: a longer text is cut."""


@dataclass(frozen=True, slots=True)
class KeyText:
    """A text whose keys are counted."""

    language: str
    text: str
    span: tuple[int, int] | None = None
    """Characters of the subject, end exclusive; only its last token needs them."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts in an order of their own, the weights of their languages, and their digest."""

    texts: tuple[KeyText, ...]
    mixture: Mapping[str, float]
    """Weight of each language; they sum to 1."""
    position: KeyPosition
    digest: str
    """SHA-256 of all of it."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """Tokens to read in one row, and the language whose keys they give."""

    ids: tuple[int, ...]
    language: str


def statement_texts(requests: Iterable[EditRequest]) -> tuple[KeyText, ...]:
    """Statements of facts with their true answers; those without one are left out."""
    return tuple(
        KeyText(
            request.language,
            request.text + join(request.text, request.language) + request.target_true,
            request.subject_span,
        )
        for request in requests
        if request.target_true is not None
    )


def corpus_of(
    texts: Iterable[KeyText],
    position: KeyPosition = "all",
    mixture: Mapping[str, float] | None = None,
) -> Corpus:
    """Sort the texts and weigh their languages; the order they come in plays no part.

    Args:
        texts: What is counted.
        position: All tokens, or only the last of each subject.
        mixture: Weights of the languages, of any sum; those it does not name are left out.
            Without it all languages weigh the same.

    Raises:
        DataError: There is no text, or none in a language that has a weight.
        SettingError: A language is unknown, or a weight is not positive.
    """
    known = [KeyText(parse_language(one.language), one.text, one.span) for one in texts if one.text]
    if not known:
        raise DataError(
            "there is no text to take key statistics of", hint="give a text that is not empty"
        )
    shares = _shares({one.language for one in known}, mixture)
    kept = sorted(
        (one for one in known if one.language in shares),
        key=lambda one: (one.language, one.text, one.span or (-1, -1)),
    )
    rows = [(one.language, one.text, one.span if position != "all" else None) for one in kept]
    said = json.dumps([position, WINDOW, shares, rows], ensure_ascii=True)
    return Corpus(tuple(kept), shares, position, hashlib.sha256(said.encode()).hexdigest())


def key_rows(model: LanguageModel, corpus: Corpus) -> list[KeyRow]:
    """The tokens of the texts: windows of all of them, or up to the subject's last token.

    Special tokens that the tokenizer puts before a text are counted, as the model always sees
    them.

    Raises:
        DataError: A text has no subject where its last token is wanted, or none has a token.
    """
    limit = getattr(model.model.config.get_text_config(), "max_position_embeddings", None)
    window = min(WINDOW, limit or WINDOW)
    rows = [row for one in corpus.texts for row in _rows(model, one, corpus.position, window)]
    silent = set(corpus.mixture) - {row.language for row in rows}
    if silent:
        raise DataError(f"the texts in {min(silent)!r} have no tokens", hint="give other text")
    return rows


def _rows(
    model: LanguageModel, one: KeyText, position: KeyPosition, window: int
) -> Iterable[KeyRow]:
    ids = prompt_ids(model.tokenizer, one.text)
    if position == "all":
        for start in range(0, len(ids), window):
            yield KeyRow(ids[start : start + window], one.language)
        return
    if one.span is None:
        raise DataError(
            f"text {one.text!r} has no subject, and only keys of subjects are counted",
            hint="give facts, or position 'all'",
        )
    _, stop = subject_token_span(model.tokenizer, one.text, one.span)
    yield KeyRow(ids[max(0, stop - window) : stop], one.language)


def _shares(found: set[str], mixture: Mapping[str, float] | None) -> dict[str, float]:
    """Weights that sum to 1, by language in alphabetical order."""
    given = {parse_language(code): share for code, share in (mixture or {}).items()}
    for code, share in given.items():
        if not 0 < share < float("inf"):
            raise SettingError(
                f"the weight of {code!r} is {share}", hint="give finite weights above 0"
            )
        if code not in found:
            raise DataError(
                f"there is no text in {code!r}, which has a weight",
                hint=f"there is text in {' '.join(sorted(found))}",
            )
    wanted = given or dict.fromkeys(found, 1.0)
    total = sum(wanted[code] for code in sorted(wanted))
    return {code: wanted[code] / total for code in sorted(wanted)}
