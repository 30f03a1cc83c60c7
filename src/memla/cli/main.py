"""The command ``memla``: its commands, and what happens when one fails."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from memla.cli import (
    ask,
    compare,
    dataset,
    demo,
    downstream,
    edit,
    evaluate,
    listing,
    locate,
    merge,
    report,
    statistics,
    trace,
)
from memla.errors import MemlaError, device_failure

UsageError = next(
    kind
    for kind in typer.BadParameter.__mro__
    if issubclass(kind, Exception) and kind.__name__ == "ClickException"
)
"""What typer raises for options that cannot be; its public name differs between versions."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

QUIET = {
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}
"""Keeps libraries from writing between our lines; what the user has set comes first."""


class CommandGroup(TyperGroup):
    """Commands that end with at most two lines on stderr, whatever goes wrong."""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Run the command the arguments name, or show the help when there are none."""
        run: Any = super().main
        if not options.pop("standalone_mode", True):
            return run(*args, standalone_mode=False, **options)
        first, *rest = args or (options.pop("args", None),)
        given = list(sys.argv[1:] if first is None else first) or ["--help"]
        return sys.exit(guarded(lambda: run(given, *rest, standalone_mode=False, **options)))


def guarded(run: Callable[[], object]) -> int:
    """Run a command; turn every failure into two lines and an exit status."""
    try:
        status = run()
        sys.stdout.flush()
    except MemlaError as error:
        return _fail(error.message, error.hint)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", None)
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()
        return 1
    except UsageError as error:
        return _fail_usage(error)
    except Exception as error:
        if os.environ.get("MEMLA_TRACEBACK"):
            raise
        return _fail_unexpectedly(error)
    if status == INTERRUPTED:
        _fail("interrupted", None)
    return status if isinstance(status, int) else 0


def _fail_unexpectedly(error: Exception) -> int:
    if (failure := device_failure(error)) is not None:
        return _fail(failure.message, failure.hint)
    if isinstance(error, OSError):
        _give_up_stdout()
        if error.errno == errno.ENOSPC:
            return _fail(f"the result cannot be written: {error.strerror}", "make room")
    what = " ".join(str(error).split())[:300]
    return _fail(
        f"unexpected {type(error).__name__}: {what}", "MEMLA_TRACEBACK=1 shows where it is from"
    )


def _fail_usage(error: Any) -> int:  # noqa: ANN401
    context = getattr(error, "ctx", None)
    command = "memla" if context is None else context.command_path
    return _fail(error.format_message(), f"{command} --help tells the options")


def _fail(message: str, hint: str | None) -> int:
    with suppress(OSError):
        sys.stderr.write(f"error: {' '.join(message.split())}\n")
        if hint:
            sys.stderr.write(f"hint: {' '.join(hint.split())}\n")
        sys.stderr.flush()
    return 1


def _give_up_stdout() -> None:
    """Let the interpreter's last flush go nowhere, as nobody reads stdout any more."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    name="memla",
    cls=CommandGroup,
    help="Edit a fact in one language of a multilingual model and see it change in all of them.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> bool:  # noqa: FBT001
    if wanted:
        from importlib.metadata import version

        typer.echo(f"memla {version('memla')}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and stop."
        ),
    ] = False,
) -> None:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


app.command("demo")(demo.demo)
app.command("edit")(edit.edit)
app.command("ask")(ask.ask)
app.command("locate")(locate.locate)
app.command("statistics")(statistics.statistics)
app.command("trace")(trace.trace)
app.command("evaluate")(evaluate.evaluate)
app.command("downstream")(downstream.downstream)
app.command("merge")(merge.merge)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("editors")(listing.editors)
app.command("benchmarks")(listing.benchmarks)
app.command("protocols")(listing.protocols)
app.command("models")(listing.models)
app.add_typer(dataset.app, name="dataset")


def main() -> None:
    """Entry point of the command ``memla``."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")
    app(prog_name="memla")


if __name__ == "__main__":
    main()
