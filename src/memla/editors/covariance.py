"""How keys of other text are spread: what ROME, MEMIT, PMET and AlphaEdit weigh an edit by.

The matrix is C = E[h h^T] over text, not centred. It comes from a file made by
``memla statistics``, or from the statements of the reference facts. What was read or computed is
remembered by one editor, under the model's weights and the text, never under a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from memla.attribution.key_statistics import (
    KeyPosition,
    KeyStatistics,
    KeyText,
    collect_statistics,
    corpus_of,
    statement_texts,
)
from memla.errors import EditError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel
from memla.records import Record


class CovarianceConfig(Record):
    """Where an editor has the spread of other keys from [C]."""

    kind: Literal["keys", "identity"] = "keys"
    """``keys``: second moments of keys of text. ``identity``: the identity matrix, with which all
    directions weigh the same; it needs no text."""
    statistics: Path | None = None
    """File made by ``memla statistics``. Without it, the statements of the reference facts with
    their true answers are read when the editor first needs them."""
    ridge: float = Field(default=1e-4, ge=0, allow_inf_nan=False)
    """Added to the diagonal, as a share of its mean, so that the matrix can be inverted."""


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


@dataclass(slots=True, eq=False)
class _Kept:
    """What an editor remembers for one position of keys."""

    content: tuple[str, str]
    """Digests of the model's weights and of the text."""
    about: KeyStatistics
    """Statistics without their moments."""
    by_layer: dict[int, Covariance] = field(default_factory=dict)


class Covariances:
    """The covariances of one editor; it remembers those of the last model and text."""

    def __init__(self, config: CovarianceConfig) -> None:
        self.config = config
        self._kept: dict[KeyPosition, _Kept] = {}
        self._last: KeyStatistics | None = None

    def get(
        self,
        model: LanguageModel,
        references: Sequence[EditRequest],
        layers: Sequence[int],
        *,
        fingerprint: str,
        position: KeyPosition = "all",
    ) -> dict[int, Covariance]:
        """The covariances of some layers.

        Args:
            model: The model to edit.
            references: Other facts; used if the settings name no file.
            layers: Which layers.
            fingerprint: Of the model's weights.
            position: All tokens, or only the last of each subject.

        Raises:
            EditError: There is neither a file nor a reference with a true answer, or the file is
                of another model or position.
            DataError: The file is missing or damaged, or lacks a layer.
        """
        if self.config.kind == "identity":
            eye = torch.eye(model.d_ff, dtype=torch.float64)
            return {layer: Covariance(eye, layer, 0) for layer in layers}
        path = self.config.statistics
        texts = () if path is not None else _texts(model, references)
        corpus = (
            corpus_of(texts, position).digest
            if path is None
            else _checked(path, model, fingerprint, position).corpus
        )
        kept = self._kept.get(position)
        known = kept.by_layer if kept and kept.content == (fingerprint, corpus) else {}
        missing = sorted(set(layers) - set(known))
        if missing or kept is None:
            made = (
                collect_statistics(
                    model, texts, layers=missing, position=position, fingerprint=fingerprint
                )
                if path is None
                else KeyStatistics.load(path, missing)
            )
            known = known | {layer: self._made(made, layer) for layer in missing}
            kept = _Kept((fingerprint, corpus), replace(made, moments={}), known)
            self._kept[position] = kept
        self._last = kept.about
        return {layer: known[layer] for layer in layers}

    def describe(self) -> dict[str, object]:
        """Where the last covariances came from, in types that JSON has."""
        if self._last is None:
            return {"kind": self.config.kind}
        path = self.config.statistics
        return {
            "kind": self.config.kind,
            "source": "references" if path is None else str(path),
            "corpus": self._last.corpus,
            "keys": dict(self._last.counts),
            "mixture": dict(self._last.mixture),
            "position": self._last.position,
            "ridge": self.config.ridge,
        }

    def _made(self, statistics: KeyStatistics, layer: int) -> Covariance:
        matrix = statistics.moments[layer].double()
        matrix.diagonal().add_(self.config.ridge * matrix.diagonal().mean())
        return Covariance(matrix, layer, sum(statistics.counts.values()))


def _checked(
    path: Path, model: LanguageModel, fingerprint: str, position: KeyPosition
) -> KeyStatistics:
    """What a file says of itself, if it is of this model and position."""
    about = KeyStatistics.load(path, ())
    again = (
        f"run `memla statistics {model.name} --benchmark mkeb-geo "
        f"--position {position.replace('_', '-')} --out FILE`"
    )
    if about.fingerprint != fingerprint:
        raise EditError(
            f"the key statistics {str(path)!r} are of other weights "
            f"({about.fingerprint[:12]}) than those of {model.name!r} ({fingerprint[:12]})",
            hint=again,
        )
    if about.position != position:
        raise EditError(
            f"the key statistics {str(path)!r} are of position {about.position!r}, "
            f"and {position!r} is needed",
            hint=again,
        )
    return about


def _texts(model: LanguageModel, references: Sequence[EditRequest]) -> tuple[KeyText, ...]:
    texts = statement_texts(references)
    if not texts:
        raise EditError(
            "there is neither a file of key statistics nor a reference fact to take them from",
            hint=f"run `memla statistics {model.name} --benchmark mkeb-geo --out FILE` and set "
            "covariance.statistics to it, give references, or set covariance.kind='identity'",
        )
    return texts
