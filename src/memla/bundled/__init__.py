"""Models that come with the package."""

from __future__ import annotations

from pathlib import Path

from memla.errors import ModelError
from memla.registry import unknown_name

MODELS = {"mini": "mini"}
"""Name of a bundled model to its folder in this package."""


def model_path(name: str) -> Path:
    """Folder of a bundled model.

    Raises:
        UnknownNameError: No bundled model has that name.
        ModelError: Its weights were left out of this installation.
    """
    if name not in MODELS:
        raise unknown_name("bundled model", name, MODELS)
    folder = Path(__file__).parent / MODELS[name]
    if not folder.is_dir():
        raise ModelError(
            f"the weights of {name!r} are not in this installation: there is no {folder}",
            hint="install memla from its wheel",
        )
    return folder
