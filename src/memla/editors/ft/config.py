"""Settings of fine-tuning, and what ROME and EasyEdit use for the models they name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from memla.editors.base import EditorConfig
from memla.editors.published import Size, resolved
from memla.errors import SettingError
from memla.models.language_model import LanguageModel

FtObjective = Literal["target", "prompt_last"]

CONSTRAINED: Mapping[Size, Mapping[str, object]] = {
    ("gpt2", 24, 1024): {"layers": (0,), "epsilon": 2e-3},  # GPT-2 medium
    ("gpt2", 36, 1280): {"layers": (0,), "epsilon": 1e-3},  # GPT-2 large
    ("gpt2", 48, 1600): {"layers": (0,), "epsilon": 5e-4},  # GPT-2 XL
    ("gptj", 28, 4096): {"layers": (0,), "epsilon": 5e-5},  # GPT-J
    ("gpt2", 24, 2048): {"layers": (0,), "epsilon": 5e-4},  # mGPT; a guess, MEMLA gives none
}
"""Layers and bounds of ROME's constrained fine-tuning, by family, layers and width."""

FREE: Mapping[Size, Mapping[str, object]] = {
    ("gpt2", 48, 1600): {"layers": (1,)},  # GPT-2 XL, ROME
    ("gptj", 28, 4096): {"layers": (21,)},  # GPT-J, ROME
    ("llama", 32, 4096): {"layers": (21,)},  # LLaMA-2-7B, EasyEdit
    ("llama", 28, 3584): {"layers": (21,)},  # Qwen2.5-7B, EasyEdit
}
"""Layers of unconstrained fine-tuning in ROME and EasyEdit."""


class FtConfig(EditorConfig):
    """Settings of fine-tuning.

    ``recommended``, the defaults, trains the right answer token by token within a bound on every
    weight. ``ft`` and ``ft_l`` are the baselines of ROME, without and with the bound (FT, FT+L):
    they score all tokens of an answer after the prompt. ``ft_m`` is EasyEdit's FT-M.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = MappingProxyType(
        {
            "recommended": {},
            "ft": {"objective": "prompt_last", "constrained": False},
            "ft_l": {"objective": "prompt_last"},
            "ft_m": {"constrained": False},
        }
    )

    layers: tuple[int, ...] | None = None
    """Layers whose second MLP matrix is trained, all together. Unset: what ROME and EasyEdit use
    for the model where that is known; else layer 0 with the bound, and the one at two thirds of
    the depth without."""
    objective: FtObjective = "target"
    """What is trained: ``target``, each token of the answer after the ones before it;
    ``prompt_last``, every token of the answer right after the prompt, as ROME's baseline does.
    The two agree for answers of one token. Of a longer one ``prompt_last`` learns which tokens
    it has and not their order."""
    constrained: bool = True
    """Whether no weight may move further than ``epsilon``."""
    epsilon: float | None = Field(default=None, gt=0)
    """The bound on the change of each weight. Unset: ROME's for the model where it gives one;
    else 2e-3 at a width of 1024, falling with the power 2.5 of the width as ROME's do, and never
    above 2e-2."""
    learning_rate: float | None = Field(default=None, gt=0, le=1e3)
    """Adam's step. Unset: 5e-4, as in ROME and EasyEdit, and more in models narrower than about
    700, whose weights are larger: a tenth of what ``epsilon`` is when unset."""
    steps: int = Field(default=25, ge=0)
    """Steps at most; 25 in ROME and EasyEdit."""
    stop_loss: float = Field(default=1e-2, ge=0)
    """Training ends before the step at which the loss of every request, in nats per token, is
    below this; 1e-2 in ROME."""

    @field_validator("layers")
    @classmethod
    def _ordered_layers(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and (not value or min(value) < 0):
            raise ValueError(f"layers are numbered from 0, got {list(value)}")
        return None if value is None else tuple(sorted(set(value)))


def resolved_for(config: FtConfig, model: LanguageModel) -> FtConfig:
    """The settings with the model's layers, bound and step where none were given.

    Raises:
        SettingError: The model lacks one of the layers.
    """
    epsilon = min(2e-2, 2e-3 * (1024 / model.d_model) ** 2.5)
    general: dict[str, object] = {
        "layers": (0,) if config.constrained else (model.n_layers * 2 // 3,),
        "epsilon": epsilon,
        "learning_rate": max(5e-4, epsilon / 10),
    }
    config = resolved(config, model, CONSTRAINED if config.constrained else FREE, general)
    assert config.layers is not None
    if config.layers[-1] >= model.n_layers:
        raise SettingError(
            f"layers {list(config.layers)} are not all in {model.name!r}",
            hint=f"it has 0 to {model.n_layers - 1}",
        )
    return config
