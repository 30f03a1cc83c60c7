"""How sure a number is: bootstrap over cases.

Cases are drawn, not prompts, because the prompts of one fact succeed and fail together. Everything
computed from the same draw is paired: languages, before and after, two editors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
"""A statistic over draws, ``[1 + resamples]``; the first is of the cases as they are."""

RESAMPLES = 1000
"""Draws behind an interval."""


class Interval(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float


class Bootstrap:
    """Draws of cases with replacement, the same for every statistic.

    Args:
        cases: Ids of the cases; their order plays no part.
        resamples: Number of draws.
        seed: Decides the draws.
    """

    def __init__(self, cases: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self.cases = tuple(sorted(set(cases)))
        count = len(self.cases)
        draws = np.random.default_rng(seed).multinomial(
            count, np.full(count, 1 / max(count, 1)), size=resamples
        )
        # [1 + resamples, cases]: how often each case is in each draw
        self._weights = np.vstack([np.ones((1, count)), draws]).astype(np.float64)

    def mean(self, values: Mapping[str, Sequence[float]]) -> Samples:
        """Mean over all values of the drawn cases, so that a case counts once per prompt.

        Args:
            values: By case, one for each of its prompts; cases without any may be missing.

        Returns:
            One number a draw, NaN where a draw has no value at all.
        """
        sums = np.array([sum(values.get(case, ())) for case in self.cases], dtype=np.float64)
        counts = np.array([len(values.get(case, ())) for case in self.cases], dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            samples: Samples = (self._weights @ sums) / (self._weights @ counts)
        return samples


def ratio(numerator: Samples, denominator: Samples) -> Samples:
    """Quotient in each draw, NaN where the denominator is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def interval(samples: Samples) -> Interval | None:
    """The statistic with the middle 95 % of its draws; None when it has no value."""
    if not np.isfinite(samples[0]):
        return None
    drawn = samples[1:][np.isfinite(samples[1:])]
    if not drawn.size:
        return Interval(float(samples[0]), float(samples[0]), float(samples[0]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(samples[0]), float(low), float(high))
