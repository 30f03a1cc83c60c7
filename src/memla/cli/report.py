"""``memla report``: a page and tables of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memla.cli import output
from memla.cli.options import JsonOption
from memla.errors import SettingError


def _file(name: str, about: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, metavar="FILE", help=about)
    return option


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders of runs, folders that hold some, or recipe-NAME.json in one of these.",
        ),
    ],
    *,
    html: Annotated[Path | None, _file("--html", "Page with figures, in one file.")] = None,
    markdown: Annotated[Path | None, _file("--markdown", "The tables as Markdown.")] = None,
    latex: Annotated[Path | None, _file("--latex", "Tables of numbers for booktabs.")] = None,
    csv: Annotated[Path | None, _file("--csv", "Every value of a metric, one a line.")] = None,
    examples: Annotated[
        int, typer.Option("--examples", min=0, help="Example cases of each run.")
    ] = 2,
    as_json: JsonOption = False,
) -> None:
    """Make a page of runs: every language, editors compared, cost, failures, examples.

    Reads the folders that `memla evaluate --out DIR` wrote and needs no model. Runs of a recipe get
    a chapter with its names, what decides it and the papers' figures; all other runs have to
    follow one protocol.
    """
    files = {"html": html, "markdown": markdown, "latex": latex, "csv": csv}
    wanted = {kind: path for kind, path in files.items() if path is not None}
    if not wanted and not as_json:
        raise SettingError(
            "there is nothing to write",
            hint="name a file: --html report.html, --markdown, --latex or --csv, or add --json",
        )
    from memla.records import write_atomically
    from memla.reports import writing
    from memla.reports.report import make_report

    with output.status("reading runs ..."):
        made = make_report(runs, examples=examples)
        write = {
            "html": writing.to_html,
            "markdown": writing.to_markdown,
            "latex": writing.to_latex,
            "csv": writing.to_csv,
        }
        for kind, path in wanted.items():
            write_atomically(path, write[kind](made))
    if as_json:
        written = {kind: str(path) for kind, path in wanted.items()}
        output.write_json({"written": written, "scores": list(writing.rows(made))})
    else:
        for path in wanted.values():
            output.write_unbroken(f"{path} is written")
