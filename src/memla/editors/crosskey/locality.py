"""What keeps other facts in place while one is written under several keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memla.editors.closed_form import Update, alphaedit_update, memit_update, null_space
from memla.editors.covariance import Covariance, CovarianceConfig, Covariances
from memla.editors.crosskey.config import CrossKeyConfig
from memla.errors import EditError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How keys are spread, by layer: those of text, and those at subjects' last tokens."""

    text: Mapping[int, Covariance]
    subjects: Mapping[int, Covariance]


class Spreads:
    """The spreads of keys that one editor has read.

    Args:
        config: Where keys of text are from; those of subjects are always of reference facts.
    """

    def __init__(self, config: CovarianceConfig) -> None:
        self._text = Covariances(config)
        self._subjects = Covariances(config.model_copy(update={"statistics": None}))

    def get(
        self,
        model: LanguageModel,
        references: Sequence[EditRequest],
        layers: Sequence[int],
        config: CrossKeyConfig,
        *,
        fingerprint: str,
    ) -> Spread:
        """The spreads that the settings ask for; see `Covariances.get`.

        Raises:
            EditError: There is no text, or there are no subjects whose keys can be kept in place.
            DataError: The file of statistics is missing or damaged, or lacks a layer.
        """
        _check_references(config, references)
        text = self._text.get(model, references, layers, fingerprint=fingerprint)
        if config.locality not in _OF_SUBJECTS:
            return Spread(text, {})
        subjects = self._subjects.get(
            model, references, layers, fingerprint=fingerprint, position="subject_last"
        )
        return Spread(text, subjects)

    def describe(self) -> dict[str, object]:
        """Where the last spread of text came from, in types that JSON has."""
        return self._text.describe()


_OF_SUBJECTS = ("subject_keys", "null_space")
"""Localities that keep subjects' keys in place."""


def _check_references(config: CrossKeyConfig, others: Sequence[EditRequest]) -> None:
    from_file = config.covariance.kind == "keys" and config.covariance.statistics is not None
    if config.locality in _OF_SUBJECTS and from_file and not others:
        raise EditError(
            f"locality {config.locality!r} keeps the subjects of reference facts in place, and "
            "there are no references",
            hint="give references (--references FILE), or set locality='text'",
        )


def update_for(
    config: CrossKeyConfig, spread: Spread, neighbors: Mapping[int, Tensor], d_ff: int
) -> Update:
    """The update of a layer that the settings ask for.

    With ``subject_keys`` and ``text`` it is MEMIT's, with the covariance C + w S for C, where S
    is that of the subjects' keys; with ``neighbor_keys`` C has the keys of the neighbours added;
    ``null_space`` is AlphaEdit's, with the null space of C + w S.

    Args:
        config: The editor's settings.
        spread: Covariances of the layers to update.
        neighbors: Keys of facts that shall stay, [d_ff, n] by layer; empty where none are used.
        d_ff: Number of neurons of a layer.
    """
    weight = config.covariance_weight * d_ff
    known = {layer: _combined(config, spread, neighbors, layer, weight) for layer in spread.text}
    if config.locality == "null_space":
        free = {
            layer: null_space(one, config.nullspace_threshold, relative=True)
            for layer, one in known.items()
        }

        def project(layer: int, keys: Tensor) -> Tensor:
            ridge = config.nullspace_ridge * keys.square().sum(0).mean().item()
            return alphaedit_update(free[layer], keys, neighbors[layer], ridge)

        return project
    return lambda layer, keys: memit_update(known[layer], weight, keys)


def neighbors_of(
    requests: Sequence[EditRequest], references: Sequence[EditRequest], count: int
) -> list[EditRequest]:
    """Reference facts of the same relations, told by their prompts in the same languages."""
    relations = {(one.language, one.prompt) for one in requests}
    found = {one for one in references if (one.language, one.prompt) in relations}
    return sorted(found, key=lambda one: (one.fact, one.language, one.text))[:count]


def _combined(
    config: CrossKeyConfig,
    spread: Spread,
    neighbors: Mapping[int, Tensor],
    layer: int,
    weight: float,
) -> Covariance:
    text = spread.text[layer]
    matrix = text.matrix.clone()
    if config.locality in ("subject_keys", "null_space"):
        matrix += config.subject_weight * spread.subjects[layer].matrix
    elif config.locality == "neighbor_keys":
        keys = neighbors[layer]
        matrix += config.neighbor_weight / weight * (keys @ keys.T)
    # A sum is no longer the identity, whatever it was made from.
    return Covariance(matrix, layer, max(1, text.n_keys))


def no_keys(d_ff: int) -> Tensor:
    """A table of no keys, [d_ff, 0]."""
    return torch.zeros(d_ff, 0, dtype=torch.float64)
