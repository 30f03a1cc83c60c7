"""``memla locate``: find the neurons that hold a fact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from memla.cli import output
from memla.cli.fact_files import read_references, requests_from_options
from memla.cli.options import (
    DEFAULT_BENCHMARK,
    DEFAULT_MODEL,
    BenchmarkOption,
    DeviceOption,
    DtypeOption,
    FileOption,
    JsonOption,
    LanguageOption,
    ModelArgument,
    PromptOption,
    ReferencesOption,
    SetOption,
    SubjectOption,
    TargetNewOption,
    TargetTrueOption,
    parse_settings,
)
from memla.errors import SettingError
from memla.languages import language_name

if TYPE_CHECKING:
    from memla.attribution.config import AttributionConfig
    from memla.attribution.knowledge_neurons import KnowledgeNeurons
    from memla.facts import EditRequest
    from memla.models.language_model import LanguageModel


def locate(
    model: ModelArgument = DEFAULT_MODEL,
    *,
    prompt: PromptOption = None,
    subject: SubjectOption = None,
    target_new: TargetNewOption = None,
    target_true: TargetTrueOption = None,
    language: LanguageOption = "en",
    file: FileOption = None,
    benchmark: BenchmarkOption = DEFAULT_BENCHMARK,
    fact: Annotated[
        str | None, typer.Option("--fact", help="Id of a fact of the benchmark.")
    ] = None,
    references: ReferencesOption = DEFAULT_BENCHMARK,
    preset: Annotated[
        str, typer.Option("--preset", help="Named settings of the search.")
    ] = "recommended",
    settings: SetOption = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    as_json: JsonOption = False,
) -> None:
    """Find the neurons that hold a fact in each language, and those that languages share.

    Without a fact of your own, one of the benchmark is taken: the first, or --fact.
    """
    changes = parse_settings(settings)
    requests = requests_from_options(
        prompt=prompt,
        subject=subject,
        target_new=target_new,
        target_true=target_true,
        language=language,
        file=file,
    )
    if requests and fact is not None:
        raise SettingError("--fact and a fact of your own exclude each other", hint="use one")
    with output.status("loading ..."):
        from memla.benchmarks import load_benchmark
        from memla.cli.cases import find_case

        requests = requests or tuple(find_case(load_benchmark(benchmark), fact).requests.values())

        from memla.attribution.knowledge_neurons import locate_neurons
        from memla.cli.loading import load

        config = _config(preset, changes)
        others = read_references(references).without(requests)
        loaded = load(model, device=device, dtype=dtype)
    with output.status("locating ..."):
        neurons = locate_neurons(loaded, requests, config, references=others)
    if as_json:
        output.write_json(neurons.to_json())
    else:
        _show(neurons, requests, loaded, quorum=config.quorum)


def _config(preset: str, changes: dict[str, object]) -> AttributionConfig:
    from pydantic import ValidationError

    from memla.attribution.config import AttributionConfig
    from memla.records import describe_validation

    values = AttributionConfig.preset(preset).model_dump(exclude_unset=True) | changes
    try:
        return AttributionConfig.model_validate(values)
    except ValidationError as error:
        raise SettingError(
            f"AttributionConfig: {describe_validation(error)}",
            hint="known settings: " + ", ".join(AttributionConfig.model_fields),
        ) from None


def _show(
    neurons: KnowledgeNeurons,
    requests: tuple[EditRequest, ...],
    model: LanguageModel,
    *,
    quorum: float,
) -> None:
    layers = [str(layer) for layer in range(model.n_layers)]
    shown = f"Knowledge neurons of {requests[0].text!r}, by layer"
    table = output.table(shown, "language", "neurons", *layers, numbers=len(layers) + 1)
    rows = {language_name(code): found for code, found in neurons.per_language.items()}
    for name, found in (rows | {"shared": neurons.shared}).items():
        counts = (str(count) if count else "" for count in found.by_layer(model.n_layers))
        table.add_row(name, str(len(found)), *counts)
    share = "all" if quorum == 1 else f"at least {quorum:.0%} of the"
    table.caption = f"shared: found in {share} languages"
    table.caption_justify = "left"
    output.write(table)
