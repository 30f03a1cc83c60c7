"""The coefficient c of eq. 8: how much of a layer's trained update is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from memla.editors.memla.adapters import LayerEditors
from memla.editors.memla.config import CoefficientMode
from memla.editors.memla.objective import Evaluation

SEARCHED = tuple(value / 10 for value in range(3, 11))
"""Coefficients that ``search`` tries, the smallest first."""
SEARCH_PROBABILITY = 0.9

Scale = Callable[[], "Tensor | float"]


def gauss_sigmoid(rho: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Damp large updates: 0.65 exp(-rho^2 / 2) + 0.4 sigmoid(2 rho).

    0.85 for a small update, 0.75 when it is as large as the weight, 0.4 when it is far larger.

    Args:
        rho: Frobenius norm of the update over that of the weight.
    """
    return 0.65 * torch.exp(-(rho**2) / 2) + 0.4 * torch.sigmoid(2 * rho)


def weight_norm(weight: Float[Tensor, "d_ff d_model"]) -> float:
    """Frobenius norm of a weight, summed in float32 or wider."""
    wide = torch.promote_types(weight.dtype, torch.float32)
    return float(torch.linalg.vector_norm(weight, dtype=wide))


def relative_size(editors: LayerEditors, norm: float) -> Float[Tensor, ""]:
    """Size of a layer's update as a share of its weight [rho]."""
    return editors.norm() / max(norm, 1e-12)


def scales(
    mode: CoefficientMode,
    value: float,
    editors: Mapping[int, LayerEditors],
    norms: Mapping[int, float],
) -> dict[int, Scale]:
    """By layer: what its contribution is multiplied by, worked out anew at each call.

    Args:
        mode: Which function; ``search`` starts from 1.
        value: The constant of ``constant``.
        editors: By layer.
        norms: Frobenius norm of each layer's weight.
    """

    def damped(layer: int) -> Tensor:
        return gauss_sigmoid(relative_size(editors[layer], norms[layer]))

    if mode == "gauss_sigmoid":
        return {layer: partial(damped, layer) for layer in editors}
    constant = value if mode == "constant" else 1.0
    return dict.fromkeys(editors, lambda: constant)


def search(evaluate: Callable[[float], Evaluation]) -> float:
    """The smallest coefficient with which every new answer is probable and beats the old; else 1.

    Args:
        evaluate: The objective with all updates multiplied by a coefficient.
    """
    for value in SEARCHED:
        now = evaluate(value)
        if now.exceeds(SEARCH_PROBABILITY) and now.beats_old():
            return value
    return 1.0
