"""A toy translator: made-up words in the right script, real names, the answer where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import regex

_SYLLABLES = {
    "zh": "天地山水人心日月风云花鸟江河海空光明",
    "ja": "あいうえおかきくけこさしすせそたちつてとなにぬねの",
    "ko": "가나다라마바사아자차카타파하거",
    "th": ["กา", "ขา", "คา", "งา", "จา", "ชา", "ดา", "ตา", "นา", "บา"],
    "ru": ["ба", "ве", "ги", "до", "жу", "ла", "ме", "ни", "ро", "ся"],
}
_LATIN = ["ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su"]
_JOINED = {"zh", "ja", "th"}
_STOP = {"zh": "。", "ja": "。", "th": ""}
_ASK = {"zh": "？", "ja": "？", "th": ""}


def toy_translation(text: str, language: str, names: Mapping[str, str] | None = None) -> str:
    """The text in a made-up version of a language.

    Args:
        text: In English.
        language: Wanted.
        names: What names are called there; words with capitals or digits inside stay as they are.
    """
    known = names or {}
    ends = ""
    while text and text[-1] in ".?:":
        ends, text = text[-1] + ends, text[:-1]
    listed = "|".join(regex.escape(name) for name in sorted(known, key=len, reverse=True))
    pattern = rf"(?<!\w)(?:{listed})(?!\w)|" if known else ""
    parts = regex.findall(pattern + r"<[^>]*>|\{\w*\}|[\w'’-]+", text)
    words = [known.get(part) or _word(part, language) for part in parts]
    joined = ("" if language in _JOINED else " ").join(words)
    return joined + {".": _STOP.get(language, "."), "?": _ASK.get(language, "?")}.get(ends, ends)


def _word(word: str, language: str) -> str:
    if word[0] in "<{" or regex.search(r"\d|(?<=\w)\p{Lu}", word):
        return word
    syllables = _SYLLABLES.get(language, _LATIN)
    digest = hashlib.sha256(word.casefold().encode()).digest()
    count = 1 if len(word) < 4 or language == "zh" else 2
    return "".join(syllables[byte % len(syllables)] for byte in digest[:count])
