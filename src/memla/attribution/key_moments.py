"""Sums of h h^T over many keys, batch by batch, and the checkpoint from which they continue.

Every row of a batch has its language's weight, so that one sum for each layer is enough, however
many languages there are. Products are taken in float32 (float64 for models in float64, and where
it is asked for) and added to a total in float64.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from memla.attribution.key_texts import KeyPosition, KeyRow
from memla.attribution.statistics_files import read_file, write_file
from memla.errors import DataError, ModelError
from memla.models.hooks import replace_input, stopped_after
from memla.models.language_model import LanguageModel

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many tokens are done, and how many there are."""

STRIPES = 4
"""Into how many a product's rows are cut; the lower half of the matrix is mostly left out."""
CHECKPOINT_SHARE = 0.05
"""Most of the time that goes into writing checkpoints."""


@dataclass(slots=True)
class Checkpoint:
    """A file from which a pass that was interrupted continues.

    Args:
        path: The file.
        key: What the pass is made of; a checkpoint of another one is not continued.
        seconds: Least time between two checkpoints.
    """

    path: Path
    key: Sequence[object]
    seconds: float
    _due: float = 0.0

    def read(self) -> tuple[int, dict[int, Tensor]] | None:
        """How many batches are done, and the totals; None if there is nothing to continue."""
        self._due = time.monotonic() + self.seconds
        try:
            header, tensors = read_file(self.path)
        except DataError:  # there is none, or it is damaged: both mean to start anew
            return None
        if header.get("key") != list(self.key) or not isinstance(header.get("done"), int):
            return None
        return header["done"], {int(name): total for name, total in tensors.items()}

    def write(self, done: int, totals: Mapping[int, Tensor]) -> None:
        """Keep the totals after so many batches, if it is time."""
        start = time.monotonic()
        if start < self._due:
            return
        tensors = {str(layer): total for layer, total in totals.items()}
        write_file(self.path, {"key": list(self.key), "done": done}, tensors)
        now = time.monotonic()
        self._due = now + max(self.seconds, (now - start) / CHECKPOINT_SHARE)

    def clear(self) -> None:
        """Remove the file: the pass is complete."""
        self.path.unlink(missing_ok=True)


@torch.no_grad()
def sum_moments(
    model: LanguageModel,
    rows: Sequence[KeyRow],
    weights: Mapping[str, float],
    layers: Sequence[int],
    *,
    position: KeyPosition,
    batch_tokens: int,
    in_float64: bool = False,
    checkpoint: Checkpoint | None = None,
    on_progress: Progress | None = None,
) -> dict[int, Float[Tensor, "d_ff d_ff"]]:
    """Weighted sums of the keys' products, in float64.

    Args:
        model: The model; the forward pass ends after the last of the layers.
        rows: What to read.
        weights: Weight of each key, by its language.
        layers: Layers whose keys are counted, ascending.
        position: Every token of a row, or only its last.
        batch_tokens: Tokens in a batch, padding included.
        in_float64: Take the products in float64, whatever the model's type.
        checkpoint: Where to continue from, and to keep what is done.
        on_progress: Called with what a checkpoint has done already, and after each batch.
    """
    batches = batches_of([len(row.ids) for row in rows], batch_tokens)
    done, totals = (checkpoint and checkpoint.read()) or (0, _empty(model, layers))
    totals = {layer: totals[layer].to(_home(model, layers)) for layer in layers}
    n_tokens = sum(len(row.ids) for row in rows)
    n_done = sum(len(rows[index].ids) for batch in batches[:done] for index in batch)
    if on_progress is not None:
        on_progress("keys", n_done, n_tokens)
    for number, batch in enumerate(batches[done:], start=done + 1):
        chosen = [rows[index] for index in batch]
        shares = [weights[row.language] for row in chosen]
        _add_batch(model, chosen, shares, position, totals, in_float64=in_float64)
        n_done += sum(len(row.ids) for row in chosen)
        if checkpoint is not None and number < len(batches):
            checkpoint.write(number, totals)
        if on_progress is not None:
            on_progress("keys", n_done, n_tokens)
    return {layer: _whole(totals.pop(layer)) for layer in layers}


