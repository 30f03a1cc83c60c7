"""Settings of ROME, and those that are published for some models."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field

from memla.editors.base import EditorConfig
from memla.editors.contexts import ContextConfig
from memla.editors.covariance import CovarianceConfig
from memla.editors.layered import present
from memla.editors.published import relative_layers, resolved
from memla.editors.values import ValueSettings
from memla.errors import SettingError
from memla.models.language_model import LanguageModel

PUBLISHED: Mapping[tuple[str, int, int], Mapping[str, object]] = MappingProxyType(
    {
        ("gpt2", 24, 1024): {"layer": 8, "clamp": 3.0},  # GPT-2 medium, ROME's code
        ("gpt2", 36, 1280): {"layer": 12},  # GPT-2 large, ROME's code
        ("gpt2", 48, 1600): {"layer": 17},  # GPT-2 XL, ROME
        ("gptj", 28, 4096): {"layer": 5},  # GPT-J, ROME's code
        # LLaMA-2-7B and Qwen2.5-7B, EasyEdit
        ("llama", 32, 4096): {"layer": 5, "steps": 25, "weight_decay": 1e-3},
        ("llama", 28, 3584): {"layer": 5, "steps": 25, "weight_decay": 1e-3},
    }
)
"""Published settings by family, number of layers and width."""

DEPTH = 0.35
"""Where the layer lies in any other model, as a share of its depth: as in GPT-2 XL."""

GENERAL: Mapping[str, object] = MappingProxyType(
    {"steps": 20, "learning_rate": 0.5, "weight_decay": 0.5, "clamp": 4.0, "kl_weight": 0.0625}
)
"""How values are found in any other model: as in GPT-2 XL."""


class RomeConfig(EditorConfig):
    """Settings of ROME; the paper's symbols are in brackets.

    What is unset is taken from the paper or its authors' code where they name the model. Presets:

    ``recommended``
        The defaults: the averaged key, of which the bare prompt is one half, is used throughout;
        five texts come before the prompt, in the prompt's language; and the divergence is taken
        after "<subject> is a".
    ``authors``
        What the published code does: the key is a plain mean, but the update divides by that of
        the bare prompt; twenty texts come before the prompt, in English whatever its language;
        and the divergence is that of the subject's last token, the other way round.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = MappingProxyType(
        {
            "recommended": {},
            "authors": {
                "key_mode": "authors",
                "average": "uniform",
                "kl_position": "subject_last",
                "kl_direction": "after_before",
                "contexts": {"n_short": 10, "n_long": 10, "language": "en"},
            },
        }
    )

    layer: int | None = Field(default=None, ge=0)
    """Layer that is changed, from 0 [l*]. Unset: the published one, else at 0.35 of the depth;
    `memla trace` shows where a model recalls its facts."""
    key_mode: Literal["consistent", "authors"] = "consistent"
    """Which key the update is made for: the averaged one, which it then maps to the value exactly
    [k*]; or, as in the authors' code, the direction of the averaged key with the size of the bare
    prompt's, which sometimes ruins the model."""

    average: Literal["by_kind", "uniform"] = "by_kind"
    """What the averaged key is: ``by_kind`` counts the bare prompt one half and all texts with
    something before it together the other half, as MEMIT does; ``uniform`` is ROME's plain mean,
    in which the bare prompt is one of many and may keep its old value."""

    steps: int | None = Field(default=None, ge=1)
    """How often the loss of a value is looked at; there is one update fewer. Unset: published,
    else 20."""
    learning_rate: float | None = Field(default=None, gt=0, le=1e3)
    """Adam's step. Unset: 0.5."""
    weight_decay: float | None = Field(default=None, ge=0)
    """Weight of ``||delta|| / ||start||^2``. Unset: published, else 0.5."""
    clamp: float | None = Field(default=None, gt=0)
    """Longest a value's change may be, in lengths of what stands there. Unset: published, else
    4."""
    kl_weight: float | None = Field(default=None, ge=0)
    """Weight of the divergence of the next token after "<subject> is a". Unset: 0.0625."""
    kl_position: Literal["prompt_last", "subject_last"] = "prompt_last"
    """Which next token that is: the one after the phrase, or, as in the authors' code, the one
    after the subject."""
    kl_direction: Literal["before_after", "after_before"] = "before_after"
    """KL(before || after), or the other way round, as in the paper."""
    stop_loss: float = Field(default=0.05, ge=0)
    """A value is left as it is once its loss is below this; 0.05 in the authors' code."""

    contexts: ContextConfig = Field(default_factory=lambda: ContextConfig(n_short=0, n_long=5))
    """Texts before the prompt, so that neither value nor key depends on how a text begins [x_j].
    Five, as in MEMIT, gave edits that held more often in our trials than ROME's twenty, for a
    quarter of the time."""
    covariance: CovarianceConfig = Field(default_factory=CovarianceConfig)
    """How keys of other text are spread [C]."""

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

    def resolved_for(self, model: LanguageModel) -> RomeConfig:
        """The settings with what is unset filled in for a model.

        Raises:
            SettingError: The model does not have the layer.
        """
        general = {**GENERAL, "layer": relative_layers(model.n_layers, DEPTH, DEPTH)[0]}
        filled = resolved(self, model, PUBLISHED, general)
        if present(filled.layer) >= model.n_layers:
            raise SettingError(
                f"layer {filled.layer} was asked for, and {model.name!r} has layers 0 to "
                f"{model.n_layers - 1}",
                hint="set layer to one that it has",
            )
        return filled
