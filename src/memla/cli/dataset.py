"""``memla dataset``: look after files of facts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memla.cli import output
from memla.cli.options import JsonOption

app = typer.Typer(help="Look after files in MKEB's format.", no_args_is_help=False)


@app.callback()
def _dataset() -> None:
    """Keeps ``check`` a command of its own while it is the only one."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File in MKEB's format.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Find everything that is wrong with a file; the exit status is 1 if there are errors."""
    from memla.benchmarks.check import check_file

    with output.status("checking ..."):
        findings = check_file(file)
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        output.write_json([finding.model_dump(mode="json") for finding in findings])
    else:
        if findings:
            table = output.table(str(file), "", "check", "record", "key", "finding")
            for finding in findings:
                texts = (
                    finding.severity,
                    finding.check,
                    finding.record or "",
                    finding.key or finding.language or "",
                    finding.message,
                )
                table.add_row(*map(output.text, texts))
            output.write(table)
        errors_and_warnings = (
            output.count(errors, "error"),
            output.count(len(findings) - errors, "warning"),
        )
        output.write(f"{', '.join(errors_and_warnings)} in {output.text(str(file))}")
    if errors:
        raise typer.Exit(1)
