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

STARTERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": ("The", "Therefore", "Because", "I", "You", "When", "In", "This", "It", "We"),
        "zh": ("因此", "因为", "我", "你", "当", "在", "这", "它", "我们", "他们"),
        "fr": ("Le", "Donc", "Parce que", "Je", "Vous", "Quand", "Dans", "Cette", "Il", "Nous"),
        "de": ("Die", "Deshalb", "Weil", "Ich", "Sie", "Wenn", "In", "Diese", "Es", "Wir"),
        "ja": (
            "それは",
            "したがって",
            "なぜなら",
            "私は",
            "あなたは",
            "この",
            "その",
            "彼は",
            "私たちは",
            "今日は",
        ),
        "ko": (
            "그것은",
            "따라서",
            "왜냐하면",
            "나는",
            "당신은",
            "이",
            "그",
            "우리는",
            "그녀는",
            "오늘은",
        ),
        "pt": ("O", "Portanto", "Porque", "Eu", "Você", "Quando", "Em", "Esta", "Ele", "Nós"),
        "ru": ("Это", "Поэтому", "Потому что", "Я", "Вы", "Когда", "В", "Этот", "Он", "Мы"),
        "it": ("Il", "Quindi", "Perché", "Io", "Tu", "Quando", "In", "Questa", "Lui", "Noi"),
        "es": (
            "El",
            "Por lo tanto",
            "Porque",
            "Yo",
            "Usted",
            "Cuando",
            "En",
            "Esta",
            "Él",
            "Nosotros",
        ),
        "pl": ("To", "Dlatego", "Ponieważ", "Ja", "Ty", "Kiedy", "W", "Ten", "On", "My"),
        "th": ("ดังนั้น", "เพราะ", "ฉัน", "คุณ", "เมื่อ", "ใน", "นี่", "มัน", "เรา", "เขา"),
    }
)
"""Words that texts begin with."""

SENTENCE_ENDS: Mapping[str, str] = MappingProxyType({"zh": "。", "ja": "。", "th": " "})
"""What stands between two sentences where it is not a full stop and a space."""
