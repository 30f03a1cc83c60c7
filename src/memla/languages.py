"""Languages: codes, names, how a prompt is joined to its answer, what a word is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import regex

from memla.errors import UnknownNameError

MKEB_LANGUAGES = ("en", "zh", "fr", "de", "ja", "ko", "pt", "ru", "it", "es", "pl", "th")
"""The languages of MKEB, in the order of the paper's tables."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language as memla needs to know it."""

    code: str
    """ISO 639-1 where there is one, else ISO 639-2."""
    script: str
    """ISO 15924: Latn, Cyrl, Hans, Jpan, Kore, Thai, ..."""
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


_CODE = regex.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_UNSPACED_SCRIPTS = frozenset({"Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"})
_QUESTION_MARKS = {"Arab": "؟", "Grek": ";", "Hans": "？", "Hant": "？", "Jpan": "？", "Thai": ""}


def find_language(code: str) -> Language | None:
    """A language by its code: one of MKEB's, or any other that Unicode CLDR knows.

    Capitals and underscores do not matter; three-letter codes and codes with a script or country
    (``eng``, ``zh-CN``, ``pt_BR``) mean the language, except that Chinese in traditional
    characters is a language of its own, ``zh-hant``. None: there is no such language.
    """
    wanted = code.strip().lower().replace("_", "-")
    return LANGUAGES.get(wanted) or _other_language(wanted)


def parse_language(code: str) -> str:
    """The code of a language as memla writes it: ``en`` for ``EN``, ``eng`` and ``en-GB``.

    Raises:
        UnknownNameError: There is no such language; the message suggests the nearest.
    """
    found = LANGUAGES.get(code) or find_language(code)
    if found is None:
        near = [known for known in LANGUAGES if code.strip().lower()[:2] == known]
        hint = f"did you mean {near[0]!r}? " if near else ""
        known = f"known: {' '.join(LANGUAGES)}, and by its ISO 639 code any other"
        raise UnknownNameError(f"there is no language {code!r}", hint=f"{hint}{known}")
    return found.code


def language_of(code: str) -> Language:
    """What memla knows of a language.

    Raises:
        UnknownNameError: There is no such language.
    """
    return find_language(code) or LANGUAGES[parse_language(code)]


def in_table_order(codes: Iterable[str]) -> tuple[str, ...]:
    """Codes without repeats: MKEB's languages in their tables' order, then the others by name."""
    found = set(codes)
    return (
        *(code for code in LANGUAGES if code in found),
        *sorted(code for code in found if code not in LANGUAGES),
    )


@lru_cache(maxsize=1024)
def _other_language(code: str) -> Language | None:
    if not _CODE.fullmatch(code):
        return None
    from babel import Locale  # 40 ms that a short command need not pay
    from babel.core import get_global

    first, *parts = code.split("-")
    known = get_global("language_aliases").get(first, first)
    if known not in Locale("en").languages:
        return None
    if known == "zh" and {"hant", "tw", "hk", "mo"} & set(parts):
        return Language("zh-hant", "Hant", separator="", question_mark="？")
    if known in LANGUAGES:
        return LANGUAGES[known]
    likely = get_global("likely_subtags").get(known, "").split("_")
    script = likely[1] if len(likely) > 1 else "Zyyy"
    separator = "" if script in _UNSPACED_SCRIPTS else " "
    return Language(known, script, separator, _QUESTION_MARKS.get(script, "?"))


def answer_separator(language: str) -> str:
    """What stands between a prompt and its answer in this language: one space, or nothing."""
    return language_of(language).separator


def language_name(code: str, in_language: str = "en") -> str:
    """Name of a language, in English or in any other: "Thai", "泰语", "ไทย".

    Raises:
        UnknownNameError: One of the two is not a language memla knows.
    """
    from babel import Locale  # 40 ms that a short command need not pay

    wanted = parse_language(code)
    name = Locale(parse_language(in_language)).languages.get(wanted.replace("-", "_"))
    return str(name) if name else wanted


ARTICLES = {"en": frozenset({"a", "an", "the"})}
"""Words that an answer may have or lack without being another answer."""

_REMOVED = regex.compile(r"[\p{P}\p{S}\p{C}]+")
_SPACE = regex.compile(r"\s+")
_UNSPACED = "".join(
    rf"\p{{scx={script}}}"
    for script in ("Han", "Hira", "Kana", "Bopo", "Thai", "Laoo", "Khmr", "Mymr")
)
_UNITS = regex.compile(rf"(?=[{_UNSPACED}])\X|(?:(?![{_UNSPACED}])\S)+")
_SINGLE = _UNSPACED + r"\p{scx=Hang}"
_UNITS_AND_SYLLABLES = regex.compile(rf"(?=[{_SINGLE}])\X|(?:(?![{_SINGLE}])\S)+")


@lru_cache(maxsize=8192)
def normalize_answer(text: str) -> str:
    """The text without what does not make it another answer: form, case, punctuation, spacing.

    NFKC, casefold, no punctuation, symbols or control characters, single spaces.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # NFKC splits the Thai vowel sara am, which would tear a syllable's marks apart.
    joined = folded.replace("\u0e4d\u0e32", "\u0e33")
    return " ".join(_REMOVED.sub("", _SPACE.sub(" ", joined)).split())


def words(text: str, language: str, *, korean_syllables: bool = False) -> tuple[str, ...]:
    """The units that answers are compared by, the same for every model.

    Scripts with spaces give words, Korean its eojeol, Han and kana single characters, Thai
    grapheme clusters. A text that mixes scripts is divided run by run, so "iPhone手机" is
    ``("iphone", "手", "机")``. English loses its articles unless nothing else would remain.

    Args:
        text: An answer.
        language: Its language.
        korean_syllables: Divide Hangul into syllables, so that a particle at the end of a name
            does not make it another word.
    """
    pattern = _UNITS_AND_SYLLABLES if korean_syllables else _UNITS
    units = tuple(pattern.findall(normalize_answer(text)))
    articles = ARTICLES.get(parse_language(language), frozenset())
    return tuple(unit for unit in units if unit not in articles) or units
