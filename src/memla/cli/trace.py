"""``memla trace``: which layers carry a fact to its answer."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Annotated, cast

import typer

from memla.cli import output
from memla.cli.fact_files import requests_from_options
from memla.cli.options import (
    DEFAULT_MODEL,
    DeviceOption,
    DtypeOption,
    FileOption,
    JsonOption,
    LanguageOption,
    ModelArgument,
    PromptOption,
    SeedOption,
    SubjectOption,
    TargetTrueOption,
)
from memla.errors import SettingError
from memla.languages import language_name

if TYPE_CHECKING:
    from memla.attribution.causal_tracing import Site, Tracing
    from memla.facts import EditRequest

TITLES = {"block": "one block", "mlp": "the MLPs", "attention": "the attentions"}


def trace(
    model: ModelArgument = DEFAULT_MODEL,
    *,
    prompt: PromptOption = None,
    subject: SubjectOption = None,
    target_true: TargetTrueOption = None,
    language: LanguageOption = "en",
    file: FileOption = None,
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", help="Trace the first facts of a benchmark.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="How many facts of the benchmark.")
    ] = 10,
    sites: Annotated[
        str, typer.Option("--sites", help="What is restored: block, mlp, attention.")
    ] = "block,mlp",
    samples: Annotated[int, typer.Option("--samples", min=1, help="Runs with other noise.")] = 10,
    noise: Annotated[
        float, typer.Option("--noise", help="In standard deviations of the embeddings.")
    ] = 3.0,
    window: Annotated[
        int | None,
        typer.Option("--window", min=1, help="Layers of MLPs restored together. Default: a fifth."),
    ] = None,
    known_only: Annotated[
        bool, typer.Option("--known-only", help="Leave out what the model does not know.")
    ] = False,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    as_json: JsonOption = False,
) -> None:
    """Find the layers and tokens through which a fact reaches its answer (causal tracing).

    The subject is hidden under noise, one state after the other is put back, and what that gives
    back of the true answer's probability is shown.
    """
    chosen = _sites(sites)
    requests = requests_from_options(
        prompt=prompt,
        subject=subject,
        target_new=None,
        target_true=target_true,
        language=language,
        file=file,
    )
    if requests and benchmark is not None:
        raise SettingError("--benchmark and a fact of your own exclude each other", hint="use one")
    with output.status("loading ..."):
        requests = requests or _of_benchmark(benchmark, limit)

        from memla.attribution import causal_tracing
        from memla.cli.loading import load

        loaded = load(model, device=device, dtype=dtype)
    with output.progress_bar() as progress:
        found = causal_tracing.trace(
            loaded,
            requests,
            sites=chosen,
            samples=samples,
            noise=noise,
            window=window,
            known_only=known_only,
            seed=seed,
            on_progress=progress,
        )
    if as_json:
        output.write_json(found.to_json())
    else:
        _show(found, loaded.name)


def _sites(text: str) -> tuple[Site, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in TITLES]
    if unknown or not names:
        raise SettingError(
            f"--sites {text!r} names no site of a model", hint=f"known: {', '.join(TITLES)}"
        )
    return cast("tuple[Site, ...]", names)


def _of_benchmark(name: str | None, limit: int) -> tuple[EditRequest, ...]:
    if name is None:
        raise SettingError(
            "there is no fact to trace",
            hint="give --prompt, --subject and --target-true, or --file, or --benchmark",
        )
    from memla.benchmarks import load_benchmark

    benchmark = load_benchmark(name)
    split = "train" if "train" in benchmark.card.sizes else None
    cases = benchmark.cases(split=split, limit=limit)
    return tuple(request for case in cases for request in case.requests.values())


def _show(found: Tracing, name: str) -> None:
    several = len(found.languages) > 1
    for language in (*([None] if several else []), *found.languages):
        clean, corrupted = found.total_effect(language)
        who = "all languages" if language is None else language_name(language)
        output.write(
            f"[bold]{output.text(name)}, {who}[/bold]: probability of the answer "
            f"{output.percent(clean)}, without the subject {output.percent(corrupted)}"
        )
        for site in found.statements[0].effects:
            _show_site(found, site, language)
    if found.n_unknown:
        output.note(f"{output.count(found.n_unknown, 'statement')} left out: not known")


def _show_site(found: Tracing, site: Site, language: str | None) -> None:
    from memla.attribution.causal_tracing import LAST_SUBJECT_TOKEN, POSITIONS

    effects = found.effects(site, language)
    layers = [str(layer) for layer in range(effects.shape[1])]
    width = f" of {output.count(found.window, 'layer')}" if site != "block" else ""
    shown = output.table(
        f"Given back by {TITLES[site]}{width}, in points, by layer",
        "token",
        *layers,
        numbers=len(layers),
    )
    for position, row in zip(POSITIONS, effects.tolist(), strict=True):
        shown.add_row(position, *map(_points, row))
    best = found.best_layer(site, LAST_SUBJECT_TOKEN, language)
    shown.caption = f"largest at the {LAST_SUBJECT_TOKEN}: layer {best}"
    shown.caption_justify = "left"
    output.write(shown)


def _points(value: float) -> str:
    """An effect in percentage points; nothing where no prompt has such a token."""
    return "" if isnan(value) else f"{round(100 * value, 1) + 0.0:.1f}"
