"""Languages: codes, names, how a prompt is joined to its answer, what a word is."""

from __future__ import annotations

from dataclasses import dataclass

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
