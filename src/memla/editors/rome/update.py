"""The smallest update of a layer that maps keys to values exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from memla.editors.covariance import Covariance
from memla.editors.edits import LowRank
from memla.editors.keys import Memory, look
from memla.editors.values import Value
from memla.errors import EditError
from memla.models.language_model import LanguageModel

SAME_KEY = 1e-9
"""Keys are too alike to be given different values if the smallest eigenvalue of the matrix of
their cosines is below this: their rounding errors would decide the edit."""


def rome_update(
    model: LanguageModel,
    layer: int,
    values: Mapping[Memory, Value],
    covariance: Covariance,
    key_mode: Literal["consistent", "authors"],
) -> tuple[LowRank, dict[str, object]]:
    """The update that maps each memory's key to its value, and its sizes.

    With the keys K, C^{-1}K and the values V that W lacks at K, it is
    ``C^{-1}K (K^T C^{-1}K)^{-1} V``. The authors' code has bare keys in place of the second K.
    """
    memories = list(values)
    bare = [Memory((memory.bare,), (1.0,), memory.bare) for memory in memories]
    tables, _ = look(model, [*memories, *bare], key_layers=(layer,), value_layer=layer, site="mlp")
    keys, bare_keys = tables[layer].split(len(memories), dim=1)
    solved = covariance.solve(keys)
    _check_apart(keys.T @ solved)
    used = keys if key_mode == "consistent" else bare_keys
    wanted = torch.stack([value.target for value in values.values()]).double()
    missing = wanted - _written_at(model, layer, used)
    up = torch.linalg.solve(used.T @ solved, solved, left=False)
    dtype = torch.promote_types(model.dtype, torch.float32)
    weight = torch.linalg.vector_norm(model.value_rows(layer), dtype=dtype)
    norm = float(((up.T @ up) * (missing @ missing.T)).sum().clamp(min=0).sqrt())
    agreement = (bare_keys * solved).sum(0) / (keys * solved).sum(0)
    if not (up.isfinite().all() and missing.isfinite().all()):
        raise EditError(
            f"the update of layer {layer} is not finite",
            hint="load the model in float32, or set key_mode='consistent'",
        )
    return LowRank(up.to(dtype), missing.to(dtype)), {
        "norm": norm,
        "share_of_weight": norm / max(float(weight), 1e-12),
        "bare_key_agreement": agreement.tolist(),
    }


def _written_at(
    model: LanguageModel, layer: int, keys: Float[Tensor, "d_ff n"]
) -> Float[Tensor, "n d_model"]:
    """What W_proj returns for keys, its bias included, in float64."""
    bias = getattr(model.down_projection(layer), "bias", None)
    found = keys.T @ model.value_rows(layer).to("cpu", torch.float64)
    return found if bias is None else found + bias.detach().to("cpu", torch.float64)


def _check_apart(products: Float[Tensor, "n n"]) -> None:
    """Make sure that no key is a combination of the others.

    Raises:
        EditError: One is.
    """
    lengths = products.diagonal().sqrt()
    cosines = products / lengths / lengths[:, None]
    smallest = float(torch.linalg.eigvalsh((cosines + cosines.T) / 2)[0])
    if not smallest > SAME_KEY:
        raise EditError(
            f"{len(products)} requests have keys that cannot be told apart "
            f"(least eigenvalue of their cosines: {smallest:.1g})",
            hint="leave out requests that say the same of one subject, or edit them one by one",
        )
