"""Draw what ``memla demo`` shows.

memla demo --json | python -m tools.picture docs/images/demo.svg
"""

from __future__ import annotations

import json
import sys
from html import escape
from pathlib import Path
from typing import Any

from memla.languages import language_name

ROW, LEFT, WIDTH, RIGHT = 26, 96, 300, 330
OLD, NEW, SPAN, INK, PALE = "#b0b7c3", "#1f6feb", "#b6d0f7", "#24292f", "#eaeef2"
FONT = "font-family=\"system-ui, 'Noto Sans', 'Noto Sans CJK SC', 'Noto Sans Thai', sans-serif\""


def draw(shown: dict[str, Any]) -> str:
    """An SVG: for each language, the new answer's probability before and after, and the answers."""
    languages: dict[str, Any] = shown["languages"]
    height = 86 + ROW * len(languages)
    fact = shown["fact"]
    asked = fact["prompt"].replace("{}", fact["subject"])
    title = f"{asked} {fact['target_true']} → {fact['target_new']}"
    box = f"0 0 {LEFT + WIDTH + RIGHT} {height}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" {FONT}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="#ffffff" stroke="{PALE}"/>',
        _text(16, 28, title, size=15, weight="600"),
        _text(16, 50, _subtitle(shown), size=12, fill="#57606a"),
    ]
    for row, (code, change) in enumerate(languages.items()):
        y = 78 + ROW * row
        before, after = change["before"], change["after"]
        name = language_name(code) + (" *" if code == shown["source_language"] else "")
        start = LEFT + 8
        x_before, x_after = start + WIDTH * before["p_new"], start + WIDTH * after["p_new"]
        parts += [
            _text(16, y + 4, name, size=12),
            _line(start, start + WIDTH, y, PALE),
            _line(x_before, x_after, y, SPAN),
            f'<circle cx="{x_before:.1f}" cy="{y}" r="5" fill="{OLD}"/>',
            f'<circle cx="{x_after:.1f}" cy="{y}" r="6" fill="{NEW}"/>',
            _text(start + WIDTH + 20, y + 4, f"{before['answer']} → {after['answer']}", size=12),
        ]
    return "\n".join([*parts, "</svg>", ""])


def _subtitle(shown: dict[str, Any]) -> str:
    source = language_name(shown["source_language"])
    return (
        f"edited in {source} (*) in {shown['seconds']:.1f} s; grey: probability of the new answer "
        "before, blue: after"
    )


def _line(start: float, end: float, y: float, color: str) -> str:
    return (
        f'<line x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}" stroke="{color}" '
        'stroke-width="6" stroke-linecap="round"/>'
    )


def _text(x: float, y: float, text: str, *, size: int, weight: str = "400", fill: str = INK) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{fill}">'
        f"{escape(text)}</text>"
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(draw(json.load(sys.stdin)), "utf-8")
