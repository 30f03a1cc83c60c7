"""Languages: codes, names, how a prompt is joined to its answer, what a word is."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import regex

from memla.errors import UnknownNameError

MKEB_LANGUAGES = ("en", "zh", "fr", "de", "ja", "ko", "pt", "ru", "it", "es", "pl", "th")
"""The languages of MKEB, in the order of the paper's tables."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language as memla needs to know it."""

    code: str
    """ISO 639-1."""
    script: str
    """ISO 15924: Latn, Cyrl, Hans, Jpan, Kore, Thai."""
    separator: str = " "
    """What stands between a prompt and its answer: a space, or nothing."""
    question_mark: str = "?"
    """How a question ends; empty where it has no mark."""


LANGUAGES = {
    language.code: language
    for language in (
        Language("en", "Latn"),
        Language("zh", "Hans", separator="", question_mark="？"),
        Language("fr", "Latn"),
        Language("de", "Latn"),
        Language("ja", "Jpan", separator="", question_mark="？"),
        Language("ko", "Kore"),
        Language("pt", "Latn"),
        Language("ru", "Cyrl"),
        Language("it", "Latn"),
        Language("es", "Latn"),
        Language("pl", "Latn"),
        Language("th", "Thai", separator="", question_mark=""),
    )
}


def parse_language(code: str) -> str:
    """The code of a known language, whatever its case.

    Raises:
        UnknownNameError: There is no such language; the message suggests the nearest.
    """
    wanted = code.strip().lower()
    if wanted not in LANGUAGES:
        near = [known for known in LANGUAGES if wanted[:2] == known]
        hint = f"did you mean {near[0]!r}? " if near else ""
        known = " ".join(LANGUAGES)
        raise UnknownNameError(f"there is no language {code!r}", hint=f"{hint}known: {known}")
    return wanted


def answer_separator(language: str) -> str:
    """What stands between a prompt and its answer in this language: one space, or nothing."""
    return LANGUAGES[parse_language(language)].separator


def language_name(code: str, in_language: str = "en") -> str:
    """Name of a language, in English or in any other: "Thai", "泰语", "ไทย".

    Raises:
        UnknownNameError: One of the two is not a language memla knows.
    """
    from babel import Locale  # 40 ms that a short command need not pay

    wanted = parse_language(code)
    name = Locale(parse_language(in_language)).languages.get(wanted)
    return str(name) if name else wanted


ARTICLES = {"en": frozenset({"a", "an", "the"})}
"""Words that an answer may have or lack without being another answer."""

_REMOVED = regex.compile(r"[\p{P}\p{S}\p{C}]+")
_UNSPACED = "".join(
    rf"\p{{scx={script}}}"
    for script in ("Han", "Hira", "Kana", "Bopo", "Thai", "Laoo", "Khmr", "Mymr")
)
_UNITS = regex.compile(rf"(?=[{_UNSPACED}])\X|(?:(?![{_UNSPACED}])\S)+")


def normalize_answer(text: str) -> str:
    """The text without what does not make it another answer: form, case, punctuation, spacing.

    NFKC, casefold, no punctuation, symbols or control characters, single spaces.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # NFKC splits the Thai vowel sara am, which would tear a syllable's marks apart.
    joined = folded.replace("\u0e4d\u0e32", "\u0e33")
    return " ".join(_REMOVED.sub("", regex.sub(r"\s+", " ", joined)).split())


def words(text: str, language: str) -> tuple[str, ...]:
    """The units that answers are compared by, the same for every model.

    Scripts with spaces give words, Korean its eojeol, Han and kana single characters, Thai
    grapheme clusters. A text that mixes scripts is divided run by run, so "iPhone手机" is
    ``("iphone", "手", "机")``. English loses its articles unless nothing else would remain.
    """
    units = tuple(_UNITS.findall(normalize_answer(text)))
    articles = ARTICLES.get(parse_language(language), frozenset())
    return tuple(unit for unit in units if unit not in articles) or units
