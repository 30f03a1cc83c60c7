"""``memla dataset build``: a benchmark from Wikidata, and ``review``: its corrections."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memla.cli import output
from memla.cli.options import JsonOption
from memla.construction.build_folder import STAGES
from memla.errors import MemlaError, SettingError

if TYPE_CHECKING:
    from memla.construction.config import BuildConfig
    from memla.construction.manifest import StageInfo
    from memla.construction.pipeline import Built, Plan
    from memla.construction.usage import Usage

review = typer.Typer(help="Have people correct a release.", no_args_is_help=False)

FOLDER = Path("builds")
"""Where builds are, each in a folder of its name."""
_STAGES = " ".join(STAGES)

OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder of the build; builds/NAME.")
]
BuildArgument = Annotated[Path, typer.Argument(metavar="BUILD", help="Folder of a build.")]


def build(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Settings.")],
    *,
    out: OutOption = None,
    first: Annotated[
        str | None, typer.Option("--from", help=f"Do this stage and all after it again: {_STAGES}.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="The last stage to do.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be done, and what it takes.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many records.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build a benchmark in many languages from Wikidata; the same command continues it.

    Answers of services are kept in the build's folder: nothing is asked or paid for twice.
    """
    from memla.construction import pipeline
    from memla.construction.config import read_config

    settings = _limited(read_config(config), limit)
    root = FOLDER / settings.dataset.name if out is None else out
    if dry_run:
        _show_plan(settings, pipeline.plan(settings, root, first=first, until=until), as_json)
        return
    again = ["memla", "dataset", "build", str(config)]
    again += [] if out is None else ["--out", str(out)]
    again += [] if until is None else ["--until", until]
    again += [] if limit is None else ["--limit", str(limit)]
    with _continuable(shlex.join(again)), output.progress_bar() as bar:
        report = bar or (lambda what, done, total: None)
        built = pipeline.build(settings, root, first=first, until=until, on_progress=report)
    for note in built.notes:
        output.note(f"note: {note}")
    if as_json:
        output.write_json(built.manifest.model_dump(mode="json"))
    else:
        _show(built, root)


def _limited(settings: BuildConfig, limit: int | None) -> BuildConfig:
    if limit is None or limit >= settings.dataset.size:
        return settings
    dataset = settings.dataset.model_copy(update={"size": limit})
    return settings.model_copy(update={"dataset": dataset})


@contextmanager
def _continuable(command: str) -> Iterator[None]:
    """After Ctrl-C, or when a service gives up, say what continues."""
    try:
        yield
    except KeyboardInterrupt:
        output.note(f"what was done and answered is kept; continue with: {command}")
        raise
    except MemlaError as error:
        if error.hint is None:
            error.hint = f"what was done is kept; continue with: {command}"
        raise


def _show_plan(settings: BuildConfig, plans: list[Plan], as_json: bool) -> None:  # noqa: FBT001
    from memla.construction.pipeline import keys_wanted

    if as_json:
        output.write_json([plan.model_dump(mode="json") for plan in plans])
        return
    columns = ("requests", "characters", "tokens", "cost")
    shown = output.table("What would be done", "stage", "", *columns, numbers=4)
    for plan in plans:
        state = "is done" if plan.is_done else "to do"
        shown.add_row(plan.stage, state, *_used(plan.estimate))
    variables = dict.fromkeys(variable for _, variable in keys_wanted(settings))
    wanted = f"Keys are read from {', '.join(variables)}." if variables else "No key is needed."
    output.write(shown, "Estimates, were nothing known yet; nothing was sent or written.", wanted)


def _used(usage: Usage) -> tuple[str, ...]:
    numbers = (usage.requests, usage.characters, usage.input_tokens + usage.output_tokens)
    cost = f"{usage.cost:.2f}" if usage.cost_micros else ""
    return (*(f"{number:,}" if number else "" for number in numbers), cost)


def _show(built: Built, root: Path) -> None:
    from memla.construction.release import CARD, release_file

    shown = output.table("Build", "stage", "", "in", "out", "left out because", numbers=0)
    for name, info in built.manifest.stages.items():
        state = "done now" if name in built.made else "as it was"
        shown.add_row(name, state, str(info.taken), str(info.kept), _reasons(info))
    used = output.table("Requests so far", "service", "requests", "characters", "tokens", "cost")
    for service, usage in built.manifest.used.items():
        used.add_row(service, *_used(usage))
    output.write(shown)
    if built.manifest.used:
        output.write(used)
    if "release" in (*built.made, *built.kept):
        records = output.count(built.manifest.stages["release"].kept, "record")
        path = release_file(root)
        output.write_unbroken(f"{records} in {path}")
        output.write_unbroken(f"Card: {path.parents[1] / CARD}")


def _reasons(info: StageInfo) -> str:
    listed = [f"{count} {reason}" for reason, count in info.rejects.items()]
    more = f", {len(listed) - 4} more reasons" if len(listed) > 4 else ""
    return output.text(", ".join(listed[:4]) + more)


@review.callback()
def _review() -> None:
    """Names the group."""


@review.command()
def export(
    folder: BuildArgument,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="SHEET.csv", help="The sheet.")] = Path(
        "review.csv"
    ),
    languages: Annotated[
        str | None, typer.Option("--languages", help="Only these, as in zh,th.")
    ] = None,
) -> None:
    """Write a table of all texts, with columns for corrections and comments."""
    from memla.construction.review import export_sheet

    wanted = None
    if languages is not None:
        wanted = [part.strip() for part in languages.split(",") if part.strip()]
        if not wanted:
            raise SettingError("--languages names none", hint="--languages zh,th")
    count = export_sheet(folder, out, wanted)
    output.write_unbroken(f"{output.count(count, 'text')} in {out}")
    output.write("Write into the columns correction and comment, save as CSV, then:")
    words = ["memla", "dataset", "review", "apply", str(folder), str(out)]
    output.write_unbroken(shlex.join(words))


@review.command()
def apply(
    folder: BuildArgument,
    sheet: Annotated[Path, typer.Argument(metavar="SHEET.csv", help="The sheet, filled in.")],
) -> None:
    """Read a sheet's corrections and keep them for the next release."""
    from memla.construction.review import apply_sheet

    found = apply_sheet(folder, sheet)
    count = sum(bool(one.correction) for one in found)
    comments = sum(bool(one.comment) for one in found)
    output.write(
        f"{output.count(count, 'correction')} and {output.count(comments, 'comment')} kept;"
        " memla dataset build makes a release with them"
    )
