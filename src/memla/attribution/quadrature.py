"""Nodes and weights of the integral over the path from the baseline to the activation."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from memla.attribution.config import QuadratureRule


def quadrature(
    rule: QuadratureRule, steps: int
) -> tuple[Float64[Tensor, " nodes"], Float64[Tensor, " nodes"]]:
    """Nodes in [0, 1] and their weights, which add up to 1.

    ``left`` is what the authors' code of MEMLA takes, ``linspace_inclusive`` what its ancestor
    does: both ends of the path are nodes, and all weigh the same. ``gauss_legendre`` is exact for
    polynomials of degree ``2 * steps - 1``. ``trapezoid`` has ``steps + 1`` nodes.
    """
    if rule == "gauss_legendre":
        roots, root_weights = np.polynomial.legendre.leggauss(steps)
        return torch.from_numpy((roots + 1) / 2), torch.from_numpy(root_weights / 2)
    if rule == "trapezoid":
        weights = torch.full((steps + 1,), 1 / steps, dtype=torch.float64)
        weights[[0, -1]] /= 2
        return torch.arange(steps + 1, dtype=torch.float64) / steps, weights
    weights = torch.full((steps,), 1 / steps, dtype=torch.float64)
    if rule == "linspace_inclusive":
        return torch.linspace(0, 1, steps, dtype=torch.float64), weights
    offset = {"left": 0.0, "midpoint": 0.5, "right": 1.0}[rule]
    return (torch.arange(steps, dtype=torch.float64) + offset) / steps, weights
