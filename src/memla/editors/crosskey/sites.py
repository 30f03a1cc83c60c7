"""Where in a model a fact can be written: found by causal tracing, not assumed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memla.attribution.causal_tracing import LAST_SUBJECT_TOKEN, POSITIONS, Tracing, trace
from memla.editors.crosskey.config import CrossKeyConfig
from memla.editors.values import Position
from memla.errors import SettingError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel

SAMPLES = 4
"""Noisy runs for each traced statement."""
LEAST_EFFECT = 0.01
"""Mean change of an answer's probability below which tracing says nothing: the facts are not
known, or the noise does not disturb them."""
DECISIVE = 0.5
"""Share of that change which the subject's last token must carry for a fact to be written there."""
STILL_CARRIED = 0.9
"""Share of the largest effect at which a layer still counts as carrying the fact."""
ARRIVED = 0.75
"""The same for the prompt's last token: the first layer with it is where the fact has arrived."""


@dataclass(frozen=True, slots=True)
class WritingSite:
    """The token and the layers at which an edit is written."""

    position: Position
    layers: tuple[int, ...]
    found_by: str
    """``settings``, ``tracing``, or ``depth`` where tracing was not possible."""
    subject_share: float | None = None
    """Share of an answer's probability that the state of the subject's last token carries."""


class Sites:
    """The sites of one editor; it remembers what it traced, by model and text."""

    def __init__(self, config: CrossKeyConfig) -> None:
        self.config = config
        self._traced: dict[tuple[str, str], Tracing | None] = {}

    def get(
        self,
        model: LanguageModel,
        languages: Iterable[str],
        references: Sequence[EditRequest],
        *,
        fingerprint: str,
    ) -> WritingSite:
        """The site for an edit in some languages.

        Raises:
            SettingError: The model has not the layers that were asked for.
        """
        config = self.config
        _check_layers(model, config.layers)
        if config.layers is not None and config.position != "traced":
            return WritingSite(config.position, config.layers, "settings")
        chosen = _traced_statements(references, set(languages), config.trace_facts)
        digest = hashlib.sha256("\n".join(one.to_json() for one in chosen).encode()).hexdigest()
        key = (fingerprint, digest)
        if key not in self._traced:
            self._traced[key] = _tracing(model, chosen)
        found = self._traced[key]
        return _default_site(model, config) if found is None else site_of(found, model, config)


def _traced_statements(
    references: Sequence[EditRequest], languages: set[str], count: int
) -> list[EditRequest]:
    """Some facts in the edit's languages; the same ones whatever else there is among the rest."""
    usable = [
        one for one in references if one.language in languages and one.target_true is not None
    ]

    def drawn(request: EditRequest) -> tuple[str, str]:
        return hashlib.sha256(request.fact.encode()).hexdigest(), request.language

    by_fact: dict[str, EditRequest] = {}
    for one in sorted(usable, key=drawn):
        by_fact.setdefault(one.fact, one)
    return list(by_fact.values())[:count]


def _tracing(model: LanguageModel, statements: Sequence[EditRequest]) -> Tracing | None:
    if not statements:
        return None
    found = trace(model, statements, sites=("block",), samples=SAMPLES)
    clean, corrupted = found.total_effect()
    return found if clean - corrupted >= LEAST_EFFECT else None


def site_of(found: Tracing, model: LanguageModel, config: CrossKeyConfig) -> WritingSite:
    """What tracing says, where the settings leave it open.

    The subject's last token, up to the highest layer at which its state still carries the fact,
    if that state is decisive; else the prompt's last, from where the fact has arrived.
    """
    clean, corrupted = found.total_effect()
    # The last block's output has nothing above it that could carry it on: where a text ends, it
    # is the answer already.
    effects = found.effects("block")[:, : max(1, model.n_layers - 1)]
    at_subject = effects[POSITIONS.index(LAST_SUBJECT_TOKEN)]
    share = float(at_subject.max()) / (clean - corrupted)
    position: Position = "subject_last" if share >= DECISIVE else "prompt_last"
    if config.position != "traced":
        position = config.position
    if config.layers is not None:
        return WritingSite(position, config.layers, "tracing", share)
    if position == "subject_last":
        high = max(_at_least(at_subject.tolist(), STILL_CARRIED))
        layers = range(max(0, high - config.n_layers + 1), high + 1)
    else:
        at_end = effects[-1].nan_to_num().tolist()
        low = min(_at_least(at_end, ARRIVED))
        layers = range(low, min(low + config.n_layers, max(1, model.n_layers - 1)))
    return WritingSite(position, tuple(layers), "tracing", share)


def _at_least(effects: Sequence[float], share: float) -> list[int]:
    limit = share * max(effects)
    return [layer for layer, effect in enumerate(effects) if effect >= limit]


def _default_site(model: LanguageModel, config: CrossKeyConfig) -> WritingSite:
    position: Position = "subject_last" if config.position == "traced" else config.position
    if config.layers is not None:
        return WritingSite(position, config.layers, "settings")
    high = round(config.default_depth * (model.n_layers - 1))
    layers = tuple(range(max(0, high - config.n_layers + 1), high + 1))
    return WritingSite(position, layers, "depth")


def _check_layers(model: LanguageModel, layers: tuple[int, ...] | None) -> None:
    if layers is not None and layers[-1] >= model.n_layers:
        raise SettingError(
            f"layers {list(layers)} were asked for, and {model.name!r} has layers 0 to "
            f"{model.n_layers - 1}",
            hint="set layers to some that it has, or leave them to be traced",
        )
