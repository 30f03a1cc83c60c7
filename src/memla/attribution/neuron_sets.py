"""Sets of neurons, how they are selected by score, and which of them the languages share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from memla.attribution.config import Method, Scope
from memla.errors import DataError, SettingError

Neuron = tuple[int, int]
"""Layer, from 0, and index in the layer's MLP, below d_ff."""


class NeuronSet(AbstractSet[Neuron]):
    """Immutable set of neurons: pairs of layer and index, iterated in that order.

    All operators of sets work: ``&``, ``|``, ``-``, ``^``, ``<=``, ``in``, ``==``.
    """

    __slots__ = ("_neurons",)
    _neurons: frozenset[Neuron]

    def __init__(self, neurons: Iterable[Neuron] = ()) -> None:
        pairs = frozenset((int(layer), int(neuron)) for layer, neuron in neurons)
        if any(layer < 0 or neuron < 0 for layer, neuron in pairs):
            raise DataError("a neuron's layer and index are counted from 0")
        object.__setattr__(self, "_neurons", pairs)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __contains__(self, neuron: object) -> bool:
        return neuron in self._neurons

    def __iter__(self) -> Iterator[Neuron]:
        return iter(sorted(self._neurons))

    def __len__(self) -> int:
        return len(self._neurons)

    def __hash__(self) -> int:
        return hash(self._neurons)

    def __and__(self, other: AbstractSet[object]) -> NeuronSet:
        return NeuronSet(neuron for neuron in self._neurons if neuron in other)

    def __or__(self, other: AbstractSet[Neuron]) -> NeuronSet:  # type: ignore[override]
        return NeuronSet((*self._neurons, *other))

    def __sub__(self, other: AbstractSet[object]) -> NeuronSet:
        return NeuronSet(neuron for neuron in self._neurons if neuron not in other)

    def __reduce__(self) -> tuple[type[NeuronSet], tuple[tuple[Neuron, ...]]]:
        return NeuronSet, (tuple(self),)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_json()})"

    @property
    def layers(self) -> dict[int, tuple[int, ...]]:
        """Sorted neurons of each layer that has any."""
        grouped: dict[int, list[int]] = {}
        for layer, neuron in self:
            grouped.setdefault(layer, []).append(neuron)
        return {layer: tuple(neurons) for layer, neurons in grouped.items()}

    def by_layer(self, n_layers: int) -> tuple[int, ...]:
        """Number of neurons in each of the model's layers."""
        counts = Counter(layer for layer, _ in self._neurons)
        return tuple(counts[layer] for layer in range(n_layers))

    @classmethod
    def from_mask(cls, mask: Bool[Tensor, "layers d_ff"]) -> NeuronSet:
        """The neurons at which the mask is true."""
        return cls((layer, neuron) for layer, neuron in mask.nonzero().tolist())

    def to_mask(self, n_layers: int, d_ff: int) -> Bool[Tensor, "layers d_ff"]:
        """A table that is true at the neurons of the set.

        Raises:
            DataError: A neuron lies outside the table.
        """
        mask = torch.zeros(n_layers, d_ff, dtype=torch.bool)
        for layer, neuron in self._neurons:
            if layer >= n_layers or neuron >= d_ff:
                raise DataError(
                    f"neuron {neuron} of layer {layer} is not in a model of {n_layers} layers "
                    f"with {d_ff} neurons",
                    hint="the neurons were found in another model",
                )
            mask[layer, neuron] = True
        return mask

    def to_json(self) -> list[list[int]]:
        """Pairs ``[layer, neuron]`` in order."""
        return [list(neuron) for neuron in self]

    @classmethod
    def from_json(cls, value: object) -> NeuronSet:
        """The set that ``to_json`` wrote.

        Raises:
            DataError: The value is not a list of pairs of whole numbers.
        """
        if not isinstance(value, list) or not all(map(_is_neuron, value)):
            raise DataError(f"{str(value)[:60]!r} is not a list of [layer, neuron] pairs")
        return cls((layer, neuron) for layer, neuron in value)


def _is_neuron(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(n) is int for n in value)


def select(
    scores: Float[Tensor, "layers d_ff"],
    threshold: float | int,
    scope: Scope = "global",
    method: Method = "threshold",
    layers: tuple[int, ...] | None = None,
) -> NeuronSet:
    """Choose neurons by score; only finite positive scores are ever chosen.

    Args:
        scores: Attribution of every neuron.
        threshold: Share of the largest score (``threshold``), number (``top_k``), share of the sum
            of positive scores (``top_p_mass``), or quantile of all scores (``percentile``).
        scope: One choice over all layers, or one in each.
        method: Meaning of the threshold.
        layers: Only these layers take part, also in the maximum.

    Raises:
        SettingError: One of the layers does not exist.
    """
    n_layers = scores.shape[0]
    wanted = tuple(range(n_layers)) if layers is None else layers
    if any(not 0 <= layer < n_layers for layer in wanted):
        raise SettingError(
            f"layers {list(wanted)} are not all in the model", hint=f"it has 0 to {n_layers - 1}"
        )
    groups = [wanted] if scope == "global" else [(layer,) for layer in wanted]
    return NeuronSet(
        neuron for group in groups for neuron in _select_group(scores, group, threshold, method)
    )


def _select_group(
    scores: Float[Tensor, "layers d_ff"],
    layers: tuple[int, ...],
    threshold: float | int,
    method: Method,
) -> Iterator[Neuron]:
    table = scores[list(layers)].double()
    usable = torch.isfinite(table)
    table = torch.where(usable, table, -math.inf)
    largest = float(table.max())
    if largest <= 0:
        return
    d_ff = table.shape[1]
    # A stable sort keeps equal scores in the order of layer and index.
    values, order = table.flatten().sort(descending=True, stable=True)
    if method == "threshold":
        count = int((values >= threshold * largest).sum())
    elif method == "top_k":
        count = int(threshold)
    elif method == "top_p_mass":
        mass = values.clamp(min=0).cumsum(0)
        count = int((mass < threshold * mass[-1] * (1 - 1e-12)).sum()) + 1
    else:
        rank = math.ceil(threshold * int(usable.sum())) - 1
        floor = float(values[: int(usable.sum())].flip(0)[rank])
        count = int((values >= floor).sum())
    positive = int((values > 0).sum())
    for index in order[: min(count, positive)].tolist():
        yield layers[index // d_ff], index % d_ff


def split(per_language: Mapping[str, NeuronSet], quorum: float | int = 1.0) -> NeuronSet:
    """The language-independent neurons: those found in enough of the languages (eq. 3).

    Args:
        per_language: Neurons found in each language.
        quorum: A share in (0, 1] of the languages, at least two of them, 1.0 being the paper's
            intersection; or a number of languages, given as ``int``.
    """
    if isinstance(quorum, int):
        needed = quorum
    else:
        needed = max(2, math.ceil(quorum * len(per_language) - 1e-9))
    counts = Counter(neuron for neurons in per_language.values() for neuron in neurons)
    return NeuronSet(neuron for neuron, count in counts.items() if count >= needed)
