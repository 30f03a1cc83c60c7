"""``memla statistics``: how the keys of text are spread, for editors that weigh edits by it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memla.cli import output
from memla.cli.fact_files import read_requests
from memla.cli.options import (
    DEFAULT_BENCHMARK,
    DEFAULT_MODEL,
    DeviceOption,
    DtypeOption,
    FileOption,
    JsonOption,
    ModelArgument,
)
from memla.errors import DataError, SettingError
from memla.languages import language_name, parse_language
from memla.records import read_text

if TYPE_CHECKING:
    from memla.attribution.key_statistics import KeyPosition, KeyStatistics, KeyText

POSITIONS = {"all": "all", "subject-last": "subject_last"}


def statistics(
    model: ModelArgument = DEFAULT_MODEL,
    *,
    benchmark: Annotated[
        str | None,
        typer.Option("--benchmark", help="Statements of a benchmark's facts. Default: mkeb-geo."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Which of the benchmark's facts.")] = (
        "train"
    ),
    file: FileOption = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text", metavar="LANGUAGE=PATH", help="UTF-8 file with a text in each line."
        ),
    ] = None,
    layers: Annotated[
        str | None, typer.Option("--layers", help="Such as 3-7 or 2,4. Default: all.")
    ] = None,
    position: Annotated[
        str, typer.Option("--position", help="all tokens, or subject-last.")
    ] = "all",
    mixture: Annotated[
        str | None,
        typer.Option("--mixture", help="Weights such as en=2,zh=1. Default: all the same."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder for what is done. Default: the user's.")
    ] = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    as_json: JsonOption = False,
) -> None:
    """Measure how the keys of text are spread, by which ROME and MEMIT weigh their edits.

    The text is a benchmark's facts, facts of your own, or text files in any of the languages. Use
    the file with --set covariance.statistics=FILE. A run that was interrupted continues when the
    same command is given again.
    """
    chosen = _position(position)
    weights = _mixture(mixture)
    _check_target(out)
    texts = _texts(benchmark, split, file, text)
    with output.status("loading ..."):
        from memla.attribution.key_statistics import collect_statistics
        from memla.cli.loading import load

        loaded = load(model, device=device, dtype=dtype)
        wanted = _layers(layers, loaded.n_layers)
    with _progress() as progress:
        found = collect_statistics(
            loaded,
            texts,
            layers=wanted,
            position=chosen,
            mixture=weights,
            cache=_cache_folder() if cache is None else cache,
            on_progress=progress,
        )
    found.save(out)
    if as_json:
        output.write_json(_summary(found, out))
    else:
        _show(found, out, loaded.name)


def _texts(
    benchmark: str | None, split: str, file: Path | None, text: Sequence[str] | None
) -> tuple[KeyText, ...]:
    """The texts that the options name, of one kind."""
    options = {"--benchmark": benchmark, "--file": file, "--text": text or None}
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise SettingError(f"{given[0]} and {given[1]} exclude each other", hint="use one of them")
    pairs = [_pair(entry, "--text", "th=FILE") for entry in text or ()]

    from memla.attribution.key_statistics import KeyText, statement_texts

    if pairs:
        return tuple(
            KeyText(language, line.strip())
            for language, path in pairs
            for line in read_text(Path(path)).split("\n")
            if line.strip()
        )
    if file is not None:
        found = statement_texts(read_requests(file))
    else:
        from memla.benchmarks import load_benchmark

        cases = load_benchmark(benchmark or DEFAULT_BENCHMARK).cases(split=split)
        found = statement_texts(one for case in cases for one in case.requests.values())
    if not found:
        where = f"{str(file)!r}" if file else f"split {split!r} of {benchmark!r}"
        raise DataError(
            f"{where} has no fact with a target_true", hint="statements need their true answers"
        )
    return found


def _layers(text: str | None, n_layers: int) -> list[int] | None:
    if text is None:
        return None
    layers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise SettingError(f"--layers {text!r} names no layers", hint="--layers 3-7 or 2,4")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < n_layers:
            raise SettingError(
                f"--layers {text!r}: {part.strip()!r} is not in the model",
                hint=f"it has layers 0 to {n_layers - 1}",
            )
        layers.extend(range(first, last + 1))
    return layers


def _mixture(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    weights: dict[str, float] = {}
    for entry in text.split(","):
        language, value = _pair(entry, "--mixture", "en=2,zh=1")
        try:
            weights[language] = float(value)
        except ValueError:
            raise SettingError(
                f"--mixture {entry.strip()!r}: {value!r} is not a number",
                hint="--mixture en=2,zh=1",
            ) from None
    return weights


def _pair(entry: str, option: str, example: str) -> tuple[str, str]:
    """A language and what follows its equals sign."""
    language, equals, value = entry.partition("=")
    if not equals or not value.strip():
        raise SettingError(f"{option} {entry!r} is not LANGUAGE=...", hint=f"{option} {example}")
    return parse_language(language), value.strip()


def _position(text: str) -> KeyPosition:
    if text not in POSITIONS:
        raise SettingError(f"--position {text!r} is unknown", hint="all or subject-last")
    return "all" if text == "all" else "subject_last"


def _check_target(out: Path) -> None:
    """Make sure that no file of another kind is overwritten, before anything takes time."""
    from memla.attribution.statistics_files import read_header

    if out.is_dir():
        raise DataError(f"{str(out)!r} is a folder, not a file", hint="name a file in it")
    if out.exists():
        try:
            read_header(out)
        except DataError:
            raise DataError(
                f"{str(out)!r} exists and is not a file of key statistics",
                hint="choose another name, or remove it first",
            ) from None


def _cache_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("memla") / "statistics"


@contextmanager
def _progress() -> Iterator[output.Progress]:
    """Show how far it is; say when it continues, and how to go on after Ctrl-C."""
    is_first = True

    def report(phase: str, done: int, total: int) -> None:
        nonlocal is_first
        if is_first and done:
            output.note(f"continuing after {done} of {total} tokens")
        is_first = False
        if bar is not None:
            bar(phase, done, total)

    try:
        with output.progress_bar() as bar:
            yield report
    except KeyboardInterrupt:
        output.note("the same command continues from its last checkpoint, if it came to one")
        raise


def _summary(found: KeyStatistics, out: Path) -> dict[str, object]:
    return {
        "file": str(out),
        "layers": sorted(found.moments),
        "position": found.position,
        "keys": dict(found.counts),
        "mixture": dict(found.mixture),
        "model_fingerprint": found.fingerprint,
        "corpus": found.corpus,
    }


def _show(found: KeyStatistics, out: Path, name: str) -> None:
    shown = output.table(f"Keys of {name}", "language", "keys", "weight", numbers=2)
    for code, share in found.mixture.items():
        shown.add_row(language_name(code), str(found.counts[code]), output.percent(share))
    layers = ", ".join(str(layer) for layer in sorted(found.moments))
    output.write(shown, f"Layers {layers}")
    output.write_unbroken(f"Written to {out}")
