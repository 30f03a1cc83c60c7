"""``memla downstream``: what saved edits do to everything they are not about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from memla.cli import output
from memla.cli.options import (
    DEFAULT_BENCHMARK,
    DEFAULT_MODEL,
    BenchmarkOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    ModelOption,
    SeedOption,
)
from memla.languages import language_name, parse_language

if TYPE_CHECKING:
    from memla.evaluation.downstream.scores import Measured

Numbers = dict[tuple[str | None, str], "Measured"]
"""By language or task, and metric."""


def downstream(
    edits: Annotated[
        list[Path],
        typer.Argument(metavar="EDIT...", help="Folders of edits, applied on top of each other."),
    ],
    *,
    model: ModelOption = DEFAULT_MODEL,
    benchmark: BenchmarkOption = DEFAULT_BENCHMARK,
    text: Annotated[
        Path | None,
        typer.Option(
            "--text",
            metavar="FILE",
            help='JSON Lines of held-out text, {"language": "th", "text": "..."}, in place of '
            "the benchmark's statements.",
        ),
    ] = None,
    facts: Annotated[
        int, typer.Option("--facts", min=0, help="Facts to ask in every language; 0: none.")
    ] = 64,
    languages: Annotated[
        str | None, typer.Option("--languages", help="Languages of the facts, as in en,zh,th.")
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option("--task", metavar="NAME", help="Task of lm-eval; can be repeated."),
    ] = None,
    task_folder: Annotated[
        Path | None,
        typer.Option("--task-folder", metavar="DIR", help="Your own tasks in lm-eval's YAML."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many documents of a task.")
    ] = None,
    few_shot: Annotated[
        int, typer.Option("--few-shot", min=0, help="Examples before each question of a task.")
    ] = 0,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Only for speed.")] = 64,
    as_json: JsonOption = False,
) -> None:
    """Measure what edits do to everything they are not about, before and after.

    Perplexity of text, and bits per byte, which compare between languages; how far the next token
    has moved after prompts about other facts (KL, in nats) and how often it stays; tasks of
    lm-eval, such as --task piqa. The edited model is asked in memory; nothing is written.
    """
    from memla.evaluation.downstream.settings import Downstream

    settings = Downstream(
        tasks=tuple(tasks or ()),
        task_folder=None if task_folder is None else str(task_folder),
        task_limit=limit,
        few_shot=few_shot,
        text=None if text is None else str(text),
        texts=facts,
        facts=facts,
    )
    wanted = [parse_language(one.strip()) for one in (languages or "").split(",") if one.strip()]
    with output.status("loading ..."):
        from memla.benchmarks import load_benchmark
        from memla.cli.loading import load
        from memla.editors.storage import load_edit
        from memla.evaluation.downstream.saved_edits import look_at_edits

        read = [load_edit(folder) for folder in edits]
        data = load_benchmark(benchmark) if facts else None
        loaded = load(model, device=device, dtype=dtype)
    with output.status("measuring ..."):
        found = look_at_edits(
            read,
            loaded,
            settings,
            benchmark=data,
            languages=wanted,
            seed=seed,
            batch_size=batch_size,
        )
    if as_json:
        scores = [one.model_dump(mode="json") for one in found]
        folders = [str(folder) for folder in edits]
        output.write_json({"model": loaded.name, "edits": folders, "scores": scores})
    else:
        output.write(*_tables(found))


def _tables(found: Sequence[Measured]) -> list[Table | str]:
    by_language: Numbers = {(one.language, one.metric): one for one in found if one.language}
    tasks = [one for one in found if one.task is not None]
    made: list[Table | str] = []
    if any(metric == "perplexity" for _, metric in by_language):
        made.append(_texts(by_language))
    if any(metric == "kl" for _, metric in by_language):
        made.append(_drift(by_language))
    if tasks:
        made.append(_tasks(tasks))
    made += [f"[bold]{one}[/]" for one in dict.fromkeys(_reasons(found))]
    return made


def _texts(found: Numbers) -> Table:
    columns = ("perplexity before", "after", "bits per byte before", "after", "texts")
    table = output.table("Text", "language", *columns, numbers=5)
    for language in dict.fromkeys(language for language, _ in found):
        one, other = (found.get((language, name)) for name in ("perplexity", "bits_per_byte"))
        if language is not None and one is not None and other is not None:
            table.add_row(
                language_name(language),
                *(_number(value, 1) for value in (one.before, one.value)),
                *(_number(value, 3) for value in (other.before, other.value)),
                str(one.n),
            )
    return table


def _drift(found: Numbers) -> Table:
    columns = ("KL in nats", "first token stays", "prompts")
    table = output.table("Other facts", "language", *columns, numbers=3)
    for language in dict.fromkeys(language for language, _ in found):
        kl, kept = (found.get((language, name)) for name in ("kl", "first_token_kept"))
        if language is not None and kl is not None and kept is not None:
            share = "" if kept.value is None else f"{100 * kept.value:.1f} %"
            table.add_row(language_name(language), _with_error(kl, 4), share, str(kl.n))
    return table


def _tasks(found: Sequence[Measured]) -> Table:
    table = output.table("Tasks", "task", "metric", "before", "after", "documents", numbers=3)
    for one in found:
        name = output.text(one.task or "")
        numbers = (_number(one.before, 3), _with_error(one), str(one.n))
        table.add_row(name, output.text(one.metric), *numbers)
    return table


def _reasons(found: Sequence[Measured]) -> list[str]:
    """Why there are no numbers, in words."""
    return [
        output.text(f"{one.task or one.measure} cannot be measured any more: {one.error}")
        for one in found
        if one.error is not None
    ]


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "none"
    return f"{value:.{digits}f}" if value < 1e6 else f"{value:.1e}"


def _with_error(one: Measured, digits: int = 3) -> str:
    error = "" if one.stderr is None else f" ±{_number(one.stderr, digits)}"
    return _number(one.value, digits) + error
