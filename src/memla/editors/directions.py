"""Directions in which a model's own states differ from fact to fact.

A change that lies in them looks to the layers above like another fact, and is read as one, also
after phrasings that were not optimised on. A step of gradient descent takes no heed of that: it
finds some vector that works for the texts at hand. So the change of a state is written as

    delta = L z        with        L L^T = (1 - rho) C / c + rho I,    c = tr(C) / d_model

and z is optimised. C is the covariance of states over facts, after the mean over the languages of
each fact, from which what is only of a language drops out. rho is the shrinkage of Ledoit and Wolf
(2004), at least 1/n for n facts; it is near 1 where few are known, and then any direction is as
good as another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from memla.editors.keys import Position, look, memory_of
from memla.errors import EditError
from memla.facts import EditRequest, OtherFacts
from memla.models.language_model import LanguageModel


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """The symmetric map ``L = rest I + B diag(gains - rest) B^T``, of mean squared gain 1."""

    basis: Float[Tensor, "d_model k"]
    """Orthonormal columns."""
    gains: Float[Tensor, " k"]
    rest: float
    """Gain of every direction outside the basis."""
    shrinkage: float
    """rho, in [0, 1]."""
    n_facts: int

    def __call__(self, coordinates: Float[Tensor, "*batch d_model"]) -> Tensor:
        """The changes that coordinates stand for."""
        basis = self.basis.to(coordinates)
        inside = coordinates @ basis
        return self.rest * coordinates + (inside * (self.gains.to(inside) - self.rest)) @ basis.T

    def describe(self) -> dict[str, object]:
        """What they are made from, in types that JSON has."""
        return {"facts": self.n_facts, "shrinkage": self.shrinkage}


def directions_of(states: Float[Tensor, "facts d_model"]) -> Directions:
    """The directions in which states vary, one state for each fact, shrunk towards all alike."""
    n, width = states.shape
    centred = states.double() - states.double().mean(0)
    _, singular, right = torch.linalg.svd(centred, full_matrices=False)
    variances = singular.square() / n
    mean = float(variances.sum()) / width
    rho = _shrinkage(centred, variances, mean)
    rest = rho**0.5
    # Where nothing varies, rho is 1 and any direction is as good as another.
    gains = ((1 - rho) * variances / mean + rho).sqrt() if rho < 1 else torch.ones_like(variances)
    return Directions(right.T, gains, rest, rho, n)


def _shrinkage(centred: Tensor, variances: Tensor, mean: float) -> float:
    """rho: the error of the covariance over its distance from a multiple of the identity."""
    n, width = centred.shape
    distance = float(variances.square().sum()) / width - mean**2
    if distance <= 0 or n < 2:
        return 1.0
    error = float(centred.square().sum(1).square().mean() - variances.square().sum()) / n / width
    # Of two facts, or twice the same, the estimate sees no error at all.
    return max(min(error, distance) / distance, 1 / n)


class NaturalDirections:
    """The directions of reference facts; it remembers the states of a pool, by model and place.

    What an edit gets depends on its references alone, never on what was asked for before: a pool
    is read all at once and in an order of its own, as the last digits of a state depend on what
    is read along with it.
    """

    def __init__(self) -> None:
        self._read: dict[tuple[str, int, Position], dict[EditRequest, Tensor]] = {}

    def get(
        self,
        model: LanguageModel,
        references: Sequence[EditRequest],
        layer: int,
        position: Position,
        *,
        fingerprint: str,
    ) -> Directions | None:
        """The directions in which the states of references differ behind a layer.

        Args:
            model: The model.
            references: Statements of facts in any languages. What was left out of their pool is
                read along with them, and takes no part.
            layer: The layer whose output is read.
            position: The token at which it is read.
            fingerprint: Of the model's weights.

        Returns:
            None if they are of fewer than two facts.

        Raises:
            EditError: A state is not finite.
        """
        facts = sorted({one.fact for one in references})
        if len(facts) < 2:
            return None
        left_out = references.left_out if isinstance(references, OtherFacts) else ()
        pool = {*references, *left_out}
        known = self._read.get((fingerprint, layer, position), {})
        if known.keys() != pool:
            ordered = sorted(pool, key=EditRequest.to_json)
            memories = [memory_of(model, one, ("",), position=position) for one in ordered]
            _, read = look(model, memories, key_layers=(), value_layer=layer, site="block")
            known = dict(zip(ordered, read.float(), strict=True))
            self._read[fingerprint, layer, position] = known
        states = torch.stack([known[one] for one in references])
        if not states.isfinite().all():
            raise EditError(
                f"what {model.name} has behind layer {layer} for reference facts is not finite",
                hint="load it in float32 or bfloat16, or check its weights",
            )
        return directions_of(_by_fact(states, references, facts))


def _by_fact(
    states: Float[Tensor, "statements d_model"],
    references: Sequence[EditRequest],
    facts: Sequence[str],
) -> Float[Tensor, "facts d_model"]:
    """The mean state of each fact over its statements, without the means of their languages."""
    languages = sorted({one.language for one in references})
    states = states.double()
    of_language = torch.tensor([languages.index(one.language) for one in references])
    places = {fact: place for place, fact in enumerate(facts)}
    of_fact = torch.tensor([places[one.fact] for one in references])
    centred = states - _means(states, of_language, len(languages))[of_language]
    return _means(centred, of_fact, len(facts))


def _means(rows: Tensor, groups: Tensor, count: int) -> Tensor:
    """The mean row of each group."""
    sums = rows.new_zeros(count, rows.shape[1]).index_add(0, groups, rows)
    return sums / torch.bincount(groups, minlength=count)[:, None]
