"""What edits broke beside the facts: perplexity, drift and tasks, before and after some edits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, geometric_mean

from memla.evaluation.downstream.scores import DownstreamScore
from memla.reports.drawing import Canvas, Figure, Number
from memla.reports.groups import Group, Method
from memla.reports.placing import cut_text
from memla.reports.tables import Entry, Table, source_name
from memla.reports.tradeoff import COLOURS

TITLES = {
    "perplexity": "perplexity of texts",
    "bits_per_byte": "bits per byte of texts",
    "kl": "drift of answers to facts never edited, KL in nats",
    "first_token_kept": "share of answers to facts never edited whose first token stays",
}
"""What measures are called; a metric of a task has the task's name before it."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 436.0, 270.0, 52.0, 12.0, 34.0, 44.0
KEY_ROW, TICKS, GROW = 18, 4, 1.3
"""Height of a line of the key, most marks on the upright axis, growth where there is room."""

BEFORE = 0
"""Stands for the unedited model where edits are counted."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What one number is of, whatever the language."""

    measure: str
    task: str | None
    metric: str

    @classmethod
    def of(cls, score: DownstreamScore) -> Quantity:
        """What a number is of."""
        return cls(score.measure, score.task, score.metric)

    @property
    def title(self) -> str:
        """Its name for a reader."""
        return f"{self.task}, {self.metric}" if self.task else TITLES.get(self.metric, self.metric)

    def mean(self, values: Iterable[float | None]) -> float | None:
        """The mean over languages; None where one of them is lost."""
        there = list(values)
        known = [value for value in there if value is not None]
        if not known or len(known) < len(there):
            return None
        is_ratio = self.metric == "perplexity" and min(known) > 0
        return geometric_mean(known) if is_ratio else fmean(known)


