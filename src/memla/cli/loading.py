"""Load a model for a command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memla.models.language_model import LanguageModel

SMALL = 50_000_000
"""Weights below which a second thread costs more than it gives, and a hundred times more while
another program keeps the processor busy."""


def load(
    name: str, *, revision: str | None = None, dtype: str = "float32", device: str = "cpu"
) -> LanguageModel:
    """The model, in a process that uses one thread if the model is small.

    ``OMP_NUM_THREADS`` has the last word.

    Raises:
        ModelError: The model cannot be loaded.
    """
    import torch

    from memla.models.loading import load_model

    loaded = load_model(name, revision=revision, dtype=dtype, device=device)
    n_weights = sum(weight.numel() for weight in loaded.model.parameters())
    if n_weights < SMALL and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return loaded
