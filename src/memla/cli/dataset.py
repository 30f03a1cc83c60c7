"""``memla dataset``: look after files of facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memla.cli import build, dataset_tables, output
from memla.cli.options import FormatOption, JsonOption
from memla.errors import DataError, SettingError

if TYPE_CHECKING:
    from memla.benchmarks.formats import Format

app = typer.Typer(help="Look after files of benchmarks and of your own.", no_args_is_help=False)

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="File or folder in any format memla knows.")
]
MKEB = "mkeb"


@app.callback()
def _dataset() -> None:
    """Names the group."""


app.command("build")(build.build)
app.add_typer(build.review, name="review")


@app.command()
def check(
    file: FileArgument,
    *,
    file_format: FormatOption = None,
    examples: Annotated[
        int, typer.Option("--examples", min=0, help="Of each finding in each language.")
    ] = 3,
    as_json: JsonOption = False,
) -> None:
    """Find what is wrong or odd in a file; the exit status is 1 if there are errors.

    An error breaks an evaluation. A warning wants the eye of someone who reads the language.
    """
    if _is_strict(file, file_format):
        _check_mkeb(file, as_json=as_json)
        return
    from memla.benchmarks.quirks import find_quirks

    with output.counting("records") as on_record:
        report = find_quirks(
            file, _format(file, file_format), examples=examples, on_record=on_record
        )
    if as_json:
        output.write_json(report.model_dump(mode="json"))
    else:
        output.write(*dataset_tables.quirk_tables(report, examples))
    if report.errors:
        raise typer.Exit(1)


def _check_mkeb(file: Path, *, as_json: bool) -> None:
    from memla.benchmarks.check import check_file

    with output.status("checking ..."):
        findings = check_file(file)
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        output.write_json([finding.model_dump(mode="json") for finding in findings])
    else:
        output.write(*dataset_tables.finding_tables(str(file), findings))
    if errors:
        raise typer.Exit(1)


@app.command()
def show(
    file: FileArgument,
    record: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Id of a record, or its number; the first without it."),
    ] = None,
    *,
    file_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one record in all its languages: what is edited, where its subject stands, questions."""
    from memla.benchmarks.one_record import describe, find_record

    with output.status("reading ..."):
        found = find_record(file, _format(file, file_format), record)
    if as_json:
        output.write_json(describe(found))
    else:
        output.write(*dataset_tables.record_tables(found))


@app.command()
def convert(
    file: FileArgument,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="OUT", help="OUT.jsonl, or OUT.json; .gz compresses.")
    ],
    file_format: FormatOption = None,
    languages: Annotated[
        str | None, typer.Option("--languages", help="Only these, as in en,zh,th.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="MKEB's own keys only; what is lost is told.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")] = False,
) -> None:
    """Write a file in MKEB's form, which holds what every other format has."""
    from memla.benchmarks.conversion import convert as convert_file

    if out.exists() and (not force or out.is_dir()):
        raise SettingError(f"{str(out)!r} is there already", hint="--force replaces a file")
    wanted = None
    if languages is not None:
        wanted = tuple(part.strip() for part in languages.split(",") if part.strip())
    with output.counting("records") as on_record:
        done = convert_file(
            file,
            out,
            _format(file, file_format),
            languages=wanted,
            strict=strict,
            on_record=on_record,
        )
    for note, count in done.notes.items():
        output.note(f"{output.count(count, 'record')}: {note}")
    if done.left_out:
        output.note(f"{output.count(done.left_out, 'record')} left out")
    output.write_unbroken(f"{output.count(done.records, 'record')} in {out}")


def _format(file: Path, name: str | None) -> Format:
    from memla.benchmarks.formats import FORMATS, recognize

    return recognize(file) if name is None else FORMATS[name]


def _is_strict(file: Path, name: str | None) -> bool:
    """Whether a file is MKEB's own, and was not converted from another benchmark."""
    from memla.benchmarks.formats import sample

    if name not in (None, MKEB) or file.is_dir():
        return False
    try:
        beginning = sample(file)
        is_mkeb = name == MKEB or _format(file, name).card.name == MKEB
    except DataError:
        if _has_mkeb_keys(file):
            return True
        raise
    return is_mkeb and "source" not in beginning.first


def _has_mkeb_keys(file: Path) -> bool:
    """Whether a broken file begins like one of MKEB's, so that all that is wrong can be told."""
    from memla.benchmarks.reading import open_text

    with open_text(file) as stream:
        start = stream.read(1 << 16)
    return '"example_id"' in start and '"edit"' in start
