"""MEMIT: many facts written into several layers at once, in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Self

from pydantic import Field
from torch import Tensor

from memla.editors.base import edit_info
from memla.editors.closed_form import memit_update
from memla.editors.edits import WeightDelta
from memla.editors.layered import AUTHORS, Kept, LayeredConfig, present
from memla.editors.published import relative_layers, resolved
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel

PUBLISHED: Mapping[tuple[str, int, int], Mapping[str, object]] = {
    ("gpt2", 48, 1600): {  # GPT-2 XL, MEMIT
        "layers": (13, 14, 15, 16, 17),
        "covariance_weight": 20000.0,
    },
    ("gptj", 28, 4096): {  # GPT-J, MEMIT
        "layers": (3, 4, 5, 6, 7, 8),
        "covariance_weight": 15000.0,
        "steps": 25,
    },
    ("llama", 32, 4096): {  # LLaMA-2-7B, EasyEdit
        "layers": (4, 5, 6, 7, 8),
        "covariance_weight": 15000.0,
        "steps": 25,
        "clamp": 4.0,
        "weight_decay": 1e-3,
    },
    ("gpt2", 24, 2048): {  # mGPT; a guess, nothing is published
        "layers": (4, 5, 6, 7, 8),
        "covariance_weight": 15000.0,
    },
}
"""Published settings by family, number of layers and width."""

DEPTH = (0.11, 0.36)
"""Where the layers lie in any other model, as shares of its depth: between the lowest and the
highest of those above."""

GENERAL: Mapping[str, object] = MappingProxyType(
    {
        "steps": 20,
        "learning_rate": 0.5,
        "weight_decay": 0.5,
        "clamp": 0.75,
        "kl_weight": 0.0625,
    }
)
"""How values are found in any other model: as in GPT-2 XL."""


class MemitConfig(LayeredConfig):
    """Settings of MEMIT; the paper's symbols are in brackets."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = MappingProxyType(
        {"recommended": {}, "authors": AUTHORS}
    )

    covariance_weight: float | None = Field(default=None, gt=0)
    """Weight of what the model knows already against what is written [lambda]. Unset: published,
    else ``relative_weight`` times the number of neurons."""
    relative_weight: float = Field(default=0.1, gt=0)
    """That factor. With 1, a key as common as any gets half of its value in one layer. The
    published weights are 0.9 to 3 times the number of neurons, in models whose five or six layers
    share the work. With the two of a small model 1 left four of ten facts unwritten in our trials;
    0.1 left none, and kept 98 of 100 neighbours instead of all."""

    def for_model(self, model: LanguageModel) -> Self:
        """These settings with what is unset filled in for a model."""
        general = {
            **GENERAL,
            "layers": relative_layers(model.n_layers, *DEPTH),
            "covariance_weight": self.relative_weight * model.d_ff,
        }
        return resolved(self, model, PUBLISHED, general)


class MemitEditor:
    """Write facts into several layers at once, as MEMIT does.

    For each request with a new answer, the vector that makes the model give it is found at the
    highest layer. Each layer then writes its share of all vectors by ridge regression against the
    keys of other text. All facts and languages are one solve.

    Args:
        config: Its settings; None means the preset ``recommended``.
    """

    name = "memit"
    config_class = MemitConfig

    def __init__(self, config: MemitConfig | None = None) -> None:
        self.config = config or MemitConfig()
        self._kept = Kept(self.config)

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
            references: Other facts; their statements stand for what the model knows already,
                unless ``covariance.statistics`` names a file.
            seed: Recorded; nothing is drawn.

        Raises:
            EditError: No request has a new answer, there is nothing to take the covariance from,
                or a value or an update is not finite.
            SettingError: The model has not the layers.
        """
        config = self.config.for_model(model)
        weight = present(config.covariance_weight)
        prepared = self._kept.prepare(model, requests, references, config)

        def update(layer: int, keys: Tensor) -> Tensor:
            return memit_update(prepared.covariances[layer], weight, keys)

        deltas, report = prepared.written(prepared.values("block"), site="block", update=update)
        info = edit_info(self, model, requests, seed) | {"covariance_weight": weight}
        return WeightDelta(deltas, prepared.fingerprint, info | report)
