"""How keys of other text are spread: what ROME, MEMIT, PMET and AlphaEdit weigh an edit by.

The matrix is C = E[h h^T] over text, not centred. It comes from a file made by
``memla statistics``, or from the statements of the reference facts. What was read or computed is
remembered by one editor, under the model's weights and the text, never under a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field

from memla.attribution.key_statistics import KeyPosition, KeyStatistics
from memla.editors.covariance_pools import Covariance, Pool, covariance_of
from memla.errors import EditError
from memla.facts import EditRequest, OtherFacts
from memla.models.language_model import LanguageModel
from memla.records import Record

__all__ = ["Covariance", "CovarianceConfig", "Covariances"]


class CovarianceConfig(Record):
    """Where an editor has the spread of other keys from [C]."""

    kind: Literal["keys", "identity"] = "keys"
    """``keys``: second moments of keys of text. ``identity``: the identity matrix, with which all
    directions weigh the same; it needs no text."""
    statistics: Path | None = None
    """File made by ``memla statistics``, of the model as it is without the edits in force. Without
    it, the statements of the reference facts with their true answers are read when the editor
    first needs them."""
    ridge: float = Field(default=1e-4, ge=0, allow_inf_nan=False)
    """Added to the diagonal, as a share of its mean, so that the matrix can be inverted."""


MOST_LEFT_OUT = 0.2
"""Share of a pool up to which what was left out is subtracted from it."""


class Covariances:
    """The covariances of one editor; it remembers those of the last model and text.

    Of references that say what was left out of their pool, the pool is read once for all edits
    and the part of what was left out is subtracted. What an edit gets depends on its references
    alone, never on what was asked for before.
    """

    def __init__(self, config: CovarianceConfig) -> None:
        self.config = config
        self._files: dict[KeyPosition, _File] = {}
        self._pools: dict[tuple[KeyPosition, bool], Pool] = {}
        self._said: dict[str, object] = {"kind": config.kind}

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

        With ``OtherFacts``, a key weighs what it weighs in the whole pool. So the languages'
        weights differ from equal ones by as much as languages differ in the share of keys that
        were left out: under a percent for a few facts in all languages. Where more than a fifth
        of the pool was left out, the references are read by themselves.

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
        if self.config.statistics is not None:
            return self._of_file(self.config.statistics, model, layers, fingerprint, position)
        return self._of_references(model, references, layers, fingerprint, position)

    def describe(self) -> dict[str, object]:
        """Where the last covariances came from, in types that JSON has.

        ``corpus`` is the digest of the whole pool, and ``left_out`` the number of statements
        whose part was subtracted.
        """
        return dict(self._said)

    def _of_file(
        self,
        path: Path,
        model: LanguageModel,
        layers: Sequence[int],
        fingerprint: str,
        position: KeyPosition,
    ) -> dict[int, Covariance]:
        about = _checked(path, model, fingerprint, position)
        content = about.fingerprint, about.corpus
        kept = self._files.get(position)
        if kept is None or kept.content != content:
            kept = self._files[position] = _File(content)
        missing = sorted(set(layers) - set(kept.by_layer))
        if missing:
            for layer, moment in KeyStatistics.load(path, missing).moments.items():
                n_keys = sum(about.counts.values())
                made = covariance_of(moment.double(), layer, n_keys, self.config.ridge)
                kept.by_layer[layer] = made
        self._say(str(path), about.corpus, about.counts, about.mixture, position, 0)
        return {layer: kept.by_layer[layer] for layer in layers}

    def _of_references(
        self,
        model: LanguageModel,
        references: Sequence[EditRequest],
        layers: Sequence[int],
        fingerprint: str,
        position: KeyPosition,
    ) -> dict[int, Covariance]:
        there, left_out = _split(references)
        alone = len(left_out) > MOST_LEFT_OUT * (len(there) + len(left_out))
        if alone:
            left_out = ()
        if not there:
            raise EditError(
                "there is neither a file of key statistics nor a reference fact to take them from",
                hint=f"run `memla statistics {model.name} --benchmark mkeb-geo --out FILE` and "
                "set covariance.statistics to it, give references, or set "
                "covariance.kind='identity'",
            )
        pool = self._pools.get((position, alone))
        statements = (*there, *left_out)
        if pool is None or not pool.holds(fingerprint, statements):
            pool = Pool(fingerprint, statements, position, self.config.ridge)
            self._pools[position, alone] = pool
        found, counts, mixture = pool.get(model, left_out, layers)
        self._say("references", pool.digest, counts, mixture, position, len(left_out))
        return found

    def _say(
        self,
        source: str,
        corpus: str,
        counts: Mapping[str, int],
        mixture: Mapping[str, float],
        position: KeyPosition,
        left_out: int,
    ) -> None:
        self._said = {
            "kind": self.config.kind,
            "source": source,
            "corpus": corpus,
            "left_out": left_out,
            "keys": dict(counts),
            "mixture": dict(mixture),
            "position": position,
            "ridge": self.config.ridge,
        }


@dataclass(slots=True, eq=False)
class _File:
    """What was read of a file."""

    content: tuple[str, str]
    """Digests of the model's weights and of the text."""
    by_layer: dict[int, Covariance] = field(default_factory=dict)


def _split(
    references: Sequence[EditRequest],
) -> tuple[tuple[EditRequest, ...], tuple[EditRequest, ...]]:
    """The references with true answers, and those of their pool that were left out."""
    left_out = references.left_out if isinstance(references, OtherFacts) else ()
    there = tuple(one for one in references if one.target_true is not None)
    return there, tuple(one for one in left_out if one.target_true is not None)


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
