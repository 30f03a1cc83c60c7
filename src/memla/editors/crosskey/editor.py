"""CrossKey: one value, written under the keys of the fact in every language.

MEMIT finds a vector that makes the model give a new answer, and writes it under the key that the
edit's prompt has in the edit's language. The same fact asked in another language has another key,
and what was written reaches it only as far as the two are alike. CrossKey writes the same change
under the keys of all languages in one solve. Those keys come from the subject's names alone; the
new answer in another language is never seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from memla.editors.base import edit_info, written
from memla.editors.closed_form import spread
from memla.editors.crosskey.config import CrossKeyConfig
from memla.editors.crosskey.locality import Spread, Spreads, neighbors_of, no_keys, update_for
from memla.editors.crosskey.sites import Sites, WritingSite
from memla.editors.directions import Directions, NaturalDirections
from memla.editors.edits import LowRank, WeightDelta
from memla.editors.in_force import unedited
from memla.editors.keys import Memory, attached, label_memory, look, memory_of
from memla.editors.phrases import SENTENCE_ENDS
from memla.editors.values import Value, optimize_values
from memla.facts import EditRequest, other_facts
from memla.models.language_model import LanguageModel
from memla.models.tokens import join


@dataclass(frozen=True, slots=True)
class Writing:
    """One column of the solve, and which change is written in it."""

    memory: Memory
    fact: str
    language: str
    source: int | None
    """Number of the request whose own value is written; None: the mean of the fact's."""


