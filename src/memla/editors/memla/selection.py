"""Which neurons MEMLA's two editors get: located, asked for with less strictness, or random."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import combinations_with_replacement
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from memla.attribution.config import AttributionConfig
from memla.attribution.knowledge_neurons import KnowledgeNeurons, locate_neurons
from memla.attribution.neuron_sets import NeuronSet, select, split
from memla.errors import NoNeuronsError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel

OnEmpty = Literal["relax", "top_k", "skip", "error"]
RELAX_FACTOR = 0.8
RELAX_TIMES = 10


@dataclass(frozen=True, slots=True)
class Chosen:
    """Neurons of the two editors; disjoint."""

    specific: NeuronSet
    """Of the language-specific editor [S]."""
    shared: NeuronSet
    """Of the language-independent editor [I]."""
    source: str
    """How they were come by: ``located``, ``relaxed``, ``top_k``, ``skipped`` or ``random``."""
    relaxed: int = 0
    """How often the threshold was lowered, at most over the facts."""
    per_language: Mapping[str, NeuronSet] = field(default_factory=dict)
    """What was located in each language, whether it is edited or not."""

    def __or__(self, other: Chosen) -> Chosen:
        """Neurons of several facts that are edited together; shared in one is shared."""
        shared = self.shared | other.shared
        sources = dict.fromkeys((*self.source.split("+"), *other.source.split("+")))
        return Chosen(
            (self.specific | other.specific) - shared,
            shared,
            "+".join(sources),
            max(self.relaxed, other.relaxed),
            {
                language: self.per_language.get(language, NeuronSet())
                | other.per_language.get(language, NeuronSet())
                for language in dict.fromkeys((*self.per_language, *other.per_language))
            },
        )

    def only(self, keep: Allowed) -> Chosen:
        """What is left of them under these restrictions."""
        return replace(
            self,
            specific=keep.inside(self.specific) if keep.specific else NeuronSet(),
            shared=keep.inside(self.shared) if keep.shared else NeuronSet(),
        )

    def __bool__(self) -> bool:
        return bool(self.specific) or bool(self.shared)

    def report(self, n_layers: int) -> dict[str, object]:
        """Where they come from and how many there are, by layer, in types that JSON has.

        ``common_by_layer`` counts what was located in both of two languages; a language with
        itself is what was located in it.
        """
        return {
            "source": self.source,
            "relaxed": self.relaxed,
            "n_specific": len(self.specific),
            "n_shared": len(self.shared),
            "specific_by_layer": list(self.specific.by_layer(n_layers)),
            "shared_by_layer": list(self.shared.by_layer(n_layers)),
            "common_by_layer": {
                f"{first}+{second}": list((mine & self.per_language[second]).by_layer(n_layers))
                for (first, mine), (second, _) in combinations_with_replacement(
                    self.per_language.items(), 2
                )
            },
        }


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be edited: which of the editors there are, and in which layers."""

    specific: bool = True
    shared: bool = True
    layers: tuple[int, ...] | None = None

    def inside(self, neurons: NeuronSet) -> NeuronSet:
        """The neurons in these layers."""
        if self.layers is None:
            return neurons
        return NeuronSet(neuron for neuron in neurons if neuron[0] in self.layers)


def choose_neurons(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    references: Sequence[EditRequest],
    identification: AttributionConfig,
    *,
    allowed: Allowed,
    on_empty: OnEmpty,
    top_k: int,
) -> Chosen:
    """Locate the neurons of each fact and put them together.

    The specific neurons are those of the languages whose requests have a new answer.

    Args:
        model: The model to edit.
        requests: All requests, of one fact or several.
        references: Other facts, for contrast.
        identification: How neurons are located.
        allowed: What may be edited.
        on_empty: What to do for a fact that has no such neurons.
        top_k: Neurons per language that ``on_empty = "top_k"`` takes.

    Raises:
        NoNeuronsError: A fact has no neurons to edit, and ``on_empty`` found none either.
    """
    facts = dict.fromkeys(request.fact for request in requests)
    return reduce(
        Chosen.__or__,
        [
            _choose_for_fact(
                model,
                [request for request in requests if request.fact == fact],
                references,
                identification,
                allowed=allowed,
                on_empty=on_empty,
                top_k=top_k,
            )
            for fact in facts
        ],
    )


