"""How far an evaluation is: a line that changes, lines of JSON, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from memla.evaluation.results import Plan, Score

HEADLINE = ("ES", "NS")
"""Metrics that are shown as they come; of protocols without them, the first two."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which run of a recipe this is."""

    number: int
    """From 1."""
    of: int
    variant: str
    source: str

    def __str__(self) -> str:
        return f"run {self.number} of {self.of}, {self.variant}, {self.source}: "


@dataclass(slots=True)
class Progress:
    """What is known while an evaluation goes on.

    Args:
        metrics: What is shown.
        show: Called whenever something is new.
        place: Which run of a recipe it is, if it is one.
        clock: Seconds that never run backwards.
    """

    metrics: tuple[str, ...]
    show: Callable[[Progress], None]
    place: Place | None = None
    clock: Callable[[], float] = time.monotonic
    phase: str = ""
    done: int = 0
    total: int = 0
    _began: float = 0.0
    _last: float = 0.0
    _done_then: int = 0
    _sums: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0]))

    def __post_init__(self) -> None:
        self._began = self.clock()

    def on_score(self, score: Score) -> None:
        """Take a score into account."""
        if score.metric in self.metrics:
            self._sums[score.metric][0] += score.value
            self._sums[score.metric][1] += 1

    def on_progress(self, phase: str, done: int, total: int) -> None:
        """Take it that so many are done."""
        if phase != self.phase:
            # The first of a phase took the time since the last phase, or since the start.
            self.phase, self._done_then = phase, done - 1
            self._began = self._last if self.done else self._began
        self.done, self.total, self._last = done, total, self.clock()
        self.show(self)

    @property
    def per_second(self) -> float | None:
        """Cases in a second of this phase; those that were done before do not count."""
        seconds = self.clock() - self._began
        return (self.done - self._done_then) / seconds if seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Until this phase ends, if it goes on as it did."""
        rate = self.per_second
        return (self.total - self.done) / rate if rate else None

    @property
    def scores(self) -> dict[str, float]:
        """Means over prompts and targets of what was done now, in percent."""
        means = {metric: self._sums[metric] for metric in self.metrics if metric in self._sums}
        return {metric: 100 * total / count for metric, (total, count) in means.items()}

    def as_json(self) -> str:
        """One line for another program."""
        place: dict[str, object] = {}
        if (at := self.place) is not None:
            place = {"run": at.number, "runs": at.of, "variant": at.variant, "source": at.source}
        return json.dumps(
            {
                **place,
                "phase": self.phase,
                "done": self.done,
                "total": self.total,
                "per_second": _rounded(self.per_second),
                "seconds_left": _rounded(self.seconds_left),
                "scores": {name: round(value, 2) for name, value in self.scores.items()},
            }
        )

    def as_text(self) -> str:
        """Rate and scores for a reader."""
        rate, parts = self.per_second, []
        if rate:
            parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each")
        parts += [f"{name} {value:.1f}" for name, value in self.scores.items()]
        return "  ".join(parts)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


@contextmanager
def shown(plan: Plan, *, as_json: bool, place: Place | None = None) -> Iterator[Progress | None]:
    """Progress on stderr: as JSON where that is wanted, else for a terminal; None: neither."""
    known = plan.definition().metrics
    metrics = tuple(name for name in HEADLINE if name in known) or tuple(known[:2])
    if as_json:
        yield Progress(metrics, _write_line, place)
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with _bar(console) as show:
        yield Progress(metrics, show, place)


def _write_line(progress: Progress) -> None:
    sys.stderr.write(progress.as_json() + "\n")
    sys.stderr.flush()


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn())
    last = (TimeRemainingColumn(), TextColumn("{task.fields[more]}"))
    with Bar(*columns, *last, console=console, transient=True) as bar:
        tasks: dict[str, int] = {}

        def show(progress: Progress) -> None:
            phase = progress.phase
            if phase not in tasks:
                tasks[phase] = len(tasks)
                name = escape(f"{progress.place or ''}{phase}")
                bar.add_task(name, total=progress.total, completed=progress.done - 1, more="")
            bar.update(bar.task_ids[tasks[phase]], completed=progress.done, more=progress.as_text())

        yield show