class CrossKeyEditor:
    """Write a value found in one language under the keys of the fact in every language.

    It is given one sentence with the new answer in one language, and in the others the subject's
    names, or the fact's prompts. With new answers in several languages, each language is written
    with its own value. All facts and languages are one solve.

    Args:
        config: Its settings; None means the preset ``recommended``.
    """

    name = "crosskey"
    config_class = CrossKeyConfig

    def __init__(self, config: CrossKeyConfig | None = None) -> None:
        self.config = config or CrossKeyConfig()
        self._sites = Sites(self.config)
        self._spreads = Spreads(self.config.covariance)
        self._directions = NaturalDirections()

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        *,
        references: Sequence[EditRequest] = (),
        seed: int = 0,
    ) -> WeightDelta:
        """Work out the edit and leave the model bit for bit as it is.

        Args:
            model: The model to edit.
            requests: Those with ``target_new`` are written; of the others, the subject's name
                or the prompt gives the key in their language.
            references: Other facts in any languages: what should stay in place, what texts
                begin with, and where the model keeps facts. Those of the edited facts
                themselves are ignored.
            seed: Recorded; nothing is drawn.

        Raises:
            EditError: No request has a new answer, there is nothing to take the spread of keys
                from, or a value or an update is not finite.
            SettingError: The model has not the layers.
        """
        targets = written(requests)
        own = {request.fact for request in requests}
        others = other_facts(references, own)
        languages = {request.language for request in targets}
        with unedited(model) as weights:
            site = self._sites.get(model, languages, others, fingerprint=weights)
            directions = self._natural_directions(model, others, site, weights)
            config = self.config.at(site.position)
            known = self._spreads.get(model, others, site.layers, config, fingerprint=weights)
        prefixes = {code: self._prefixes(code, others) for code in sorted(languages)}
        values = optimize_values(
            model,
            targets,
            layer=site.layers[-1],
            site="block",
            prefixes=prefixes,
            settings=self.config.value_settings(),
            groups=self._groups(targets),
            position=site.position,
            directions=directions,
        )
        writings = self._writings(model, requests, targets, site)
        deltas = self._write(model, requests, others, site, writings, values, known)
        info = edit_info(self, model, requests, seed) | {
            "site": asdict(site) | {"layers": list(site.layers)},
            "prefixes": {code: list(texts) for code, texts in prefixes.items()},
            "directions": None if directions is None else directions.describe(),
            "covariance": self._spreads.describe(),
            "keys": [[one.fact, one.language, one.source is not None] for one in writings],
        }
        outcome = _outcome(model, targets, values, deltas)
        return WeightDelta(deltas, model.fingerprint(), info | outcome)

    def _natural_directions(
        self,
        model: LanguageModel,
        others: Sequence[EditRequest],
        site: WritingSite,
        fingerprint: str,
    ) -> Directions | None:
        if self.config.directions == "any":
            return None
        return self._directions.get(
            model, others, site.layers[-1], site.position, fingerprint=fingerprint
        )

    def _prefixes(self, language: str, others: Sequence[EditRequest]) -> tuple[str, ...]:
        """Nothing, and some statements of other facts, as texts to put before a prompt.

        They are spread evenly over the facts in the order of their names, and so over relations.
        """
        pool = sorted(
            {
                (one.fact, one.text + join(one.text, language) + one.target_true)
                for one in others
                if one.language == language and one.target_true is not None
            }
        )
        count = min(self.config.n_contexts, len(pool))
        chosen = [pool[index * len(pool) // count][1] for index in range(count)]
        return ("", *(text + SENTENCE_ENDS.get(language, ". ") for text in chosen))

    def _groups(self, targets: Sequence[EditRequest]) -> list[int]:
        """Numbers of the vectors: one for each request, or one for each fact."""
        if self.config.value == "own":
            return list(range(len(targets)))
        facts = list(dict.fromkeys(request.fact for request in targets))
        return [facts.index(request.fact) for request in targets]

    def _writings(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        targets: Sequence[EditRequest],
        site: WritingSite,
    ) -> list[Writing]:
        found = [
            Writing(
                memory_of(model, request, ("",), position=site.position),
                request.fact,
                request.language,
                number,
            )
            for number, request in enumerate(targets)
        ]
        kinds = {"labels", "prompts"} if self.config.keys == "both" else {self.config.keys}
        if site.position == "prompt_last" and "source" not in kinds:
            kinds = {"prompts"}
        for request in requests:
            if request.target_new is not None:
                continue
            memories = []
            if "labels" in kinds:
                memories.append(label_memory(model, request.language, request.subject))
            if "prompts" in kinds:
                memories.append(memory_of(model, request, ("",), position=site.position))
            found += [Writing(one, request.fact, request.language, None) for one in memories]
        return found

    def _write(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        others: Sequence[EditRequest],
        site: WritingSite,
        writings: Sequence[Writing],
        values: Sequence[Value],
        known: Spread,
    ) -> dict[int, LowRank]:
        config = self.config.at(site.position)
        layers, memories = site.layers, [writing.memory for writing in writings]
        _, present = look(model, memories, key_layers=(), value_layer=layers[-1], site="block")
        changes = _changes(writings, values, [one.fact for one in written(requests)])
        near = self._neighbors(model, requests, others, site)
        made = spread(
            model,
            memories,
            present + config.overshoot * changes,
            layers,
            site="block",
            update=update_for(config, known, near, model.d_ff),
        )
        dtype = torch.promote_types(model.dtype, torch.float32)
        return {
            layer: LowRank(part.up.to(dtype), part.down.to(dtype)) for layer, part in made.items()
        }

    def _neighbors(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        others: Sequence[EditRequest],
        site: WritingSite,
    ) -> Mapping[int, Tensor]:
        """Keys of reference facts of the same relations, where the settings ask for them."""
        config = self.config.at(site.position)
        near = neighbors_of(requests, others, config.n_neighbors)
        if config.locality not in ("neighbor_keys", "null_space") or not near:
            return {layer: no_keys(model.d_ff) for layer in site.layers}
        memories = [memory_of(model, one, ("",), position=site.position) for one in near]
        keys, _ = look(
            model, memories, key_layers=site.layers, value_layer=site.layers[0], site="block"
        )
        return keys


def _changes(
    writings: Sequence[Writing], values: Sequence[Value], facts: Sequence[str]
) -> Float[Tensor, "n d_model"]:
    """The change that each column writes: its request's own, or the mean of its fact's."""
    deltas = torch.stack([value.delta for value in values]).double()
    means = {
        fact: deltas[[number for number, one in enumerate(facts) if one == fact]].mean(0)
        for fact in dict.fromkeys(facts)
    }
    return torch.stack(
        [
            means[writing.fact] if writing.source is None else deltas[writing.source]
            for writing in writings
        ]
    )


def _outcome(
    model: LanguageModel,
    targets: Sequence[EditRequest],
    values: Sequence[Value],
    deltas: Mapping[int, LowRank],
) -> dict[str, object]:
    """How the edit went, in types that JSON has."""
    with attached(model, deltas):
        scores = model.log_probs(
            [request.text for request in targets],
            [request.target_new or "" for request in targets],
            [request.language for request in targets],
        )
    return {
        "layers": sorted(deltas),
        "values": [
            value.report() | {"probability_edited": score.probability}
            for value, score in zip(values, scores, strict=True)
        ],
    }