def _choose_for_fact(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    references: Sequence[EditRequest],
    identification: AttributionConfig,
    *,
    allowed: Allowed,
    on_empty: OnEmpty,
    top_k: int,
) -> Chosen:
    sources = tuple({item.language: None for item in requests if item.target_new is not None})
    located = locate_neurons(model, requests, identification, references=references)
    neurons = {language: located.per_language[language] for language in sources}
    found = _chosen(neurons, located.shared, "located").only(allowed)
    if not found:
        found = _less_strict(
            located, sources, identification, allowed=allowed, on_empty=on_empty, top_k=top_k
        )
    if not found and on_empty != "skip":
        raise NoNeuronsError(
            f"fact {requests[0].fact!r} has no neurons to edit in {', '.join(sources)}",
            hint="lower identification.threshold, widen layers, or set on_empty to 'top_k' or "
            "'skip'",
        )
    return replace(found, per_language=located.per_language)


def random_neurons(chosen: Chosen, d_ff: int, generator: torch.Generator) -> Chosen:
    """As many neurons in the same layers, drawn at random; a control for what locating is worth."""
    specific, shared = [], []
    counts_specific, counts_shared = chosen.specific.layers, chosen.shared.layers
    for layer in sorted({*counts_specific, *counts_shared}):
        first, second = len(counts_specific.get(layer, ())), len(counts_shared.get(layer, ()))
        drawn = torch.randperm(d_ff, generator=generator)[: first + second].tolist()
        specific += [(layer, neuron) for neuron in drawn[:first]]
        shared += [(layer, neuron) for neuron in drawn[first:]]
    return replace(chosen, specific=NeuronSet(specific), shared=NeuronSet(shared), source="random")


def _chosen(
    neurons: Mapping[str, NeuronSet], shared: NeuronSet, source: str, relaxed: int = 0
) -> Chosen:
    """The shared neurons, and what the source languages have besides (eq. 4)."""
    own = NeuronSet(neuron for found in neurons.values() for neuron in found)
    return Chosen(own - shared, shared, source, relaxed)


def _less_strict(
    located: KnowledgeNeurons,
    sources: Sequence[str],
    identification: AttributionConfig,
    *,
    allowed: Allowed,
    on_empty: OnEmpty,
    top_k: int,
) -> Chosen:
    """The first choice that is not empty among those that ``on_empty`` permits, if there is one."""
    for other in _alternatives(located, sources, identification, on_empty, top_k):
        found = other.only(allowed)
        if found:
            return found
    return Chosen(NeuronSet(), NeuronSet(), "skipped")


def _alternatives(
    located: KnowledgeNeurons,
    sources: Sequence[str],
    identification: AttributionConfig,
    on_empty: OnEmpty,
    top_k: int,
) -> Iterator[Chosen]:
    """Choices from the same scores that are less and less strict."""
    times = RELAX_TIMES if on_empty == "relax" else 0
    for count in range(1, times + 1):
        neurons = {
            language: _select_wider(scores, language, identification, count)
            for language, scores in located.scores.items()
        }
        yield _split(located, neurons, sources, identification, "relaxed", count)
    if on_empty == "top_k":
        neurons = {
            language: select(
                scores, top_k, "global", "top_k", identification.layers_of(len(scores))
            )
            for language, scores in located.scores.items()
        }
        yield _split(located, neurons, sources, identification, "top_k", 0)


def _select_wider(
    scores: Float[Tensor, "layers d_ff"], language: str, config: AttributionConfig, count: int
) -> NeuronSet:
    threshold, factor = config.threshold_for(language), RELAX_FACTOR**count
    # A smaller k or share of the mass would select fewer.
    if config.method == "top_k":
        wider: float = math.ceil(threshold / factor)
    elif config.method == "top_p_mass":
        wider = min(1.0, threshold / factor)
    else:
        wider = threshold * factor
    return select(scores, wider, config.scope, config.method, config.layers_of(len(scores)))


def _split(
    located: KnowledgeNeurons,
    neurons: Mapping[str, NeuronSet],
    sources: Sequence[str],
    identification: AttributionConfig,
    source: str,
    relaxed: int,
) -> Chosen:
    compared = {language: neurons[language] for language in located.compared}
    shared = split(compared, identification.quorum)
    return _chosen({name: neurons[name] for name in sources}, shared, source, relaxed)
