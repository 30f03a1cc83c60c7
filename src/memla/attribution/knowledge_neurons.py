"""The neurons that hold a fact: language-independent and language-specific ones (eqs. 3, 4)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from memla.attribution.baselines import dataset_means
from memla.attribution.config import AttributionConfig
from memla.attribution.integrated_gradients import Attribution, attribute_targets
from memla.attribution.neuron_sets import NeuronSet, select, split
from memla.attribution.remembered import Recall
from memla.attribution.targets import targets_of
from memla.errors import DataError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel

__all__ = ["KnowledgeNeurons", "NeuronSet", "locate_neurons", "select", "split"]

Scores = Float[Tensor, "layers d_ff"]


@dataclass(frozen=True, slots=True)
class KnowledgeNeurons:
    """The neurons of one fact, and what they were selected by."""

    specific: dict[str, NeuronSet]
    """By language, what was found in it less the shared ones (eq. 4)."""
    shared: NeuronSet
    """The language-independent neurons (eq. 3, or enough of the languages)."""
    per_language: dict[str, NeuronSet]
    """By language, all that was found in it."""
    scores: dict[str, Scores]
    """By language, the scores after contrast, each prompt's in its own unit, averaged."""
    compared: tuple[str, ...] = ()
    """Languages that decided what is shared."""
    contrasted: dict[str, int] = field(default_factory=dict)
    """By language, the number of other facts whose scores were subtracted."""
    problems: dict[str, str] = field(default_factory=dict)
    """By language, why nothing could be selected from one of its prompts."""

    def report(self) -> dict[str, object]:
        """Sizes of all sets as plain numbers: per language, shared, specific, and per layer.

        ``found_in`` counts neurons by the number of languages they were found in.
        """
        n_layers = len(next(iter(self.scores.values()))) if self.scores else 0
        found = Counter(Counter(_all_of(self.per_language)).values())

        def sizes(sets: Mapping[str, NeuronSet]) -> dict[str, int]:
            return {language: len(neurons) for language, neurons in sets.items()}

        def layers(sets: Mapping[str, NeuronSet]) -> dict[str, list[int]]:
            return {name: list(neurons.by_layer(n_layers)) for name, neurons in sets.items()}

        return {
            "shared": len(self.shared),
            "specific": sizes(self.specific),
            "per_language": sizes(self.per_language),
            "found_in": {number: found[number] for number in sorted(found)},
            "by_layer": {
                "shared": list(self.shared.by_layer(n_layers)),
                "specific": layers(self.specific),
                "per_language": layers(self.per_language),
            },
            "compared": list(self.compared),
            "contrasted": dict(self.contrasted),
            "problems": dict(self.problems),
        }

    def to_json(self) -> dict[str, object]:
        """``[layer, neuron, score]`` by language, highest score first, and the shared neurons."""
        return {
            "languages": {
                language: _ranked(neurons, self.scores[language])
                for language, neurons in self.per_language.items()
            },
            "shared": self.shared.to_json(),
        }


def _all_of(sets: Mapping[str, NeuronSet]) -> Iterable[tuple[int, int]]:
    return (neuron for neurons in sets.values() for neuron in neurons)


def _ranked(neurons: NeuronSet, scores: Scores) -> list[list[int | float]]:
    rows: list[list[int | float]] = [
        [layer, neuron, float(scores[layer, neuron])] for layer, neuron in neurons
    ]
    return sorted(rows, key=lambda row: -row[2])


