"""The spread of the keys of one layer, and that of a pool of statements without some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from memla.attribution.key_pools import KeyMoments, pool_moments, without_texts
from memla.attribution.key_statistics import KeyPosition, corpus_of, statement_texts
from memla.errors import EditError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel


@dataclass(slots=True, eq=False)
class Covariance:
    """Spread of the keys of one layer, with the ridge on its diagonal; float64 on the CPU."""

    matrix: Float[Tensor, "d_ff d_ff"]
    layer: int
    n_keys: int
    """How many keys it was taken from; 0 for the identity."""
    _factor: Tensor | None = field(default=None, repr=False)
    _eigen: tuple[Tensor, Tensor] | None = field(default=None, repr=False)

    def solve(self, keys: Float[Tensor, "d_ff n"]) -> Float[Tensor, "d_ff n"]:
        """C^{-1} keys, in float64; the Cholesky factor is computed once.

        Raises:
            EditError: The matrix is singular.
        """
        wanted = keys.to(self.matrix)
        if not self.n_keys:
            return wanted
        if self._factor is None:
            factor, failed = torch.linalg.cholesky_ex(self.matrix)
            if failed or not factor.isfinite().all():
                raise EditError(
                    f"the statistics of layer {self.layer} cannot be inverted: "
                    f"{self.n_keys} keys for {len(self.matrix)} neurons",
                    hint="raise covariance.ridge, or give more text or reference facts",
                )
            self._factor = factor
        return torch.cholesky_solve(wanted, self._factor)

    def eigen(self) -> tuple[Float[Tensor, " d_ff"], Float[Tensor, "d_ff d_ff"]]:
        """Eigenvalues in ascending order and eigenvectors in columns; computed once."""
        if self._eigen is None:
            values, vectors = torch.linalg.eigh(self.matrix)
            self._eigen = values, vectors
        return self._eigen


def covariance_of(
    moment: Float[Tensor, "d_ff d_ff"], layer: int, n_keys: int, ridge: float
) -> Covariance:
    """The covariance of second moments, to whose diagonal the ridge is added in place."""
    moment.diagonal().add_(ridge * moment.diagonal().mean())
    return Covariance(moment, layer, n_keys)


class Pool:
    """Covariances of a pool of statements, and of it without some: those of the last edit.

    Args:
        fingerprint: Of the model's weights.
        statements: The pool, in any order; each has a true answer.
        position: All tokens, or only the last of each subject.
        ridge: Share of a diagonal's mean that is added to it.
    """

    def __init__(
        self,
        fingerprint: str,
        statements: Sequence[EditRequest],
        position: KeyPosition,
        ridge: float,
    ) -> None:
        self._fingerprint = fingerprint
        self._statements = tuple(statements)  # kept, so that no other object has their identity
        self._identities = sorted(map(id, statements))
        self._corpus = corpus_of(statement_texts(statements), position)
        self._ridge = ridge
        self._read: KeyMoments | None = None
        self._whole: dict[int, Covariance] = {}
        self._diagonals: dict[int, Tensor] = {}
        self._last = _Remaining("")

    @property
    def digest(self) -> str:
        """SHA-256 of the pool's texts, their languages and the position."""
        return self._corpus.digest

    def holds(self, fingerprint: str, statements: Sequence[EditRequest]) -> bool:
        """Whether this is the pool of these statements, and of a model with these weights."""
        if fingerprint != self._fingerprint:
            return False
        if sorted(map(id, statements)) == self._identities:  # they are frozen: nothing to compare
            return True
        return corpus_of(statement_texts(statements), self._corpus.position).digest == self.digest

    def get(
        self, model: LanguageModel, left_out: Sequence[EditRequest], layers: Sequence[int]
    ) -> tuple[dict[int, Covariance], Mapping[str, int], Mapping[str, float]]:
        """Covariances of some layers, number of keys by language, and the languages' weights.

        Args:
            model: The model to edit.
            left_out: Statements of the pool that are to have no part.
            layers: Which layers.

        Raises:
            DataError: No text of a language has a token.
            ModelError: The keys are not finite.
        """
        about = self._read_layers(model, layers)
        if not left_out:
            found = {layer: self._whole[layer] for layer in layers}
            return found, about.counts, about.mixture
        part = corpus_of(statement_texts(left_out), self._corpus.position)
        if part.digest != self._last.digest:
            self._last = _Remaining(part.digest)
        last = self._last
        missing = sorted(set(layers) - set(last.by_layer))
        if missing or last.about is None:
            pool = KeyMoments(
                {layer: self._moment(layer) for layer in missing}, about.counts, about.mixture
            )
            made = without_texts(model, pool, part)
            last.about = KeyMoments({}, made.counts, made.mixture)
            for layer, moment in made.moments.items():
                last.by_layer[layer] = self._covariance(moment, layer, made)
        found = {layer: last.by_layer[layer] for layer in layers}
        return found, last.about.counts, last.about.mixture

    def _read_layers(self, model: LanguageModel, layers: Sequence[int]) -> KeyMoments:
        """Read the pool for the layers that are wanted for the first time."""
        missing = sorted(set(layers) - set(self._whole))
        if missing or self._read is None:
            made = pool_moments(model, self._corpus, missing)
            self._read = KeyMoments({}, made.counts, made.mixture)
            for layer, moment in made.moments.items():
                self._diagonals[layer] = moment.diagonal().clone()
                self._whole[layer] = self._covariance(moment, layer, made)
        return self._read

    def _moment(self, layer: int) -> Float[Tensor, "d_ff d_ff"]:
        """The pool's moment, bit for bit as it was before the ridge."""
        moment = self._whole[layer].matrix.clone()
        moment.diagonal().copy_(self._diagonals[layer])
        return moment

    def _covariance(
        self, moment: Float[Tensor, "d_ff d_ff"], layer: int, about: KeyMoments
    ) -> Covariance:
        return covariance_of(moment, layer, sum(about.counts.values()), self._ridge)


@dataclass(slots=True, eq=False)
class _Remaining:
    """A pool without the statements of one digest."""

    digest: str
    about: KeyMoments | None = None
    by_layer: dict[int, Covariance] = field(default_factory=dict)
