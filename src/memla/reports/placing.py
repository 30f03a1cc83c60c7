"""Where the labels of points go, so that none covers another, a point, or leaves the drawing."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memla.reports.drawing import Number

HEIGHT = 15.0
"""Of a label, in user units."""

RADII = (19, 23, 28, 36, 46, 58, 72, 90, 110, 135, 165, 200, 240, 290)
"""Distances from a point at which its label may stand; the nearest that is free is taken."""

ANGLES = (-45, 45, -135, 135, 0, 180, -90, 90, -22, 22, -67, 67, 157, -157, 112, -112)
"""Directions of a label from its point in degrees, clockwise from the right; the first is liked."""

POINT = 6.0
"""Radius around a point that stays free."""

Spot = tuple[Number, Number]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; ``y`` grows downwards."""

    left: Number
    top: Number
    right: Number
    bottom: Number

    @classmethod
    def around(cls, middle: Spot, width: Number, height: Number) -> Box:
        """A rectangle with this middle."""
        x, y = middle
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def overlaps(self, other: Box) -> bool:
        """Whether two rectangles have an area in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def is_inside(self, other: Box) -> bool:
        """Whether it does not leave another."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom


def text_width(text: str, size: Number = 12) -> float:
    """About how wide a text is drawn in bold, in user units; no font is looked at."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    marks = sum(unicodedata.combining(character) > 0 for character in text)
    return size * (1.05 * wide + 0.68 * (len(text) - wide - marks))


def cut_text(text: str, width: Number, size: Number = 12) -> str:
    """As much of a text as has room, with an ellipsis where something is left out."""
    if text_width(text, size) <= width:
        return text
    kept = text
    while kept and text_width(f"{kept}…", size) > width:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def place_labels(points: Sequence[Spot], texts: Sequence[str], bounds: Box) -> list[Spot]:
    """The middle of each label, as near to its point as the others leave room.

    Labels of points that have the most neighbours choose first. Where all room is taken, a label
    stands where it covers the least.
    """
    boxes = [Box.around(point, 2 * POINT, 2 * POINT) for point in points]
    order = sorted(range(len(points)), key=lambda i: (-_neighbours(points, i), i))
    taken: list[Box] = []
    spots: dict[int, Spot] = {}
    for index in order:
        width = text_width(texts[index]) + 4
        candidates = list(_candidates(points[index], width, bounds))
        spot = min(candidates, key=lambda s: _covered(s, width, (*taken, *boxes)), default=None)
        spots[index] = points[index] if spot is None else spot
        taken.append(Box.around(spots[index], width, HEIGHT))
    return [spots[index] for index in range(len(points))]


def _neighbours(points: Sequence[Spot], index: int) -> int:
    return sum(math.dist(points[index], other) < 3 * HEIGHT for other in points)


def _candidates(point: Spot, width: Number, bounds: Box) -> Iterator[Spot]:
    """Middles of a label inside the bounds, the nearest first."""
    for radius in RADII:
        for angle in ANGLES:
            across, down = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            # A wide label begins or ends at its spot, so that its near end is by the point.
            x = point[0] + radius * across + (width / 2 - HEIGHT / 2) * _sign(across)
            spot = (x, point[1] + radius * down)
            if Box.around(spot, width, HEIGHT).is_inside(bounds):
                yield spot


def _sign(value: Number) -> int:
    return 0 if abs(value) < 0.1 else int(math.copysign(1, value))


def _covered(spot: Spot, width: Number, taken: Sequence[Box]) -> int:
    """How many rectangles a label would overlap."""
    mine = Box.around(spot, width, HEIGHT)
    return sum(mine.overlaps(other) for other in taken)
