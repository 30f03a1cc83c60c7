"""Vector drawings that stand inside a page: plain SVG, every text escaped by the writer of XML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

Number = int | float
"""A length or place in user units; checks of types at run time tell the two apart."""

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")


def printable(text: str) -> str:
    """A text without what XML and HTML may not hold; line breaks are gone too."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", re.sub(r"[\t\n\r]+", " ", text))


SMALLEST = 0.82
"""How far a drawing may shrink: its smallest letters, of 11 units, are then still 9 pixels."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with what it shows, in words."""

    caption: str
    svg: str


class Canvas:
    """A drawing in the making, in user units.

    Args:
        width: Of the drawing.
        height: Of the drawing.
        title: Its name.
        description: What it shows, for who cannot see it.
        grow: How much larger than its user units it may be drawn where there is room.
    """

    def __init__(
        self,
        width: Number,
        height: Number,
        title: str,
        description: str,
        *,
        grow: Number = 1,
    ) -> None:
        self._root = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {width:g} {height:g}",
                "role": "img",
                "aria-label": printable(f"{title}. {description}"),
                "style": f"max-width:{width * grow:.0f}px;min-width:{width * SMALLEST:.0f}px",
            },
        )

    def rectangle(
        self, x: Number, y: Number, width: Number, height: Number, hint: str = "", **more: object
    ) -> None:
        """Add a rectangle, with what is shown when it is pointed at."""
        place = {"x": x, "y": y, "width": width, "height": height}
        self._add("rect", place | more, hint=hint)

    def dot(
        self, x: Number, y: Number, colour: str, hint: str = "", *, is_hollow: bool = False
    ) -> None:
        """Add a point, with what is shown when it is pointed at."""
        place = {"cx": x, "cy": y, "r": 5}
        hollow = {"r": 4, "fill": "#fff", "stroke": colour, "stroke_width": 2, "class_": "hollow"}
        self._add("circle", place | (hollow if is_hollow else {"fill": colour}), hint=hint)

    def label(self, x: Number, y: Number, text: str, **more: object) -> None:
        """Add a text."""
        self._add("text", {"x": x, "y": y} | more, text=text)

    def line(self, x1: Number, y1: Number, x2: Number, y2: Number, **more: object) -> None:
        """Add a line."""
        self._add("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2} | more)

    def path(self, corners: Iterable[tuple[Number, Number]], **more: object) -> None:
        """Add lines from corner to corner."""
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        self._add("polyline", {"points": points, "fill": "none"} | more)

    def _add(
        self, kind: str, attributes: Mapping[str, object], *, text: str = "", hint: str = ""
    ) -> None:
        """Add an element; underscores of names become hyphens, numbers are written short."""
        values = {
            name.strip("_").replace("_", "-"): f"{value:.6g}"
            if isinstance(value, float)
            else printable(str(value))
            for name, value in attributes.items()
        }
        element = ET.SubElement(self._root, kind, values)
        element.text = printable(text) or None
        if hint:
            ET.SubElement(element, "title").text = printable(hint)

    def svg(self) -> str:
        """The drawing as text."""
        return ET.tostring(self._root, encoding="unicode")
