"""Settings that papers give for some models, and what takes their place for any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from memla.editors.base import EditorConfig
from memla.models.language_model import LanguageModel

Config = TypeVar("Config", bound=EditorConfig)
Size = tuple[str, int, int]
"""Family, number of layers, and width: what tells published models from each other. Names and
folders are never looked at."""


def resolved(
    config: Config,
    model: LanguageModel,
    published: Mapping[Size, Mapping[str, object]],
    general: Mapping[str, object],
) -> Config:
    """Fill in settings that are None: the published ones of the model, else the general ones.

    Args:
        config: Settings; those that are set stay as they are.
        model: The model they are for.
        published: Settings by family, number of layers and width.
        general: Settings for any other model, and those a publication leaves open.
    """
    size = (model.architecture.family, model.n_layers, model.d_model)
    given = {**general, **published.get(size, {})}
    open_settings = {name: value for name, value in given.items() if getattr(config, name) is None}
    return type(config).model_validate(config.model_dump() | open_settings)


def is_published(model: LanguageModel, published: Mapping[Size, Mapping[str, object]]) -> bool:
    """Whether there are published settings for a model of this family and size."""
    return (model.architecture.family, model.n_layers, model.d_model) in published


def relative_layers(n_layers: int, lowest: float, highest: float) -> tuple[int, ...]:
    """Layers between two depths, at least one.

    Args:
        n_layers: Number of the model's layers.
        lowest: Depth of the first, in [0, 1]: 0 is layer 0, 1 the last.
        highest: Depth of the last, no less.
    """
    first, last = (round(depth * (n_layers - 1)) for depth in (lowest, highest))
    return tuple(range(first, last + 1))
