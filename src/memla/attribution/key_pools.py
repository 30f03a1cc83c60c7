"""Second moments of the keys of a pool of texts, and of what remains when some are left out.

The pool is read once. The sum over the texts left out is taken in a pass of its own, with the
pool's weights, and subtracted, so that a small change of the texts costs little:

    C' = (C - sum_l w_l S_l) / (1 - sum_l w_l m_l),  w_l = mixture_l / n_l,

where S_l is the sum of h h^T over the m_l keys in language l that are left out, and n_l the number
of the pool's. All of it is in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from memla.attribution.key_moments import count_keys, finite, key_weights, sum_moments
from memla.attribution.key_texts import Corpus, key_rows
from memla.models.language_model import LanguageModel

BATCH_TOKENS = 4096
"""Tokens in a batch, padding included."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyMoments:
    """Uncentred second moments of keys, in float64, and what they were taken of."""

    moments: Mapping[int, Float[Tensor, "d_ff d_ff"]]
    """By layer; on the CPU."""
    counts: Mapping[str, int]
    """Number of keys by language."""
    mixture: Mapping[str, float]
    """Weight of each language; they sum to 1."""


def pool_moments(model: LanguageModel, pool: Corpus, layers: Sequence[int]) -> KeyMoments:
    """Read a pool of texts.

    Args:
        model: The model.
        pool: The texts, and the weights of their languages.
        layers: Which layers.

    Raises:
        DataError: A text has no subject where its last token is wanted, or none has a token.
        ModelError: The keys are not finite.
    """
    rows = key_rows(model, pool)
    counts = count_keys(rows, pool.position)
    sums = sum_moments(
        model,
        rows,
        key_weights(pool.mixture, counts),
        layers,
        position=pool.position,
        batch_tokens=BATCH_TOKENS,
        in_float64=True,
    )
    checked = {layer: finite(model, layer, total) for layer, total in sums.items()}
    return KeyMoments(checked, counts, pool.mixture)


def without_texts(model: LanguageModel, pool: KeyMoments, left_out: Corpus) -> KeyMoments:
    """The moments of a pool without some of its texts, which alone are read.

    Each key that remains weighs, beside the others, what it weighs in the pool. So the languages'
    weights are no longer the mixture to the last digit: a language that lost more of its keys than
    others has that much less, and one that lost all of them none.

    Args:
        model: The model.
        pool: The pool's moments, in the layers that are wanted.
        left_out: Texts that are all in the pool; some of the pool is not among them.
    """
    rows = key_rows(model, left_out)
    counts = count_keys(rows, left_out.position)
    weights = key_weights(pool.mixture, pool.counts)
    part = sum_moments(
        model,
        rows,
        weights,
        sorted(pool.moments),
        position=left_out.position,
        batch_tokens=BATCH_TOKENS,
        in_float64=True,
    )
    remaining = {code: number - counts.get(code, 0) for code, number in pool.counts.items()}
    kept = sum(weights[code] * number for code, number in remaining.items())
    moments = {layer: pool.moments[layer].sub(part.pop(layer)).div_(kept) for layer in sorted(part)}
    return KeyMoments(
        moments,
        {code: number for code, number in remaining.items() if number},
        {code: weights[code] * number / kept for code, number in remaining.items() if number},
    )
