"""What edits tell of the neurons they changed, added up while cases pass by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from memla.evaluation.results import JOINT
from memla.reports.drawing import Number

Pair = tuple[str, str]
"""Two languages in alphabetical order."""


@dataclass(slots=True)
class LayerSums:
    """Sums of a number that each edit has for each layer."""

    n: int = 0
    sums: list[float] = field(default_factory=list)

    def add(self, values: Sequence[Number], n: int = 1) -> None:
        """Add what ``n`` edits say."""
        self.sums += [0.0] * (len(values) - len(self.sums))
        for layer, value in enumerate(values):
            self.sums[layer] += value
        self.n += n

    def means(self) -> tuple[float, ...]:
        """The mean over edits, by layer."""
        return tuple(value / self.n for value in self.sums)


@dataclass(slots=True)
class OverlapSums:
    """Sums of the share of neurons that two languages have in common.

    The share is that of Jaccard: neurons of both over neurons of either. An edit in which neither
    language has a neuron has no share.
    """

    n: int = 0
    total: float = 0.0
    n_by_layer: list[int] = field(default_factory=list)
    by_layer: list[float] = field(default_factory=list)

    def add(self, common: Sequence[int], first: Sequence[int], second: Sequence[int]) -> None:
        """Add one edit.

        Args:
            common: By layer, neurons of both languages.
            first: By layer, neurons of the one.
            second: By layer, neurons of the other.
        """
        if either := sum(first) + sum(second) - sum(common):
            self.n += 1
            self.total += sum(common) / either
        self._widen(len(common))
        for layer, (both, one, other) in enumerate(zip(common, first, second, strict=True)):
            if one + other - both:
                self.n_by_layer[layer] += 1
                self.by_layer[layer] += both / (one + other - both)

    def merge(self, other: OverlapSums) -> None:
        """Add what other edits have."""
        self.n += other.n
        self.total += other.total
        self._widen(len(other.by_layer))
        for layer, value in enumerate(other.by_layer):
            self.n_by_layer[layer] += other.n_by_layer[layer]
            self.by_layer[layer] += value

    def _widen(self, n_layers: int) -> None:
        missing = n_layers - len(self.by_layer)
        self.by_layer += [0.0] * missing
        self.n_by_layer += [0] * missing

    def percent(self) -> float | None:
        """Mean share over edits, all layers together; None where there is none."""
        return 100 * self.total / self.n if self.n else None

    def percent_by_layer(self) -> tuple[float | None, ...]:
        """Mean share over the edits that have one, by layer."""
        pairs = zip(self.by_layer, self.n_by_layer, strict=True)
        return tuple(100 * value / n if n else None for value, n in pairs)


@dataclass(slots=True)
class NeuronSums:
    """Neurons of the edits of one method in one source, or in several."""

    shared: LayerSums = field(default_factory=LayerSums)
    """Neurons that are changed and hold the fact in several languages."""
    specific: LayerSums = field(default_factory=LayerSums)
    """Those of the source language alone."""
    located: dict[str, LayerSums] = field(default_factory=dict)
    """By language, neurons in which the fact was found."""
    overlaps: dict[Pair, OverlapSums] = field(default_factory=dict)
    """By two different languages, what they have in common of these."""

    def add(self, told: Mapping[str, Any]) -> None:
        """Add what an edit tells, as far as it does."""
        if "shared_by_layer" in told and "specific_by_layer" in told:
            self.shared.add(told["shared_by_layer"])
            self.specific.add(told["specific_by_layer"])
        common = told.get("common_by_layer")
        if isinstance(common, dict):
            self._add_common(common)

    def _add_common(self, common: Mapping[str, Sequence[int]]) -> None:
        pairs = {tuple(name.split(JOINT)): counts for name, counts in common.items()}
        own = {pair[0]: counts for pair, counts in pairs.items() if len(set(pair)) == 1}
        for language, counts in own.items():
            self.located.setdefault(language, LayerSums()).add(counts)
        for (one, other), counts in pairs.items():
            if one != other:
                key = (min(one, other), max(one, other))
                self.overlaps.setdefault(key, OverlapSums()).add(counts, own[one], own[other])

    def merge(self, other: NeuronSums) -> Self:
        """Add what other edits have."""
        for mine, theirs in ((self.shared, other.shared), (self.specific, other.specific)):
            mine.add(theirs.sums, theirs.n)
        for language, sums in other.located.items():
            self.located.setdefault(language, LayerSums()).add(sums.sums, sums.n)
        for pair, found in other.overlaps.items():
            self.overlaps.setdefault(pair, OverlapSums()).merge(found)
        return self
