"""PMET: the MLP's value is found beside one of the attention, and only the MLP's is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar, Self

from pydantic import Field
from torch import Tensor

from memla.editors.base import edit_info
from memla.editors.closed_form import memit_update
from memla.editors.edits import WeightDelta
from memla.editors.layered import AUTHORS, Kept, LayeredConfig, present
from memla.editors.memit import DEPTH
from memla.editors.published import relative_layers, resolved
from memla.editors.values import ValueSettings
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel

PUBLISHED: Mapping[tuple[str, int, int], Mapping[str, object]] = {
    ("gptj", 28, 4096): {  # GPT-J, PMET
        "layers": (3, 4, 5, 6, 7, 8),
        "covariance_weight": 15000.0,
        "steps": 30,
        "learning_rate": 0.2,
        "clamp": 0.75,
        "kl_weight": 1.0,
    },
    ("llama", 32, 4096): {  # LLaMA-2-7B, EasyEdit
        "layers": (4, 5, 6, 7, 8),
        "covariance_weight": 15000.0,
        "steps": 20,
        "learning_rate": 0.5,
        "clamp": 1.0,
        "kl_weight": 0.0625,
    },
    ("gpt2", 24, 2048): {  # mGPT; a guess, GPT-J's
        "layers": (4, 5, 6, 7, 8),
        "covariance_weight": 15000.0,
        "steps": 30,
        "learning_rate": 0.2,
        "clamp": 0.75,
        "kl_weight": 1.0,
    },
}
"""Published settings by family, number of layers and width."""

GENERAL: Mapping[str, object] = MappingProxyType(
    {
        "steps": 30,
        "learning_rate": 0.5,
        "weight_decay": 0.5,
        "clamp": 4.0,
        "kl_weight": 0.0625,
    }
)
"""How values are found in any other model: nearest to LLaMA's. What the MLP of one layer returns
is short beside the residual stream, and in shallow models a bound of 0.75 or 1 of its lengths lets
no answer through."""


class PmetConfig(LayeredConfig):
    """Settings of PMET; the paper's symbols are in brackets."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = MappingProxyType(
        {"recommended": {}, "authors": AUTHORS}
    )

    covariance_weight: float | None = Field(default=None, gt=0)
    """Weight of what the model knows already against what is written [lambda]. Unset: published,
    else ``relative_weight`` times the number of neurons."""
    relative_weight: float = Field(default=0.1, gt=0)
    """That factor; smaller than the published 0.9 to 1.4, as in MEMIT here."""
    known_nll_factor: float = Field(default=0.1, ge=0)
    """What the negative log-likelihood is multiplied by while the new answer is the most likely
    one, token by token [0.1]. The authors' code compares probabilities for equality instead."""
    stop_kl: float = Field(default=0.01, ge=0)
    """Then a value is also left as it is once its divergence is at most this [0.01]."""

    def for_model(self, model: LanguageModel) -> Self:
        """These settings with what is unset filled in for a model."""
        general = {
            **GENERAL,
            "layers": relative_layers(model.n_layers, *DEPTH),
            "covariance_weight": self.relative_weight * model.d_ff,
        }
        return resolved(self, model, PUBLISHED, general)

    def value_settings(self) -> ValueSettings:
        """How values are optimised, once what is unset has been filled in."""
        return replace(
            super().value_settings(),
            known_nll_factor=self.known_nll_factor,
            stop_kl=self.stop_kl,
        )


class PmetEditor:
    """Write what the MLP should return, found together with what the attention should.

    Two vectors are added in the highest layer, to the output of the attention and to that of the
    MLP, and found together. The attention is not changed: its vector only takes up what the MLP
    need not learn. The MLP's is spread over the layers, each of which writes what is missing over
    the root of the number of layers left.

    Args:
        config: Its settings; None means the preset ``recommended``.
    """

    name = "pmet"
    config_class = PmetConfig

    def __init__(self, config: PmetConfig | None = None) -> None:
        self.config = config or PmetConfig()
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
            UnsupportedArchitectureError: The highest layer has no attention.
        """
        config = self.config.for_model(model)
        weight = present(config.covariance_weight)
        prepared = self._kept.prepare(model, requests, references, config)

        def update(layer: int, keys: Tensor) -> Tensor:
            return memit_update(prepared.covariances[layer], weight, keys)

        values = prepared.values("mlp", extra_sites=("attention",))
        deltas, report = prepared.written(values, site="mlp", update=update, share="sqrt")
        info = edit_info(self, model, requests, seed) | {"covariance_weight": weight}
        return WeightDelta(deltas, prepared.fingerprint, info | report)
