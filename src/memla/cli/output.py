"""What commands write: results on stdout, progress on stderr while somebody watches."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def text(value: str) -> str:
    """A text from a model or a file, with nothing in it that formats or steers the terminal."""
    return escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", value))


def write_json(value: object) -> None:
    """One line of JSON on stdout."""
    Console(soft_wrap=True, highlight=False, markup=False, emoji=False).print(
        json.dumps(value, ensure_ascii=False)
    )


def write(*lines: object) -> None:
    """Lines or tables on stdout."""
    console = Console(highlight=False, emoji=False)
    for line in lines:
        console.print(line)


def write_unbroken(line: str) -> None:
    """A line on stdout that is not wrapped, as it has a path or a command that is copied."""
    Console(soft_wrap=True, highlight=False, emoji=False).print(text(line))


def note(line: str) -> None:
    """A line on stderr."""
    Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True).print(line)


def table(title: str, *columns: str, numbers: int = 0) -> Table:
    """An empty table; its last ``numbers`` columns are aligned at the right."""
    made = Table(
        title=text(title), title_justify="left", title_style="bold", min_width=cell_len(title)
    )
    for index, column in enumerate(columns):
        right = index >= len(columns) - numbers
        made.add_column(column, justify="right" if right else "left", overflow="fold")
    return made


def count(number: int, what: str) -> str:
    """A number of things: "1 error", "2 errors"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def window_width() -> int:
    """Columns of the terminal, or of the text when there is none."""
    return Console().width


def percent(probability: float | None) -> str:
    """A probability in [0, 1] for a reader: "84.0 %", "< 0.1 %"."""
    if probability is None:
        return ""
    return f"{_in_percent(probability)} %"


def percent_change(before: float | None, after: float | None) -> str:
    """How a probability in [0, 1] changed, under a head with the unit: "< 0.1 → 98.0"."""
    if before is None or after is None:
        return ""
    return f"{_in_percent(before)} → {_in_percent(after)}"


def _in_percent(probability: float) -> str:
    return f"{100 * probability:.1f}" if probability >= 0.001 else "< 0.1"


@contextmanager
def status(doing: str) -> Iterator[None]:
    """Say what takes time, while it does and if stderr is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(escape(doing)):
        yield


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None] | None]:
    """Count on stderr how many of something are done; None if that is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with console.status(escape(what)) as shown:

        def report(number: int) -> None:
            if number % 100 == 0:
                shown.update(escape(f"{number} {what}"))

        yield report


@contextmanager
def progress_bar() -> Iterator[Progress | None]:
    """A progress bar on stderr; None if that is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        tasks: dict[str, int] = {}

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=total)
            bar.update(bar.task_ids[list(tasks).index(phase)], completed=done, total=total)

        yield report
