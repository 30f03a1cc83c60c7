"""What an editor gives back: a value that can be applied, taken back exactly, saved and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from memla.editors.in_force import InForce, Saved, in_force, take_back, write
from memla.editors.storage import read_folder, write_folder
from memla.errors import DataError, EditMismatchError
from memla.models.language_model import LanguageModel


@runtime_checkable
class Edit(Protocol):
    """A change of a model that has not been made yet."""

    kind: ClassVar[str]

    def applied(
        self, model: LanguageModel, *, strict: bool = True
    ) -> AbstractContextManager[LanguageModel]:
        """The model with the edit, inside the ``with`` block; bit for bit as before after it."""
        ...

    def save(self, folder: str | Path) -> Path:
        """Write the edit as a folder that is whole or absent."""
        ...

    def describe(self) -> dict[str, object]:
        """How the edit was made and what it changes, in types that JSON has."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RowSparse:
    """A change of some neurons' value vectors: ``W[rows] += update``."""

    rows: Int[Tensor, " s"]
    update: Float[Tensor, "s d_model"]

    def dense(self, d_ff: int) -> Float[Tensor, "d_ff d_model"]:
        """The change of all of W."""
        full = self.update.new_zeros(d_ff, self.update.shape[1])
        return full.index_add(0, self.rows.long(), self.update)

    def factors(self, d_ff: int) -> LowRank:
        """The same change as a product of two matrices: which row, and what it gains."""
        up = self.update.new_zeros(d_ff, len(self.rows))
        up[self.rows.long(), torch.arange(len(self.rows), device=up.device)] = 1
        return LowRank(up, self.update)

    def tensors(self) -> dict[str, Tensor]:
        """Tensors by field name."""
        return {"rows": self.rows, "update": self.update}


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """A change of all value vectors by a product: ``W += up @ down``."""

    up: Float[Tensor, "d_ff rank"]
    down: Float[Tensor, "rank d_model"]

    def dense(self, d_ff: int) -> Float[Tensor, "d_ff d_model"]:
        """The change of all of W."""
        if self.up.shape[0] != d_ff:
            raise EditMismatchError(f"the edit changes {self.up.shape[0]} neurons, not {d_ff}")
        return self.up @ self.down

    def factors(self, d_ff: int) -> LowRank:
        """The change itself."""
        if self.up.shape[0] != d_ff:
            raise EditMismatchError(f"the edit changes {self.up.shape[0]} neurons, not {d_ff}")
        return self

    def tensors(self) -> dict[str, Tensor]:
        """Tensors by field name."""
        return {"up": self.up, "down": self.down}


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """A change of all value vectors without structure: ``W += update``."""

    update: Float[Tensor, "d_ff d_model"]

    def dense(self, d_ff: int) -> Float[Tensor, "d_ff d_model"]:
        """The change of all of W."""
        if self.update.shape[0] != d_ff:
            raise EditMismatchError(f"the edit changes {self.update.shape[0]} neurons, not {d_ff}")
        return self.update

    def factors(self, d_ff: int) -> LowRank:
        """The same change as a product of itself and the identity."""
        return LowRank(self.dense(d_ff), torch.eye(self.update.shape[1]).to(self.update))

    def tensors(self) -> dict[str, Tensor]:
        """Tensors by field name."""
        return {"update": self.update}


Part: TypeAlias = RowSparse | LowRank | Dense
PARTS: Mapping[str, type[Part]] = {
    "row_sparse": RowSparse,
    "low_rank": LowRank,
    "dense": Dense,
}


