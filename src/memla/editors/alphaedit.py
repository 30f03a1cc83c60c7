"""AlphaEdit: MEMIT's values, written only in directions that keys of other text do not use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from memla.editors.base import edit_info, generator_for
from memla.editors.closed_form import alphaedit_update, null_space
from memla.editors.covariance import Covariance
from memla.editors.edits import WeightDelta
from memla.editors.keys import look, memory_of
from memla.editors.layered import AUTHORS, Kept, LayeredConfig, Prepared
from memla.editors.memit import DEPTH, GENERAL, PUBLISHED
from memla.editors.published import relative_layers, resolved
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel

VALUES: Mapping[tuple[str, int, int], Mapping[str, object]] = MappingProxyType(
    {
        model: {name: value for name, value in settings.items() if name != "covariance_weight"}
        for model, settings in PUBLISHED.items()
    }
)
"""Layers and values as in MEMIT, on which AlphaEdit is built."""


class AlphaEditConfig(LayeredConfig):
    """Settings of AlphaEdit; the paper's symbols are in brackets."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = MappingProxyType(
        {
            "recommended": {},
            "authors": {
                "nullspace_scale": "absolute",
                "l2": 10.0,
                "preserve": "none",
                "covariance": {"ridge": 0.0},
                **AUTHORS,
            },
        }
    )

    nullspace_threshold: float = Field(default=2e-2, gt=0)
    """Eigenvalues of the covariance below it count as nothing; their eigenvectors span what may be
    changed [2e-2]."""
    nullspace_scale: Literal["relative", "absolute"] = "relative"
    """Whether the threshold is a share of the mean eigenvalue, or a number as in the authors'
    code, which fits the models it was chosen for."""
    l2: float | None = Field(default=None, gt=0)
    """What keeps an update small; 10 in the authors' code. Unset: ``relative_l2`` times the mean
    squared length of the keys inside the null space."""
    relative_l2: float = Field(default=0.01, gt=0)
    """That factor. Of the value of a single fact each layer leaves about this much of its share
    unwritten."""
    preserve: Literal["references", "none"] = "references"
    """Keys besides the null space at which nothing shall change [K_p]: those of reference facts at
    their subjects' last tokens. The paper keeps the keys of earlier edits; they can be given as
    references."""
    preserve_facts: int = Field(default=64, ge=1)
    """Statements of reference facts at most whose keys are preserved; drawn with the edit's
    seed."""

    def for_model(self, model: LanguageModel) -> Self:
        """These settings with what is unset filled in for a model."""
        general = {**GENERAL, "layers": relative_layers(model.n_layers, *DEPTH)}
        return resolved(self, model, VALUES, general)


class AlphaEditEditor:
    """Write facts as MEMIT does, projected on what keys of other text hardly use.

    The projection keeps what the model returns for other text as it is, so updates need no
    covariance to hold them back, only a small ridge.

    Args:
        config: Its settings; None means the preset ``recommended``.
    """

    name = "alphaedit"
    config_class = AlphaEditConfig

    def __init__(self, config: AlphaEditConfig | None = None) -> None:
        self.config = config or AlphaEditConfig()
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
            references: Other facts; their keys are preserved, and their statements stand for
                other text, unless ``covariance.statistics`` names a file.
            seed: Decides, together with the facts' names, whose keys are preserved.

        Raises:
            EditError: No request has a new answer, there is nothing to take the covariance from,
                no direction is left to write in, or a value or an update is not finite.
            SettingError: The model has not the layers.
        """
        config = self.config.for_model(model)
        prepared = self._kept.prepare(model, requests, references, config)
        values = prepared.values("block")
        solve = _Solve(prepared.covariances, _preserved(prepared, config, seed), config)
        deltas, report = prepared.written(values, site="block", update=solve)
        info = edit_info(self, model, requests, seed) | {"null_space": solve.report}
        return WeightDelta(deltas, prepared.fingerprint, info | report)


class _Solve:
    """AlphaEdit's update of a layer, and what it was made with."""

    def __init__(
        self,
        covariances: Mapping[int, Covariance],
        preserved: Mapping[int, Tensor],
        config: AlphaEditConfig,
    ) -> None:
        self.report: dict[str, dict[str, float]] = {}
        self._covariances = covariances
        self._preserved = preserved
        self._config = config

    def __call__(self, layer: int, keys: Tensor) -> Tensor:
        config, kept = self._config, self._preserved[layer]
        basis = null_space(
            self._covariances[layer],
            config.nullspace_threshold,
            relative=config.nullspace_scale == "relative",
        )
        inside = float((basis.T @ keys).square().sum(0).mean())
        ridge = config.relative_l2 * inside if config.l2 is None else config.l2
        self.report[str(layer)] = {
            "dimensions": basis.shape[1],
            "share_of_keys": inside / float(keys.square().sum(0).mean()),
            "l2": ridge,
            "preserved": kept.shape[1],
        }
        return alphaedit_update(basis, keys, kept, ridge)


def _preserved(prepared: Prepared, config: AlphaEditConfig, seed: int) -> Mapping[int, Tensor]:
    """Keys of reference facts by layer, drawn without regard to their order."""
    model, layers = prepared.model, prepared.layers
    pool = sorted(set(prepared.others), key=lambda one: (one.fact, one.language, one.text))
    if config.preserve == "none" or not pool:
        return {layer: torch.zeros(model.d_ff, 0, dtype=torch.float64) for layer in layers}
    facts = sorted({request.fact for request in prepared.targets})
    order = torch.randperm(len(pool), generator=generator_for(seed, "preserve", *facts))
    drawn = [pool[index] for index in order[: config.preserve_facts].tolist()]
    memories = [memory_of(model, one, ("",)) for one in drawn]
    keys, _ = look(model, memories, key_layers=layers, value_layer=layers[-1], site="block")
    return keys
