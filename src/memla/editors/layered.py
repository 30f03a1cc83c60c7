"""What MEMIT, AlphaEdit and PMET have in common: settings, and from values to an edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal, TypeVar

import torch
from pydantic import Field, field_validator

from memla.editors.base import EditorConfig, written
from memla.editors.closed_form import Share, Update, spread
from memla.editors.contexts import ContextConfig, Contexts
from memla.editors.covariance import Covariance, CovarianceConfig, Covariances
from memla.editors.edits import LowRank
from memla.editors.in_force import unedited
from memla.editors.keys import attached, look, memory_of
from memla.editors.values import Site, Value, ValueSettings, optimize_values
from memla.errors import SettingError
from memla.facts import EditRequest, other_facts
from memla.models.language_model import LanguageModel

Setting = TypeVar("Setting")

AUTHORS: Mapping[str, object] = MappingProxyType(
    {
        "kl_position": "subject_last",
        "kl_direction": "after_before",
        "contexts": {"language": "en", "n_short": 0, "n_long": 5},
    }
)
"""Where the code of MEMIT's authors, on which the others are built, differs from the paper."""


class LayeredConfig(EditorConfig):
    """Settings of the editors that write a value into several layers.

    What is unset is taken from the paper or its authors' code where they name the model.
    """

    layers: tuple[int, ...] | None = None
    """Layers that are updated, from 0, the lowest first; the values are found at the highest.
    Unset: the published ones, else by depth."""

    steps: int | None = Field(default=None, ge=1)
    """How often the loss of a value is looked at; there is one update fewer. Unset: published,
    else 20, for PMET 30."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Adam's step. Unset: published, else 0.5."""
    weight_decay: float | None = Field(default=None, ge=0)
    """Weight of ``||delta|| / ||start||^2``. Unset: published, else 0.5."""
    clamp: float | None = Field(default=None, gt=0)
    """Longest a value's change may be, in lengths of what stands there. Unset: published, else
    0.75, for PMET 4."""
    kl_weight: float | None = Field(default=None, ge=0)
    """Weight of the divergence of the next token after "<subject> is a". Unset: published, else
    0.0625."""
    kl_position: Literal["prompt_last", "subject_last"] = "prompt_last"
    """Which next token that is: the one after the phrase, or, as in the authors' code, the one
    after the subject."""
    kl_direction: Literal["before_after", "after_before"] = "before_after"
    """KL(before || after), or the other way round, as in the authors' code."""
    stop_loss: float = Field(default=0.05, ge=0)
    """A value is left as it is once its loss is below this [0.05]."""

    contexts: ContextConfig = Field(default_factory=lambda: ContextConfig(n_short=0, n_long=5))
    """Texts before the prompt, so that neither value nor key depends on how a text begins. Five
    of ten tokens, as in MEMIT."""
    covariance: CovarianceConfig = Field(default_factory=CovarianceConfig)
    """How keys of other text are spread [C]."""

    @field_validator("layers")
    @classmethod
    def _ordered_layers(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and (not value or min(value) < 0):
            raise ValueError(f"layers are numbered from 0 and at least one is needed: {value}")
        return None if value is None else tuple(sorted(set(value)))

    def value_settings(self) -> ValueSettings:
        """How values are optimised, once what is unset has been filled in."""
        return ValueSettings(
            steps=present(self.steps),
            learning_rate=present(self.learning_rate),
            weight_decay=present(self.weight_decay),
            clamp=present(self.clamp),
            kl_weight=present(self.kl_weight),
            kl_position=self.kl_position,
            kl_direction=self.kl_direction,
            stop_loss=self.stop_loss,
        )

    def layers_in(self, model: LanguageModel) -> tuple[int, ...]:
        """The layers that are updated, once what is unset has been filled in.

        Raises:
            SettingError: The model does not have them.
        """
        layers = present(self.layers)
        if layers[-1] >= model.n_layers:
            raise SettingError(
                f"layers {list(layers)} were asked for, and {model.name!r} has layers 0 to "
                f"{model.n_layers - 1}",
                hint="set layers to some that it has",
            )
        return layers


def present(value: Setting | None) -> Setting:
    """A setting that has been filled in."""
    assert value is not None
    return value


class Kept:
    """What an editor keeps between edits: contexts and covariances, by model and content."""

    def __init__(self, config: LayeredConfig) -> None:
        self._contexts = Contexts(config.contexts)
        self._covariances = Covariances(config.covariance)

    def prepare(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        references: Sequence[EditRequest],
        config: LayeredConfig,
    ) -> Prepared:
        """Gather what an edit is made from.

        Args:
            model: The model to edit.
            requests: Those with a new answer are written.
            references: Other facts; those of the edited facts themselves are ignored.
            config: Settings with what was unset filled in.

        Raises:
            EditError: There is nothing to write, or nothing to take the covariance from.
            SettingError: The model has not the layers.
        """
        targets, layers = written(requests), config.layers_in(model)
        own = {request.fact for request in requests}
        others = other_facts(references, own)
        languages = sorted({request.language for request in targets})
        with unedited(model) as weights:
            covariances = self._covariances.get(model, others, layers, fingerprint=weights)
            prefixes = {
                language: self._contexts.get(model, language, fingerprint=weights)
                for language in languages
            }
        return Prepared(
            model=model,
            targets=targets,
            others=others,
            layers=layers,
            fingerprint=model.fingerprint(),
            covariances=covariances,
            covariance_source=self._covariances.describe(),
            prefixes=prefixes,
            value_settings=config.value_settings(),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What one edit is made from."""

    model: LanguageModel
    targets: tuple[EditRequest, ...]
    """The requests that are written."""
    others: tuple[EditRequest, ...]
    """The references that are other facts."""
    layers: tuple[int, ...]
    fingerprint: str
    """Of the model's weights."""
    covariances: Mapping[int, Covariance]
    covariance_source: Mapping[str, object]
    prefixes: Mapping[str, tuple[str, ...]]
    """Texts before prompts, by language."""
    value_settings: ValueSettings

    def values(self, site: Site, *, extra_sites: Sequence[Site] = ()) -> list[Value]:
        """The vector of each target, found at the highest layer."""
        return optimize_values(
            self.model,
            self.targets,
            layer=self.layers[-1],
            site=site,
            extra_sites=extra_sites,
            prefixes=self.prefixes,
            settings=self.value_settings,
        )

    def written(
        self, values: Sequence[Value], *, site: Site, update: Update, share: Share = "linear"
    ) -> tuple[dict[int, LowRank], dict[str, object]]:
        """Write all values in one solve for each layer, and see what came of it.

        Returns:
            The updates by layer, in float32 or the model's type if it is wider, and how the edit
            was made and went, in types that JSON has.
        """
        model, layers = self.model, self.layers
        memories = [memory_of(model, one, self.prefixes[one.language]) for one in self.targets]
        targets = torch.stack([value.target for value in values]).double()
        made = spread(model, memories, targets, layers, site=site, update=update, share=share)
        dtype = torch.promote_types(model.dtype, torch.float32)
        deltas = {
            layer: LowRank(part.up.to(dtype), part.down.to(dtype)) for layer, part in made.items()
        }
        with attached(model, deltas):
            _, now = look(model, memories, key_layers=(), value_layer=layers[-1], site=site)
            scores = model.log_probs(
                [request.text for request in self.targets],
                [request.target_new or "" for request in self.targets],
                [request.language for request in self.targets],
            )
        missing = (targets - now).norm(dim=-1).tolist()
        return deltas, {
            "layers": list(layers),
            "value_settings": asdict(self.value_settings),
            "covariance": dict(self.covariance_source),
            "prefixes": {code: list(texts) for code, texts in self.prefixes.items()},
            "values": [
                value.report() | {"missing_norm": left, "probability_edited": score.probability}
                for value, left, score in zip(values, missing, scores, strict=True)
            ],
            "updates": {str(layer): _sizes(model, layer, part) for layer, part in deltas.items()},
        }


def _sizes(model: LanguageModel, layer: int, part: LowRank) -> dict[str, float]:
    """Frobenius norm of an update, and as a share of its weight's."""
    up, down = part.up.double(), part.down.double()
    squared = ((up.T @ up) * (down @ down.T)).sum().clamp(min=0)
    dtype = torch.promote_types(model.dtype, torch.float32)
    weight = torch.linalg.vector_norm(model.value_rows(layer), dtype=dtype)
    norm = float(squared.sqrt())
    return {"norm": norm, "share_of_weight": norm / max(float(weight), 1e-12)}