@dataclass(frozen=True, slots=True)
class Course:
    """One quantity of one method in the course of its edits."""

    method: Method
    source: str
    scores: tuple[DownstreamScore, ...]

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages of the texts or facts; none of a task."""
        return tuple(dict.fromkeys(one.language for one in self.scores if one.language is not None))

    def values(self, edits: int, language: str | None = None) -> list[float | None]:
        """Values after some edits, or before any: of each language and sequence, or of one."""
        chosen = [s for s in self.scores if language is None or s.language == language]
        if edits == BEFORE:
            return [one.before for one in chosen]
        return [one.value for one in chosen if one.edits == edits]


def damage_sections(
    group: Group,
) -> tuple[tuple[str, ...], list[tuple[Figure, Table | None]], list[Table]]:
    """Notes, figures with the same by language, and tables; empty where nothing was measured."""
    found: dict[Quantity, list[Course]] = {}
    for method in group.methods:
        for source in method.sources:
            for quantity, scores in _by_quantity(method, source).items():
                course = Course(method, source, tuple(scores))
                found.setdefault(quantity, []).append(course)
    figures = []
    for quantity, courses in found.items():
        if quantity.metric != "perplexity":
            for source in dict.fromkeys(course.source for course in courses):
                same = [course for course in courses if course.source == source]
                drawn = _chart(group, quantity, source, same)
                figures.append((drawn, _by_language(group, quantity, same)))
    tables = [_table(group, quantity, courses) for quantity, courses in found.items()]
    return _lost(found), figures, tables


def _by_quantity(method: Method, source: str) -> dict[Quantity, list[DownstreamScore]]:
    found: dict[Quantity, list[DownstreamScore]] = {}
    for run in method.runs:
        for score in run.downstream:
            if score.source == source:
                found.setdefault(Quantity.of(score), []).append(score)
    return found


def _lost(found: dict[Quantity, list[Course]]) -> tuple[str, ...]:
    """Why numbers are missing, each reason once."""
    reasons = {
        f"{course.method.label}, edited in {source_name(course.source)}, after {score.edits}"
        f" edits: {score.error}"
        for courses in found.values()
        for course in courses
        for score in course.scores
        if score.error is not None
    }
    return tuple(f"Not measured: {reason}" for reason in sorted(reasons))


def _moments(courses: Sequence[Course]) -> list[int]:
    return [BEFORE, *sorted({score.edits for course in courses for score in course.scores})]


def _moment(edits: int) -> str:
    return "before" if edits == BEFORE else f"after {edits}"


def _about(group: Group, quantity: Quantity, courses: Sequence[Course]) -> str:
    n = sorted({score.n for course in courses for score in course.scores})
    groups = sorted({len({score.group for score in course.scores}) for course in courses})
    means = ", mean over languages" if courses[0].languages else ""
    several = f", over {groups[-1]} sequences at most" if groups[-1] > 1 else ""
    shown = f"n {n[0]}" if len(n) == 1 else f"n {n[0]} to {n[-1]}"
    of = "documents" if quantity.task else "texts or questions of a language"
    return f"{means}{several}; {shown} {of}. {group.provenance}."


def _table(group: Group, quantity: Quantity, courses: Sequence[Course]) -> Table:
    moments = _moments(courses)
    rows = []
    for course in courses:
        values = [quantity.mean(course.values(edits)) for edits in moments]
        shown = [
            _number(value, course, edits) for value, edits in zip(values, moments, strict=True)
        ]
        rows.append((Entry(course.method.label), Entry(source_name(course.source)), *shown))
    return Table(
        f"{_heading(quantity)}, before and after some edits{_about(group, quantity, courses)}",
        ("editor", "edited in", *map(_moment, moments)),
        tuple(rows),
        numbers=len(moments),
    )


def _number(value: float | None, course: Course, edits: int) -> Entry:
    if value is None:
        return Entry("–", "lost" if course.values(edits) else "")
    errors = [one.stderr for one in course.scores if one.edits == edits and one.stderr is not None]
    is_one = len(course.values(edits)) == 1 and len(errors) == 1
    return Entry(f"{value:.3f}", f"± {errors[0]:.3f}" if is_one else "")


def _by_language(group: Group, quantity: Quantity, courses: Sequence[Course]) -> Table | None:
    languages = tuple(dict.fromkeys(name for course in courses for name in course.languages))
    if not languages:
        return None
    rows = []
    for course in courses:
        for edits in _moments([course]):
            values = [quantity.mean(course.values(edits, language)) for language in languages]
            shown = ("–" if value is None else f"{value:.3f}" for value in values)
            rows.append((course.method.label, _moment(edits), *shown))
    return Table(
        f"{_heading(quantity)} by language, edited in {source_name(courses[0].source)}"
        f"{_about(group, quantity, courses).replace(', mean over languages', '')}",
        ("editor", "edits", *languages),
        tuple(tuple(map(Entry, row)) for row in rows),
        numbers=len(languages),
    )


def _heading(quantity: Quantity) -> str:
    """The start of a caption; the name of a task is left as it is."""
    title = quantity.title
    return title if quantity.task else title[0].upper() + title[1:]


def _chart(group: Group, quantity: Quantity, source: str, courses: Sequence[Course]) -> Figure:
    """A line for each method over the number of edits."""
    moments = _moments(courses)
    lines = [[quantity.mean(course.values(edits)) for edits in moments] for course in courses]
    axes = _Axes.over(moments, [value for line in lines for value in line if value is not None])
    canvas = Canvas(
        WIDTH,
        HEIGHT + KEY_ROW * len(courses),
        f"{_heading(quantity)} after some edits",
        "A line for each editor, from the unedited model on the left to the most edits on the"
        " right. The tables below have the same numbers.",
        grow=GROW,
    )
    # In the smaller size a text that is not bold is about as wide as is reckoned.
    canvas.label(4, 16, cut_text(_heading(quantity), WIDTH - 8, 10))
    axes.draw(canvas)
    for number, (course, line) in enumerate(zip(courses, lines, strict=True)):
        ink = COLOURS[group.methods.index(course.method) % len(COLOURS)]
        _draw_line(canvas, axes, line, ink, course.method.label)
        y = HEIGHT + KEY_ROW * number + 8
        canvas.dot(LEFT, y - 4, ink)
        canvas.label(LEFT + 12, y, cut_text(course.method.label, WIDTH - LEFT - 20))
    return Figure(
        f"{_heading(quantity)}, edited in {source_name(source)}{_about(group, quantity, courses)}",
        canvas.svg(),
    )


def _draw_line(
    canvas: Canvas, axes: _Axes, line: Sequence[float | None], ink: str, label: str
) -> None:
    """Points and the lines between neighbours; a number that was lost leaves a gap."""
    spots = [None if value is None else axes.place(i, value) for i, value in enumerate(line)]
    for one, other in pairwise(spots):
        if one is not None and other is not None:
            canvas.path([one, other], stroke=ink, stroke_width="2")
    for spot, value, edits in zip(spots, line, axes.moments, strict=True):
        if spot is not None:
            canvas.dot(*spot, ink, f"{label}, {_moment(edits)}: {value:.3f}")


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where numbers stand in a chart."""

    moments: Sequence[int]
    low: float
    high: float
    step: float
    """Between two marks of the upright axis."""

    @classmethod
    def over(cls, moments: Sequence[int], values: Sequence[float]) -> _Axes:
        """Axes that have room for all values, marked at round numbers."""
        low, high = min(values, default=0.0), max(values, default=1.0)
        wide = max(high - low, abs(high) * 0.02, 1e-3)
        size = 10.0 ** math.floor(math.log10(wide / TICKS))
        step = next(size * one for one in (1, 2, 5, 10) if wide / (size * one) <= TICKS)
        first = step * math.floor(low / step)
        return cls(moments, first, step * math.ceil(max(high, first + step) / step), step)

    def place(self, index: int, value: Number) -> tuple[Number, Number]:
        """Where the value of a moment stands."""
        across = index / max(len(self.moments) - 1, 1) * 0.92 + 0.04
        up = (value - self.low) / (self.high - self.low)
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
        )

    def draw(self, canvas: Canvas) -> None:
        """Draw marks and their names."""
        for tick in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + tick * self.step
            _, y = self.place(0, value)
            canvas.line(LEFT, y, WIDTH - RIGHT, y, class_="grid")
            canvas.label(LEFT - 6, y + 4, f"{value:.6g}", text_anchor="end", class_="name")
        for index, edits in enumerate(self.moments):
            x, _ = self.place(index, self.low)
            name = _moment(edits).removeprefix("after ")
            canvas.label(x, HEIGHT - BOTTOM + 16, name, text_anchor="middle", class_="name")
        canvas.label((LEFT + WIDTH) / 2, HEIGHT - 8, "edits", text_anchor="middle")
