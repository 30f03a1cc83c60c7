"""``memla demo``: edit one fact and look at it from every language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from memla.cli import output
from memla.cli.options import (
    DEFAULT_BENCHMARK,
    DEFAULT_MODEL,
    BenchmarkOption,
    DeviceOption,
    EditorOption,
    JsonOption,
    ModelOption,
    PresetOption,
    SeedOption,
    SetOption,
    parse_settings,
)
from memla.languages import language_name, parse_language

if TYPE_CHECKING:
    from memla.evaluation.demonstration import Demonstration

DEMO_FACT: str | None = "country:Europe/London"
"""Fact of the bundled benchmark that is edited unless another is named; None is the first."""


def demo(
    *,
    source_language: Annotated[
        str, typer.Option("--source-language", help="Language the edit is made in.")
    ] = "en",
    fact: Annotated[
        str | None, typer.Option("--fact", help="Id of a fact of the benchmark.")
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    benchmark: BenchmarkOption = DEFAULT_BENCHMARK,
    editor: EditorOption = "memla",
    preset: PresetOption = "recommended",
    settings: SetOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Edit one fact in one language of a small model and see it change in twelve."""
    changes = parse_settings(settings)
    source = parse_language(source_language)
    with output.status("loading ..."):
        from memla.benchmarks import load_benchmark
        from memla.cli.cases import find_case

        # What can be wrong with the options is found before torch is loaded.
        data = load_benchmark(benchmark)
        wanted = fact or (DEMO_FACT if benchmark == DEFAULT_BENCHMARK else None)
        case = find_case(data, wanted)

        from memla.cli.loading import load
        from memla.evaluation.demonstration import demonstrate
        from memla.evaluation.references import References
        from memla.evaluation.results import Plan
        from memla.evaluation.runner import make_editor

        made = make_editor(Plan(editor=editor, preset=preset, settings=changes))
        train = data.cases(split="train") if "train" in data.card.sizes else ()
        loaded = load(model, device=device)
    with output.status("editing ..."):
        shown = demonstrate(
            loaded,
            case,
            made,
            source_language=source,
            references=References.from_cases(train),
            seed=seed,
        )
    if as_json:
        output.write_json(shown.to_json())
    else:
        output.write(*tables(shown))


def tables(shown: Demonstration) -> Iterator[Table | str]:
    """What is printed of a demonstration, in this order."""
    request = shown.request
    yield (
        f"[bold]{output.text(request.text)}[/] {output.text(request.target_true or '')} → "
        f"[bold]{output.text(request.target_new or '')}[/]   "
        f"({language_name(request.language)}, editor {shown.editor}, {shown.seconds:.1f} s)"
    )
    table = output.table(
        "The fact, asked in every language",
        "language",
        "answer before",
        "answer after",
        "p(new), %",
        "p(true), %",
        numbers=2,
    )
    for language, change in shown.languages.items():
        table.add_row(
            language_name(language) + (" *" if language == request.language else ""),
            output.text(change.before.answer),
            output.text(change.after.answer),
            output.percent_change(change.before.p_new, change.after.p_new),
            output.percent_change(change.before.p_true, change.after.p_true),
        )
    table.caption = "* the edit was made in this language"
    table.caption_justify = "left"
    yield table
    if shown.neighbors:
        table = output.table("Other facts, which shall stay", "prompt", "right", "before", "after")
        for neighbor in shown.neighbors:
            texts = (neighbor.prompt, neighbor.right, neighbor.before, neighbor.after)
            table.add_row(*map(output.text, texts))
        yield table
    yield _score_table(shown)


def _score_table(shown: Demonstration) -> Table:
    source = shown.request.language
    values = {(cell.metric, cell.target): cell.value for cell in shown.scores}
    table = output.table(
        "Scores of this edit, in percent", "metric", language_name(source), "transfer", numbers=2
    )
    table.caption = "transfer: the mean over the other languages"
    table.caption_justify = "left"
    for metric in ("ES", "PS", "NS", "NS_before", "QS", "EM", "NS_agreement"):
        if (metric, source) in values:
            cells = (values.get((metric, target)) for target in (source, "transfer"))
            table.add_row(metric, *("" if cell is None else f"{cell:.1f}" for cell in cells))
    return table
