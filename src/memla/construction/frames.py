"""Statements that need no grammar: a name, a noun, and the answer behind them.

The frames of a language differ in their words or in their order, not in punctuation alone: what
says the same words as the prompt is no paraphrase.
"""

from __future__ import annotations

from memla.facts import PLACEHOLDER

NOUN = "{noun}"
"""Where the relation's noun stands."""
_FRAMES = {
    "zh": ("{}的{noun}是", "{}（{noun}）：", "说到{}，其{noun}为"),
    "zh-hant": ("{}的{noun}是", "{}（{noun}）：", "說到{}，其{noun}為"),
    "ja": ("{}の{noun}は", "{}（{noun}）：", "{}について言えば、その{noun}は"),
    "ko": ("{}의 {noun}:", "{} ({noun}):", "{noun}, 곧 {}의 경우:"),
    "th": ("{noun}ของ{}คือ", "{} ({noun}):", "{} มี{noun}คือ"),
    "fr": ("{} — {noun} :", "{noun} ({}) :", "Sujet : {} ; {noun} :"),
    "de": ("{} — {noun}:", "{noun} ({}):", "Thema: {}; {noun}:"),
    "pt": ("{} — {noun}:", "{noun} ({}):", "Tema: {}; {noun}:"),
    "es": ("{} — {noun}:", "{noun} ({}):", "Tema: {}; {noun}:"),
    "it": ("{} — {noun}:", "{noun} ({}):", "Argomento: {}; {noun}:"),
    "pl": ("{} — {noun}:", "{noun} ({}):", "Temat: {}; {noun}:"),
    "ru": ("{} — {noun}:", "{noun} ({}):", "Тема: {}; {noun}:"),
}
_OTHERS = ("{} — {noun}:", "{noun} ({}):")


def frame(noun: str, language: str, number: int) -> str:
    """A statement up to its answer, with ``{}`` for the name.

    Args:
        noun: What the answer is to the name, such as "столица".
        language: Of the noun.
        number: Which frame, from 0; beyond the last they repeat.
    """
    frames = _FRAMES.get(language, _OTHERS)
    return frames[number % len(frames)].replace(NOUN, noun.replace(PLACEHOLDER, "").strip())
