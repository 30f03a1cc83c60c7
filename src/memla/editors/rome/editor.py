"""ROME: one layer's second MLP matrix is made to map the subject's key to a new value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from memla.editors.base import edit_info, written
from memla.editors.contexts import Contexts
from memla.editors.covariance import Covariances
from memla.editors.edits import LowRank, WeightDelta
from memla.editors.in_force import unedited
from memla.editors.keys import Memory, attached, memory_of
from memla.editors.layered import present
from memla.editors.rome.config import RomeConfig
from memla.editors.rome.update import rome_update
from memla.editors.values import Value, optimize_values
from memla.facts import EditRequest, other_facts
from memla.models.language_model import LanguageModel


class RomeEditor:
    """Write facts into one layer, as ROME does.

    For each request with a new answer, the output of W_proj at the subject's last token that
    makes the model give it is found. The smallest update, measured by the keys of other text,
    that maps all their keys to these values is the edit: one rank for each.

    Args:
        config: Its settings; None means the preset ``recommended``.
    """

    name = "rome"
    config_class = RomeConfig

    def __init__(self, config: RomeConfig | None = None) -> None:
        self.config = config or RomeConfig()
        self._contexts = Contexts(self.config.contexts)
        self._covariances = Covariances(self.config.covariance)

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
            requests: Those with ``target_new`` are written; the others play no part.
            references: Other facts; their statements stand for other text, unless
                ``covariance.statistics`` names a file.
            seed: Recorded; nothing is drawn.

        Raises:
            EditError: No request has a new answer, there is nothing to take the covariance from,
                two requests cannot be told apart, or a value is not finite.
            SettingError: The model has not the layer.
        """
        targets, config = written(requests), self.config.resolved_for(model)
        layer = present(config.layer)
        others = other_facts(references, {request.fact for request in requests})
        with unedited(model) as weights:
            known = self._covariances.get(model, others, (layer,), fingerprint=weights)
            prefixes = {
                language: self._contexts.get(model, language, fingerprint=weights)
                for language in sorted({request.language for request in targets})
            }
        found, values = _find_values(model, targets, prefixes, config)
        part, report = rome_update(model, layer, found, known[layer], config.key_mode)
        info = edit_info(self, model, requests, seed) | {
            "layers": [layer],
            "value_settings": asdict(config.value_settings()),
            "covariance": self._covariances.describe(),
            "prefixes": {code: list(texts) for code, texts in prefixes.items()},
            "values": _outcome(model, targets, values, {layer: part}),
            "update": report,
        }
        return WeightDelta({layer: part}, model.fingerprint(), info)


def _find_values(
    model: LanguageModel,
    targets: Sequence[EditRequest],
    prefixes: Mapping[str, Sequence[str]],
    config: RomeConfig,
) -> tuple[dict[Memory, Value], list[Value]]:
    """The value of each key, and those of all requests.

    Requests that share every token up to the subject's last, as the same name at the start of
    prompts in two languages may, have one key, and get one value that serves them all.
    """
    memories = [
        memory_of(model, request, prefixes[request.language], average=config.average)
        for request in targets
    ]
    values = optimize_values(
        model,
        targets,
        layer=present(config.layer),
        site="mlp",
        prefixes=prefixes,
        settings=config.value_settings(),
        groups=[memories.index(memory) for memory in memories],
    )
    return dict(zip(memories, values, strict=True)), values


def _outcome(
    model: LanguageModel,
    targets: Sequence[EditRequest],
    values: Sequence[Value],
    update: Mapping[int, LowRank],
) -> list[dict[str, object]]:
    with attached(model, update):
        scores = model.log_probs(
            [request.text for request in targets],
            [request.target_new or "" for request in targets],
            [request.language for request in targets],
        )
    return [
        value.report() | {"probability_edited": score.probability}
        for value, score in zip(values, scores, strict=True)
    ]
