"""Updates of W_proj that least squares gives: MEMIT's, AlphaEdit's, and their spread over layers.

Everything is solved in float64. An update is kept as a product, ``W += adjustment @ residual``,
whose first factor says how strongly each neuron answers for each memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from memla.editors.aligned import Site
from memla.editors.covariance import Covariance
from memla.editors.edits import LowRank
from memla.editors.keys import Memory, attached, look
from memla.errors import EditError
from memla.models.architectures import submodule
from memla.models.language_model import LanguageModel

Share = Literal["linear", "sqrt"]
Update = Callable[[int, Tensor], Tensor]
"""From a layer and its keys [d_ff, n] to the adjustment [d_ff, n]."""

NORM_DAMPING = 1e-4
"""Keeps dimensions that a norm all but removes from being amplified; a share of its mean gain."""


def memit_update(
    covariance: Covariance,
    weight: float,
    keys: Float[Tensor, "d_ff n"],
    *,
    importance: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, "d_ff n"]:
    """The adjustment ``(weight C + K D K^T)^{-1} K D``; MEMIT's where D is the identity.

    With fewer keys than a quarter of the neurons a system of n unknowns is solved instead:
    ``C^{-1} K (weight D^{-1} + K^T C^{-1} K)^{-1}``.

    Args:
        covariance: C of the layer.
        weight: How much what is not edited counts [lambda]; 0 writes the values exactly.
        keys: K, a column for each memory.
        importance: The diagonal of D, not negative; None means 1 for each.

    Raises:
        EditError: The system has no one solution.
    """
    d_ff, n = keys.shape
    keys = keys.double()
    ones = torch.ones(n, dtype=torch.float64)
    root = (ones if importance is None else importance.double()).sqrt()
    scaled = keys * root
    if n > d_ff / 4:
        system = weight * covariance.matrix + scaled @ scaled.T
        return _solve(system, scaled * root, weight)
    directions = covariance.solve(scaled)
    system = scaled.T @ directions + weight * torch.eye(n, dtype=torch.float64)
    return directions @ _solve(system, torch.diag(root), weight)


def null_space(
    covariance: Covariance, threshold: float, *, relative: bool
) -> Float[Tensor, "d_ff k"]:
    """Orthonormal directions in which the counted keys hardly lie: AlphaEdit's projector P = B B^T.

    Args:
        covariance: Gives eigenvalues and eigenvectors.
        threshold: Eigenvalues below it count as nothing.
        relative: Whether it is a share of the mean eigenvalue.

    Raises:
        EditError: No direction is left.
    """
    values, vectors = covariance.eigen()
    limit = threshold * values.mean().item() if relative else threshold
    chosen = vectors[:, values < limit]
    if chosen.shape[1] == 0:
        raise EditError(
            f"no eigenvalue of the keys' covariance is below {limit:.3g}; "
            f"the smallest is {values.min().item():.3g}",
            hint="raise nullspace_threshold, or lower covariance.ridge",
        )
    return chosen


def alphaedit_update(
    basis: Float[Tensor, "d_ff k"],
    keys: Float[Tensor, "d_ff n"],
    preserved: Float[Tensor, "d_ff p"],
    ridge: float,
) -> Float[Tensor, "d_ff n"]:
    """The adjustment ``(P (K K^T + K_p K_p^T) + ridge I)^{-1} P K``.

    Args:
        basis: Orthonormal columns B with P = B B^T.
        keys: K, a column for each memory.
        preserved: K_p, keys at which nothing shall change; may have no columns.
        ridge: What keeps the update small [L2].

    Raises:
        EditError: The system has no one solution.
    """
    n = keys.shape[1]
    # Both forms work with coordinates in the null space, where P is the identity.
    inside = basis.T @ torch.cat([keys, preserved], dim=1).double()
    k, count = inside.shape
    if count <= k / 4:
        system = inside.T @ inside + ridge * torch.eye(count, dtype=torch.float64)
        first = torch.eye(count, dtype=torch.float64)[:, :n]
        return basis @ (inside @ _solve(system, first, ridge))
    system = inside @ inside.T + ridge * torch.eye(k, dtype=torch.float64)
    return basis @ _solve(system, inside[:, :n], ridge)


def spread(
    model: LanguageModel,
    memories: Sequence[Memory],
    targets: Float[Tensor, "n d_model"],
    layers: Sequence[int],
    *,
    site: Site,
    update: Update,
    share: Share = "linear",
) -> dict[int, LowRank]:
    """Write targets at the highest layer by updates of several layers, the lowest first.

    Before each layer, keys and present values are read again with the updates made so far. Each
    layer writes its share of what is still missing.

    Args:
        model: It is left as it is.
        memories: What is written.
        targets: What shall stand at ``site`` of the highest layer at the bare prompts.
        layers: The layers to update.
        site: Where the targets stand.
        update: The adjustment of a layer for its keys.
        share: A layer writes what is missing over the number of layers left, or its root.
    """
    ordered = sorted(layers)
    done: dict[int, LowRank] = {}
    for index, layer in enumerate(ordered):
        left = len(ordered) - index
        with attached(model, done):
            keys, present = look(
                model, memories, key_layers=(layer,), value_layer=ordered[-1], site=site
            )
            missing = (targets.to(present) - present) / (left if share == "linear" else left**0.5)
            if site == "block" and model.architecture.mlp_norm is not None:
                missing = _before_norm(model, memories, layer, missing)
        done[layer] = LowRank(update(layer, keys[layer]), missing)
    return done


def _before_norm(
    model: LanguageModel, memories: Sequence[Memory], layer: int, change: Tensor
) -> Tensor:
    """What to add to W_proj's output so that the norm after it adds ``change`` to the stream.

    Of the norm ``gain * x / rms(x)`` only the linear part is turned round: its gain, and the
    present root mean square.
    """
    _, outputs = look(model, memories, key_layers=(), value_layer=layer, site="mlp")
    norm = cast("nn.Module", submodule(model.block(layer), model.architecture.mlp_norm or ""))
    size = outputs.square().mean(-1, keepdim=True).sqrt()
    # Families store the gain in different ways; a vector of ones shows what it is.
    with torch.no_grad():
        ones = torch.ones(
            1, model.d_model, dtype=model.dtype, device=model.value_rows(layer).device
        )
        gain = norm(ones)[0].to("cpu", torch.float64)
    damping = NORM_DAMPING * gain.square().mean()
    before: Tensor = change * size * gain / (gain.square() + damping)
    return before


def _solve(system: Tensor, right: Tensor, weight: float) -> Tensor:
    """Solve a symmetric positive definite system.

    Raises:
        EditError: It is not, or what comes out is not finite.
    """
    factor, failed = torch.linalg.cholesky_ex(system)
    solution = torch.cholesky_solve(right, factor)
    if failed.item() or not solution.isfinite().all():
        raise EditError(
            f"the update of {right.shape[1]} keys cannot be solved with a weight of {weight:g}",
            hint="raise the weight, write fewer facts at once, or drop those given twice",
        )
    return solution