@dataclass(frozen=True, slots=True, eq=False)
class WeightDelta:
    """A change of second MLP matrices.

    A layer's part addresses the logical matrix W of shape ``[d_ff, d_model]``, whose row i is
    what neuron i writes; how a family stores it is the model's business.
    """

    kind: ClassVar[str] = "weight_delta"

    deltas: Mapping[int, Part]
    """By layer, from 0."""
    fingerprint: str
    """Fingerprint of the model the edit was made for."""
    info: Mapping[str, object] = field(default_factory=dict)
    """How it was made, in types that JSON has."""

    @contextmanager
    def applied(self, model: LanguageModel, *, strict: bool = True) -> Iterator[LanguageModel]:
        """The model with the edit, inside the ``with`` block; bit for bit as before after it.

        The sums are made in float32, or in the weights' type if it is wider, and rounded once to
        that type. Rows are taken back by copying what was saved, never by subtracting.

        Args:
            model: The model to change for the time of the block; edits nest.
            strict: Refuse a model whose weights are not those the edit was made for.

        Raises:
            EditMismatchError: The model has other sizes or, when strict, other weights.
        """
        one = InForce(self.checked(model, strict=strict))
        try:
            in_force(model).append(one)
            self.write_into(model, one.saved)
            yield model
        finally:
            try:
                take_back(one.saved)
            finally:
                in_force(model).remove(one)

    def checked(self, model: LanguageModel, *, strict: bool) -> str:
        """The fingerprint of a model that the edit fits; see `applied`."""
        current, earlier = model.fingerprint(), [one.before for one in in_force(model)]
        self.check_sizes(model)
        if strict and self.fingerprint not in (current, *earlier):
            raise EditMismatchError(
                f"the edit was made for other weights ({self.fingerprint[:12]}) than those of "
                f"{model.name!r} ({current[:12]})",
                hint="make it again on this model, or pass strict=False to apply it anyway",
            )
        return current

    def write_into(self, model: LanguageModel, saved: list[Saved]) -> None:
        """Change the weights; what stood there is added to ``saved`` first."""
        for layer, part in sorted(self.deltas.items()):
            _add(model.value_rows(layer), part, saved)

    def save(self, folder: str | Path) -> Path:
        """Write ``edit.json`` and ``tensors.safetensors``; the folder is whole or absent.

        Raises:
            DataError: The folder exists and is not empty, or cannot be written.
        """
        names = {part: name for name, part in PARTS.items()}
        tensors = {
            f"{layer}.{name}": tensor
            for layer, part in self.deltas.items()
            for name, tensor in part.tensors().items()
        }
        header = {
            "kind": self.kind,
            "fingerprint": self.fingerprint,
            "layers": {str(layer): names[type(part)] for layer, part in self.deltas.items()},
            "info": dict(self.info),
        }
        return write_folder(Path(folder), header, tensors)

    @classmethod
    def load(cls, folder: str | Path) -> WeightDelta:
        """Read what ``save`` wrote.

        Raises:
            DataError: The folder is missing, not an edit, or damaged.
        """
        header, tensors = read_folder(Path(folder), cls.kind)
        try:
            deltas = {
                int(layer): _part(name, layer, tensors) for layer, name in header["layers"].items()
            }
            return cls(deltas, str(header["fingerprint"]), header["info"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{str(folder)!r} does not hold a whole edit: {error!r}", hint="save it again"
            ) from None

    def describe(self) -> dict[str, object]:
        """How the edit was made and what it changes, in types that JSON has."""
        names = {part: name for name, part in PARTS.items()}
        layers = {
            str(layer): {
                "part": names[type(part)],
                "shape": [list(tensor.shape) for tensor in part.tensors().values()],
            }
            for layer, part in sorted(self.deltas.items())
        }
        return {
            **self.info,
            "kind": self.kind,
            "model_fingerprint": self.fingerprint,
            "layers": layers,
            "n_values": sum(
                tensor.numel()
                for part in self.deltas.values()
                for tensor in part.tensors().values()
            ),
        }

    def check_sizes(self, model: LanguageModel) -> None:
        """Make sure that the model has the layers, neurons and dimensions the edit changes.

        Raises:
            EditMismatchError: It does not.
        """
        for layer, part in self.deltas.items():
            if not _fits(model, layer, part):
                shapes = {name: tuple(tensor.shape) for name, tensor in part.tensors().items()}
                raise EditMismatchError(
                    f"the edit changes layer {layer} by {shapes}, and {model.name!r} has "
                    f"{model.n_layers} layers of {model.d_ff} neurons and {model.d_model} "
                    "dimensions",
                    hint=f"it was made for {self.info.get('model', 'another model')!r}",
                )


def _fits(model: LanguageModel, layer: int, part: Part) -> bool:
    if not 0 <= layer < model.n_layers:
        return False
    if isinstance(part, RowSparse):
        inside = len(part.rows) == 0 or (
            int(part.rows.min()) >= 0 and int(part.rows.max()) < model.d_ff
        )
        return inside and part.update.shape == (len(part.rows), model.d_model)
    if isinstance(part, LowRank):
        return part.up.shape[0] == model.d_ff and part.down.shape[1] == model.d_model
    return part.update.shape == (model.d_ff, model.d_model)


@torch.no_grad()
def _add(weight: Tensor, part: Part, saved: list[Saved]) -> None:
    rows = part.rows.long().to(weight.device) if isinstance(part, RowSparse) else None
    update = part.update if isinstance(part, RowSparse) else part.dense(weight.shape[0])
    old = weight.clone() if rows is None else weight[rows]
    wide = torch.promote_types(weight.dtype, torch.float32)
    new = (old.to(wide) + update.to(weight.device, wide)).to(weight.dtype)
    saved.append((weight, rows, old))
    write(weight, rows, new)


def _part(name: str, layer: str, tensors: Mapping[str, Tensor]) -> Part:
    prefix = f"{layer}."
    fields = {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
    return PARTS[name](**fields)
