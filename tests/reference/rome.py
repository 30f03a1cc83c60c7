"""ROME's update as it is defined: the least change under C that gives keys their values.

The condition is solved as it stands, by the equations of a constrained minimum; keys are read one
text at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from memla.facts import EditRequest
from memla.models.language_model import LanguageModel
from tests.reference.values import token_of_character

Matrix = NDArray[np.float64]


def key_after(model: LanguageModel, request: EditRequest, prefix: str, layer: int) -> Matrix:
    """Input of the layer's W_proj at the subject's last token."""
    text = prefix + request.text
    place = token_of_character(model, text, len(prefix) + request.subject_span[1] - 1)
    seen = []

    def note(_module, args):
        seen.append(args[0].reshape(-1, model.d_ff)[place])

    handle = model.down_projection(layer).register_forward_pre_hook(note)
    with torch.no_grad():
        model.model(input_ids=torch.tensor([model.tokenizer(text)["input_ids"]]))
    handle.remove()
    return seen[0].double().numpy()


def averaged_key(
    model: LanguageModel,
    request: EditRequest,
    prefixes: Sequence[str],
    layer: int,
    *,
    by_kind: bool = False,
) -> Matrix:
    """The mean over texts before the prompt, or of the bare prompt and the mean of the others."""
    keys = [key_after(model, request, prefix, layer) for prefix in prefixes]
    if by_kind:
        return np.mean([keys[0], np.mean(keys[1:], axis=0)], axis=0)
    return np.mean(keys, axis=0)


def least_change(covariance: Matrix, keys: Matrix, missing: Matrix) -> Matrix:
    """The D of shape [d_ff, d_model] with the least tr(D^T C D) for which keys^T D = missing.

    Args:
        covariance: C.
        keys: One column for each key.
        missing: One row for each key: what its value lacks.
    """
    n, d_ff = keys.shape[1], len(covariance)
    system = np.block([[covariance, keys], [keys.T, np.zeros((n, n))]])
    right = np.vstack([np.zeros((d_ff, missing.shape[1])), missing])
    return np.linalg.solve(system, right)[:d_ff]
