"""What can be wrong with one text of a benchmark, whatever record it stands in.

Each check returns a sentence that says what is wrong, or None.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import regex

from memla.languages import language_of

_ENTITY = regex.compile(r"&(?:[A-Za-z]{2,8}|#\d{1,6}|#x[0-9A-Fa-f]{1,6});")
_ODD_SPACE = regex.compile("[\u00a0\u2000-\u200b\u202f\u205f\u2060\ufeff]")
_CONTROL = regex.compile(r"[\p{Cc}\p{Co}\p{Cn}\uFFFD\u202A-\u202E\u2066-\u2069]")
_LETTER = regex.compile(r"[\p{L}\p{M}]")
_SEVERAL_SCRIPTS = {
    "Hans": r"\p{Han}",
    "Hant": r"\p{Han}",
    "Jpan": r"\p{Han}\p{Hiragana}\p{Katakana}ー",
    "Kore": r"\p{Hangul}",
    "Zyyy": r"\p{L}",
}
"""Letters of languages whose ISO 15924 code is no script of Unicode."""
_ENGLISH = {"the", "of", "which", "what", "where", "whose", "with", "and", "is", "was", "by"}
"""Words that show that a text was not translated."""
_NOT_ENGLISH = {"de": {"was"}, "pl": {"by"}}
"""Those of them that another language has as well."""
_LATIN_WORD = regex.compile(r"\p{Latin}+")
_FINAL = regex.compile(r"[.。!！;；…．｡]$")
_QUESTION = regex.compile(r"[?？¿؟]$")
_UNSPACED = ("zh", "ja", "ko", "th")
_NUMBER = regex.compile(r"\p{Nd}+")
_REMEMBERED = 1 << 14
"""Most results of a check that are kept: templates and names come again and again."""

SHARE_OF_OWN_SCRIPT = 0.5
"""Least share of a text's letters, names left out, that have to be of its language's script."""
LENGTH_RATIO = (0.2, 4.0)
"""Bounds of a text's width over the width of the English one."""
BUDDHIST_ERA_YEARS = 543


@lru_cache(_REMEMBERED)
def characters(text: str) -> str | None:
    """Characters that come from a copy or a web page, not from a writer."""
    if not unicodedata.is_normalized("NFC", text):
        return "is not in Unicode normalisation form C"
    # What the patterns find is not printable, but for two characters; that is quicker to see.
    if not text.isprintable() or "&" in text or "\ufffd" in text:
        for what, pattern in (
            ("an HTML entity", _ENTITY),
            ("a no-break or zero-width space", _ODD_SPACE),
            ("a control character", _CONTROL),
        ):
            if match := pattern.search(text):
                return f"has {what}, {match.group()!a}"
    if text != text.strip() or "  " in text:
        return "has a space at an end, or two in a row"
    return None


def without(text: str, names: Iterable[str]) -> str:
    """The text with the names taken out, longest first."""
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = text.replace(name, " ")
    return text


@lru_cache
def _own_letters(script: str) -> regex.Pattern[str]:
    letters = _SEVERAL_SCRIPTS.get(script, rf"\p{{{script}}}")
    return regex.compile(rf"[{letters}\p{{M}}]")


@lru_cache(_REMEMBERED)
def own_script(text: str, language: str) -> str | None:
    """Letters of another script than the language's; give the text without names."""
    letters = _LETTER.findall(text)
    own = _own_letters(language_of(language).script)
    share = len(own.findall("".join(letters))) / max(len(letters), 1)
    if letters and share < SHARE_OF_OWN_SCRIPT:
        return f"only {share:.0%} of its letters are of the language's script"
    return None


@lru_cache(_REMEMBERED)
def english_words(text: str, language: str) -> str | None:
    """Words that were left in English; give the text without names."""
    if language == "en":
        return None
    words = [word for word in _LATIN_WORD.findall(text) if len(word) > 1]
    if language_of(language).script == "Latn":
        wanted = _ENGLISH - _NOT_ENGLISH.get(language, set())
        words = [word for word in words if word.casefold() in wanted]
    else:
        words = [word for word in words if word.islower()]
    return f"has English words: {' '.join(words)}" if words else None


@lru_cache(_REMEMBERED)
def traditional(text: str, language: str) -> str | None:
    """Traditional characters in a text that should be in simplified ones.

    They are those that Big5, the code of traditional Chinese, has and GB 2312, that of simplified
    Chinese, lacks. Rare characters of names may be found as well.
    """
    if language != "zh":
        return None
    found = [
        letter
        for letter in text
        if letter.isalpha() and _encodes(letter, "big5") and not _encodes(letter, "gb2312")
    ]
    return f"has traditional characters: {' '.join(found)}" if found else None


@lru_cache(maxsize=1 << 16)
def _encodes(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def final_punctuation(text: str) -> str | None:
    """Punctuation that closes the sentence before the answer."""
    match = _FINAL.search(text)
    return f"ends with {match.group()!r}, so no answer can follow" if match else None


def question_mark(text: str, language: str) -> str | None:
    """The question mark of another language at the end of a bare question."""
    match = _QUESTION.search(text)
    wanted = language_of(language).question_mark
    if match and match.group() != wanted:
        usual = repr(wanted) if wanted else "no mark"
        return f"ends with {match.group()!r}; a question in {language!r} has {usual}"
    if match and language == "es" and "¿" not in text:
        return "lacks the '¿' that opens a question"
    return None


def contains(text: str, name: str, language: str) -> bool:
    """Whether the text has the name, as a word where words are set apart by spaces.

    Names of a single character are never found: they are part of too many words. Abbreviations of
    two or three capitals are found as they are: "LA" is not in "la capital", nor "IT" in "it".
    """
    if len(name) < 2:
        return False
    if len(name) > 3 or not name.isupper():
        text, name = text.casefold(), name.casefold()
    if name not in text or language in _UNSPACED:
        return name in text
    return regex.search(rf"(?<!\w){regex.escape(name)}(?!\w)", text) is not None


def numerals(text: str) -> tuple[int, ...]:
    """The numbers in a text, sorted, whatever digits they are written with."""
    return tuple(sorted(int(digits) for digits in _NUMBER.findall(text)))


@lru_cache(_REMEMBERED)
def other_numerals(text: str, english: str, language: str) -> str | None:
    """Numbers that differ from those of the English text; years of the Thai calendar are named."""
    mine, theirs = numerals(text), numerals(english)
    if mine == theirs:
        return None
    if language == "th" and mine == tuple(
        number + BUDDHIST_ERA_YEARS if number >= 1000 else number for number in theirs
    ):
        return f"counts years in the Buddhist era, {BUDDHIST_ERA_YEARS} more than the English text"
    return f"has the numbers {list(mine)}, the English text {list(theirs)}"


@lru_cache(maxsize=4096)
def width(text: str) -> int:
    """Columns of a text: two for a character of China, Japan or Korea, none for a mark."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


@lru_cache(_REMEMBERED)
def _columns(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) == "Mn":
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def odd_length(text: str, english: str) -> str | None:
    """A length that a translation of the English text hardly has."""
    low, high = LENGTH_RATIO
    ratio = width(text) / max(width(english), 1)
    if low <= ratio <= high:
        return None
    return f"is {ratio:.1f} times as long as the English text"