def count_keys(rows: Sequence[KeyRow], position: KeyPosition) -> dict[str, int]:
    """Number of keys by language."""
    counts: dict[str, int] = {}
    for row in rows:
        n_keys = len(row.ids) if position == "all" else 1
        counts[row.language] = counts.get(row.language, 0) + n_keys
    return counts


def key_weights(mixture: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
    """Weight of each key, by its language, with which sums become the mixture's mean."""
    return {code: share / counts[code] for code, share in mixture.items()}


def finite(
    model: LanguageModel, layer: int, total: Float[Tensor, "d_ff d_ff"]
) -> Float[Tensor, "d_ff d_ff"]:
    """The total, if it can be used.

    Raises:
        ModelError: It is not finite.
    """
    if not total.isfinite().all():
        raise ModelError(
            f"{model.name} has keys in layer {layer} that are not finite in {model.dtype}",
            hint="load it in float32 or bfloat16, or check its weights",
        )
    return total


def batches_of(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Indices in batches of similar length, none with more tokens than given, padding included.

    A row that is longer than a batch is one of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: (lengths[index], index)):
        if batches and (len(batches[-1]) + 1) * lengths[index] <= batch_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _add_batch(
    model: LanguageModel,
    rows: Sequence[KeyRow],
    weights: Sequence[float],
    position: KeyPosition,
    totals: Mapping[int, Tensor],
    *,
    in_float64: bool,
) -> None:
    """Read a batch and add its keys' products to the totals of all layers."""
    # Padded on the right, so that no token sees the padding: no mask is needed.
    ids, _ = model.pad([row.ids for row in rows])
    width = ids.shape[1]
    places: list[int] = []
    shares: list[float] = []
    for index, (row, weight) in enumerate(zip(rows, weights, strict=True)):
        first = 0 if position == "all" else len(row.ids) - 1
        places.extend(range(index * width + first, index * width + len(row.ids)))
        shares.extend([weight] * (len(row.ids) - first))
    where, share = torch.tensor(places), torch.tensor(shares, dtype=torch.float64)

    def counting(total: Tensor) -> Callable[[Tensor], Tensor]:
        def count(keys: Tensor) -> Tensor:
            flat = keys.reshape(-1, keys.shape[-1])[where.to(keys.device)]
            _add_products(total, flat.double() if in_float64 else flat, share)
            return keys

        return count

    with ExitStack() as stack:
        for layer, total in totals.items():
            module = model.down_projection(layer)
            stack.enter_context(replace_input(module, counting(total)))
        stack.enter_context(stopped_after(model.down_projection(max(totals))))
        model.hidden_states(ids)


def _add_products(
    total: Float[Tensor, "d_ff d_ff"], keys: Float[Tensor, "n d_ff"], share: Float[Tensor, " n"]
) -> None:
    """Add the keys' weighted products to the upper half of a total, diagonal included."""
    keys = keys.to(torch.promote_types(keys.dtype, torch.float32))
    weighted = keys * share.to(keys.device, keys.dtype)[:, None]
    size = math.ceil(keys.shape[1] / STRIPES)
    for start in range(0, keys.shape[1], size):
        stripe = weighted[:, start : start + size].T @ keys[:, start:]
        total[start : start + size, start:] += stripe.to(total.device)


def _whole(total: Float[Tensor, "d_ff d_ff"]) -> Float[Tensor, "d_ff d_ff"]:
    """A symmetric matrix from its upper half."""
    upper = total.cpu().triu()
    return upper + upper.triu(1).T


def _empty(model: LanguageModel, layers: Sequence[int]) -> dict[int, Tensor]:
    size = model.d_ff
    return {layer: torch.zeros(size, size, dtype=torch.float64) for layer in layers}


def _home(model: LanguageModel, layers: Sequence[int]) -> torch.device:
    """Where the totals are kept: with the model, if that has float64 and room for them."""
    device = model.device
    if device.type == "cuda":
        needed = 8 * len(layers) * model.d_ff**2
        if 2 * needed < torch.cuda.mem_get_info(device)[0]:
            return device
    return torch.device("cpu")
