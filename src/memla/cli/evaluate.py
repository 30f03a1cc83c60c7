"""``memla evaluate``: edit the cases of a benchmark and measure what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from memla.cli.cluster import OnRay
from memla.cli.evaluating import How, evaluate_plan
from memla.cli.options import FormatOption, JsonOption, SetOption, parse_settings
from memla.cli.recipes import evaluate_recipe
from memla.errors import SettingError


def evaluate(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RECIPE]",
            help="TOML file with the variants of a table or figure, or with the keys of one plan.",
        ),
    ] = None,
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="NAME", help="Only this variant of a recipe; can be repeated."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Default: mini.")] = None,
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", help="Name or file. Default: mkeb-geo.")
    ] = None,
    file_format: FormatOption = None,
    editor: Annotated[str | None, typer.Option("--editor", help="Default: memla.")] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Default: recommended.")] = None,
    settings: SetOption = None,
    source_languages: Annotated[
        list[str] | None,
        typer.Option(
            "--source-language",
            help="Language of the edit; can be repeated. en,zh: one after the other; en+zh: both.",
        ),
    ] = None,
    target_languages: Annotated[
        list[str] | None,
        typer.Option("--target-languages", help="Languages to look at, as in en,zh,th."),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", help="single, batch or sequential edits. Default: single."),
    ] = None,
    group_size: Annotated[
        int | None,
        typer.Option("--group-size", min=1, help="Cases in a batch or in a sequence."),
    ] = None,
    references: Annotated[
        str | None,
        typer.Option(
            "--references",
            help="Benchmark whose facts editors may look at. Default: the split train of the same.",
        ),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="Default: test.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Default: 0.")] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", help="What is measured; see `memla protocols`. Default: mkeb."),
    ] = None,
    decoding: Annotated[
        str | None,
        typer.Option(
            "--decoding",
            help="gold_length or until_stop. Default here and below: the protocol's.",
        ),
    ] = None,
    answer_score: Annotated[
        str | None, typer.Option("--answer-score", help="joint, mean, first_token or per_byte.")
    ] = None,
    f1_units: Annotated[
        str | None,
        typer.Option(
            "--f1-units", help="model_ids_bag, model_ids_set, words, words_ko_char or bizsre_ids."
        ),
    ] = None,
    f1_tokenizer: Annotated[
        str | None,
        typer.Option(
            "--f1-tokenizer", metavar="FILE", help="tokenizer.json that bizsre_ids counts by."
        ),
    ] = None,
    question_prefixes: Annotated[
        str | None,
        typer.Option(
            "--question-prefixes", help="keep or strip the 'nq question:' that some files have."
        ),
    ] = None,
    downstream: Annotated[
        list[str] | None,
        typer.Option(
            "--downstream",
            metavar="KEY=VALUE",
            help="Measure what edits break beside the facts; the value is TOML.",
        ),
    ] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="Default: float32.")] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="cpu, cuda, cuda:1, mps; auto: as many GPUs as the model takes. Default: cpu, or"
            " the GPUs of a cluster.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Only for speed.")] = 64,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder of runs. This one gets a folder in it and continues if it is there."
            " Default of a recipe: its name in runs.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard", metavar="I/N", help="Do this part of the cases; needs --out or a recipe."
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Do it on a Ray cluster: host:port, auto, or local to start one here.",
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option("--shards", min=1, help="Parts on the cluster. Default: one for each GPU."),
    ] = None,
    gpus_per_shard: Annotated[
        int | None,
        typer.Option("--gpus-per-shard", min=1, help="GPUs that hold one model. Default: 1."),
    ] = None,
    as_json: JsonOption = False,
    json_progress: Annotated[
        bool, typer.Option("--json-progress", help="A line of JSON on stderr for every case.")
    ] = False,
) -> None:
    """Edit the cases of a benchmark and measure the model in every language.

    ES and PS: the edit and its paraphrases succeed. NS: other facts stay. QS: questions that
    follow from the edit. EM: the answer is exactly the new one. All in percent. Other protocols
    have other metrics. A recipe makes one run for each of its variants and source languages;
    options count more than what it says.
    """
    options = {
        "model": model,
        "benchmark": benchmark,
        "benchmark_format": file_format,
        "editor": editor,
        "preset": preset,
        "settings": parse_settings(settings) or None,
        "source_languages": _listed(source_languages),
        "target_languages": _listed(target_languages),
        "mode": mode,
        "group_size": group_size,
        "references": references,
        "split": split,
        "limit": limit,
        "seed": seed,
        "protocol": protocol,
        "decoding": decoding,
        "answer_score": answer_score,
        "f1_units": f1_units,
        "f1_tokenizer": f1_tokenizer,
        "question_prefixes": question_prefixes,
        "downstream": parse_settings(downstream, "--downstream") or None,
        "dtype": dtype,
    }
    given = {key: value for key, value in options.items() if value is not None}
    on_ray = OnRay(ray, shards, gpus_per_shard)
    how = How(out, shard, device, batch_size, as_json, json_progress, on_ray)
    _evaluate(recipe, given, tuple(only or ()), how)


def _evaluate(file: Path | None, options: dict[str, Any], only: tuple[str, ...], how: How) -> None:
    from memla.evaluation.recipe_files import is_recipe, parse_recipe, read_toml
    from memla.evaluation.results import Plan
    from memla.records import merged, parse_record

    values = {} if file is None else read_toml(file)
    if file is not None and is_recipe(values):
        evaluate_recipe(parse_recipe(values, file), options, only, how)
        return
    if only:
        raise SettingError(
            f"--only {only[0]!r} chooses a variant of a recipe, and there is no recipe",
            hint="name a file with [[variants]], such as recipes/memla/table3.toml",
        )
    evaluate_plan(parse_record(Plan, merged(values, options), str(file or "the plan")), how)


def _listed(values: list[str] | None) -> list[str] | None:
    if values is None:
        return None
    return [part.strip() for value in values for part in value.split(",") if part.strip()]