def locate_neurons(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    config: AttributionConfig,
    *,
    references: Sequence[EditRequest] = (),
) -> KnowledgeNeurons:
    """Find the neurons that hold one fact.

    Each request is attributed on its own, in units of its own largest probability. Several of one
    language are its prompts. With one language alone nothing is shared, and all is specific.

    Args:
        model: The model; it is not changed.
        requests: The same fact in one or more languages, each with the answer to attribute.
        config: How to score and select.
        references: Other facts with their true answers, for ``contrast`` and ``dataset_mean``. For
            contrast those with the request's own prompt are taken first, as they are of its
            relation; the fact itself and, as long as there are enough others, facts with the same
            answer are left out. Too few are used as they are, and reported.

    Raises:
        DataError: No request, requests of several facts, or one without its answer.
        SettingError: The model has not the layers or the token the configuration names.
    """
    facts = {request.fact: None for request in requests}
    if len(facts) != 1:
        named = ", ".join(map(repr, facts)) or "none"
        raise DataError(
            f"neurons are located for one fact at a time, not for {named}",
            hint="give the requests of one fact, in as many languages as you have",
        )
    chosen = {request: _contrast_facts(request, references, config) for request in requests}
    tables, problems = _tables(model, chosen, references, config)
    per_language: dict[str, NeuronSet] = {}
    scores: dict[str, Scores] = {}
    for language in {request.language: None for request in requests}:
        views = [
            table
            for request, found in tables.items()
            if request.language == language
            for table in found
        ]
        per_language[language] = _selected(views, language, config)
        scores[language] = torch.stack(views).mean(0)
    compared = tuple(
        language
        for language in per_language
        if config.cross_languages is None or language in config.cross_languages
    )
    shared = split({language: per_language[language] for language in compared}, config.quorum)
    return KnowledgeNeurons(
        specific={language: found - shared for language, found in per_language.items()},
        shared=shared,
        per_language=per_language,
        scores=scores,
        compared=compared,
        contrasted={request.language: len(facts) for request, facts in chosen.items()},
        problems=problems,
    )


def _contrast_facts(
    request: EditRequest, references: Sequence[EditRequest], config: AttributionConfig
) -> list[EditRequest]:
    """Other facts to subtract, one request each, the most comparable first."""
    candidates = (
        other
        for other in references
        if other.language == request.language
        and other.fact != request.fact
        and other.subject != request.subject
        and (other.target_true is not None or config.answer == "greedy")
    )
    order = sorted(
        candidates,
        key=lambda other: (
            other.prompt != request.prompt,
            other.target_true == request.target_true,
        ),
    )
    facts: dict[str, EditRequest] = {}
    for other in order:
        facts.setdefault(other.fact, other)
    return list(facts.values())[: config.contrast]


def _tables(
    model: LanguageModel,
    chosen: Mapping[EditRequest, Sequence[EditRequest]],
    references: Sequence[EditRequest],
    config: AttributionConfig,
) -> tuple[dict[EditRequest, list[Scores]], dict[str, str]]:
    """Scores of each request after contrast, one table for each answer; and what went wrong."""
    others_config = config
    if config.answer in {"target_new", "both"}:
        others_config = config.model_copy(update={"answer": "target_true"})
    languages = [request.language for request in chosen]
    means = dataset_means(model, languages, references, config)
    recall = Recall(model)
    tables: dict[EditRequest, list[Scores]] = {}
    problems: dict[str, str] = {}
    for request, others in chosen.items():
        own = _attributions(model, request, config, means, recall)
        common = [_attributions(model, one, others_config, means, recall)[0] for one in others]
        tables[request] = [_contrasted(attribution, common) for attribution in own]
        for attribution in own:
            if attribution.problem is not None:
                problems[request.language] = attribution.problem
    return tables, problems


def _attributions(
    model: LanguageModel,
    request: EditRequest,
    config: AttributionConfig,
    means: dict[str, Scores],
    recall: Recall,
) -> tuple[Attribution, ...]:
    """Scores of one request, one for each answer that is asked for; worked out by itself."""
    if config.answer in {"target_true", "greedy"}:
        request = request.without_target()  # the new answer makes no difference

    def attribute() -> tuple[Attribution, ...]:
        targets = list(targets_of(model, request, config))
        return tuple(attribute_targets(model, targets, config, means))

    mean = means.get(request.language)
    start = b"" if mean is None else hashlib.sha256(mean.cpu().numpy().tobytes()).digest()
    return recall.get((request, config.scoring(model.n_layers), start), attribute, _bytes_of)


def _bytes_of(attributions: Sequence[Attribution]) -> int:
    return sum(attribution.scores.nbytes for attribution in attributions)


def _contrasted(attribution: Attribution, others: Sequence[Attribution]) -> Scores:
    """Scores less the mean positive score of other facts, each in its own unit."""
    if not others:
        return attribution.scores
    common = torch.stack([other.scores.clamp(min=0) for other in others]).mean(0)
    return attribution.scores - common


def _selected(tables: Sequence[Scores], language: str, config: AttributionConfig) -> NeuronSet:
    """Neurons selected in more than the configured share of a language's tables."""
    counts = Counter(
        neuron
        for table in tables
        for neuron in select(
            table,
            config.threshold_for(language),
            config.scope,
            config.method,
            config.layers_of(len(table)),
        )
    )
    needed = config.prompt_share * len(tables)
    return NeuronSet(neuron for neuron, count in counts.items() if count > needed)
