"""Second moments of the keys of a model's MLPs, over text in many languages.

A key is what goes into W_proj. ROME, MEMIT and their kin weigh an edit by how the keys of other
text are spread: E[h h^T], not centred. It is taken over the user's own text, each language with a
weight of its own, and kept under the weights of the model and the content of the text, never
under a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from memla.attribution.key_moments import (
    Checkpoint,
    Progress,
    count_keys,
    finite,
    key_weights,
    sum_moments,
)
from memla.attribution.key_texts import (
    Corpus,
    KeyPosition,
    KeyText,
    corpus_of,
    key_rows,
    statement_texts,
)
from memla.attribution.statistics_files import read_file, write_file
from memla.errors import DataError, SettingError
from memla.models.language_model import LanguageModel

__all__ = [
    "KeyPosition",
    "KeyStatistics",
    "KeyText",
    "collect_statistics",
    "corpus_of",
    "statement_texts",
]

CHECKPOINT_SECONDS = 5.0
"""Least time between two checkpoints."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyStatistics:
    """Uncentred second moments of the keys, E[h h^T]: the weighted mean of languages' means."""

    moments: Mapping[int, Float[Tensor, "d_ff d_ff"]]
    """By layer; in float32 on the CPU."""
    counts: Mapping[str, int]
    """Number of keys by language."""
    mixture: Mapping[str, float]
    """Weight of each language; they sum to 1."""
    position: KeyPosition
    """All tokens, or only the last of each subject."""
    fingerprint: str
    """Of the model's weights."""
    corpus: str
    """SHA-256 of the texts, their languages and weights, and the position."""

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file, which is whole or absent.

        Raises:
            DataError: It cannot be written.
        """
        header = {
            "counts": dict(self.counts),
            "mixture": dict(self.mixture),
            "position": self.position,
            "fingerprint": self.fingerprint,
            "corpus": self.corpus,
            "layers": sorted(self.moments),
        }
        tensors = {str(layer): moment for layer, moment in self.moments.items()}
        write_file(Path(path), header, tensors)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path, layers: Sequence[int] | None = None) -> KeyStatistics:
        """Read what ``save`` wrote.

        Args:
            path: The file.
            layers: Only these; all without it. With an empty list only the header is read.

        Raises:
            DataError: The file is missing, damaged, or not one of key statistics, or lacks a layer.
        """
        path = Path(path)
        names = None if layers is None else [str(layer) for layer in layers]
        header, tensors = read_file(path, names)
        for name in names or ():
            if name not in tensors:
                raise DataError(
                    f"{str(path)!r} has no statistics of layer {name}, "
                    f"only of {header.get('layers')}",
                    hint=f"run `memla statistics MODEL --layers {name} --out FILE`",
                )
        try:
            position = header["position"]
            if position not in get_args(KeyPosition):
                raise ValueError(f"position is {position!r}")
            return cls(
                moments={int(name): tensor for name, tensor in sorted(tensors.items())},
                counts={str(code): int(count) for code, count in header["counts"].items()},
                mixture={str(code): float(share) for code, share in header["mixture"].items()},
                position=cast("KeyPosition", position),
                fingerprint=str(header["fingerprint"]),
                corpus=str(header["corpus"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{str(path)!r} is damaged: {error!r}", hint="make it again with `memla statistics`"
            ) from None


def collect_statistics(
    model: LanguageModel,
    texts: Iterable[KeyText],
    *,
    layers: Sequence[int] | None = None,
    position: KeyPosition = "all",
    mixture: Mapping[str, float] | None = None,
    cache: Path | None = None,
    batch_tokens: int = 4096,
    fingerprint: str | None = None,
    on_progress: Progress | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> KeyStatistics:
    """Take the second moments of the keys of all layers in one pass over the texts.

    Args:
        model: The model.
        texts: What is counted; their order plays no part. Long ones are cut into windows.
        layers: Which layers; all without it.
        position: All tokens, or only the last of each subject.
        mixture: Weights of the languages, of any sum; those it does not name are left out.
            Without it all languages weigh the same, however much text they have.
        cache: A folder in which the result is kept, under the model's weights and the content of
            the texts, and where a pass that was interrupted continues from a checkpoint.
        batch_tokens: Tokens in a batch, padding included; bounds memory.
        fingerprint: The model's, if it is known already.
        on_progress: Called with what a checkpoint has done already, and after each batch.
        checkpoint_seconds: Least time between two checkpoints.

    Raises:
        DataError: There is no text, or a text has no subject where its last token is wanted.
        SettingError: A layer, language, weight or batch size cannot be.
        ModelError: The keys are not finite.
    """
    wanted = _layers_of(model, layers)
    if batch_tokens < 1:
        raise SettingError(f"batch_tokens is {batch_tokens}", hint="give at least 1")
    corpus = corpus_of(texts, position, mixture)
    weights = model.fingerprint() if fingerprint is None else fingerprint
    folder = None if cache is None else Path(cache) / weights[:16] / corpus.digest[:16]
    found = {} if folder is None else _read_layers(folder, wanted, weights, corpus)
    missing = [layer for layer in wanted if layer not in found]
    checkpoint = None
    if missing and folder is not None:
        key = [weights, corpus.digest, missing, batch_tokens]
        checkpoint = Checkpoint(folder / "checkpoint.safetensors", key, checkpoint_seconds)
    if missing:
        rows = key_rows(model, corpus)
        counts = count_keys(rows, position)
        sums = sum_moments(
            model,
            rows,
            key_weights(corpus.mixture, counts),
            missing,
            position=position,
            batch_tokens=batch_tokens,
            checkpoint=checkpoint,
            on_progress=on_progress,
        )
        for layer in missing:
            moments = {layer: finite(model, layer, sums.pop(layer).to(torch.float32))}
            one = KeyStatistics(moments, counts, corpus.mixture, position, weights, corpus.digest)
            found[layer] = one
            if folder is not None:
                one.save(_file(folder, layer))
    if checkpoint is not None:
        checkpoint.clear()
    moments = {layer: found[layer].moments[layer] for layer in wanted}
    return replace(found[wanted[0]], moments=moments)


def _file(folder: Path, layer: int) -> Path:
    return folder / f"layer-{layer}.safetensors"


def _read_layers(
    folder: Path, layers: Sequence[int], fingerprint: str, corpus: Corpus
) -> dict[int, KeyStatistics]:
    """What is kept of the layers; a file that is damaged, or another's, is made anew."""
    found = {}
    for layer in layers:
        try:
            one = KeyStatistics.load(_file(folder, layer), (layer,))
        except DataError:
            continue
        if (one.fingerprint, one.corpus) == (fingerprint, corpus.digest):
            found[layer] = one
    return found


def _layers_of(model: LanguageModel, layers: Sequence[int] | None) -> list[int]:
    wanted = sorted(set(range(model.n_layers) if layers is None else layers))
    if not wanted or wanted[0] < 0 or wanted[-1] >= model.n_layers:
        raise SettingError(
            f"layers {wanted} are not layers of {model.name}",
            hint=f"it has layers 0 to {model.n_layers - 1}",
        )
    return wanted
