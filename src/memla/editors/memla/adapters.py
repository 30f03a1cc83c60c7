"""MEMLA's editors: trainable updates of a layer's second MLP matrix (eqs. 5 to 7).

The row mask of eq. 7 multiplies from the left, (B A) * M = diag(1_S) B A, so only the masked rows
of B and all of A can ever change anything. They are all that is kept here; the product with
``d_ff`` rows and its mask are never formed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, reduce

import torch
from jaxtyping import Float, Int
from torch import Tensor

from memla.editors.edits import Dense, LowRank, Part, RowSparse
from memla.editors.memla.config import Parametrisation
from memla.models.hooks import capture_inputs, replace_output
from memla.models.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Factors:
    """One editor in one layer: ``W[rows] += up @ down``.

    ``up`` is None where the rows themselves are the parameters, ``rows`` where all are changed.
    """

    rows: Int[Tensor, " s"] | None
    up: Float[Tensor, "s rank"] | None
    down: Float[Tensor, "rank d_model"]

    def parameters(self) -> list[Tensor]:
        """What is trained."""
        return [self.down] if self.up is None else [self.up, self.down]

    def update(self) -> Float[Tensor, "s d_model"]:
        """The change of the rows."""
        return self.down if self.up is None else self.up @ self.down

    def contribution(self, keys: Float[Tensor, "*batch d_ff"]) -> Float[Tensor, "*batch d_model"]:
        """What the update adds to the MLP's output for these neuron values."""
        if self.rows is not None:
            return keys[..., self.rows] @ self.update()
        return keys @ self.down if self.up is None else keys @ self.up @ self.down


@dataclass(frozen=True, slots=True)
class LayerEditors:
    """The editors of one layer: language-specific, language-independent, or both."""

    specific: Factors | None
    shared: Factors | None
    d_ff: int

    def present(self) -> list[Factors]:
        """Those that exist."""
        return [editor for editor in (self.specific, self.shared) if editor is not None]

    def contribution(self, keys: Float[Tensor, "*batch d_ff"]) -> Float[Tensor, "*batch d_model"]:
        """What both add to the MLP's output for these neuron values."""
        return reduce(torch.add, [editor.contribution(keys) for editor in self.present()])

    def norm(self) -> Float[Tensor, ""]:
        """Frobenius norm of the layer's update."""
        if all(editor.rows is not None for editor in self.present()):
            rows = torch.cat([editor.update() for editor in self.present()])
        else:
            dense = [editor_part(editor, 1.0).dense(self.d_ff) for editor in self.present()]
            rows = torch.stack(dense).sum(0)
        norm: Tensor = torch.linalg.vector_norm(rows)
        return norm

    def part(self, coefficient: float) -> Part:
        """The update times its coefficient, as part of an edit; detached and on the CPU."""
        with torch.no_grad():
            parts = [editor_part(editor, coefficient) for editor in self.present()]
            part = parts[0] if len(parts) == 1 else _joined(parts, self.d_ff)
            fields = {name: tensor.detach().cpu() for name, tensor in part.tensors().items()}
        return type(part)(**fields)


def make_factors(
    neurons: Sequence[int],
    *,
    model: LanguageModel,
    masked: bool,
    parametrisation: Parametrisation,
    rank_per_neuron: int,
    spread: float | None,
    device: torch.device,
    generator: torch.Generator,
) -> Factors:
    """A new editor, whose update is zero.

    The Gaussian factor is drawn in its full size on the CPU and then cut to the neurons, so that
    an editor without a mask starts from the same values.

    Args:
        neurons: Its neurons in the layer, in ascending order.
        model: Gives the sizes; parameters are float32, or the model's type if it is wider.
        masked: Whether only the neurons' rows change; otherwise all rows do.
        parametrisation: Which factors there are and which one starts at zero.
        rank_per_neuron: Rank for each neuron [n].
        spread: Standard deviation of the Gaussian factor; None for one over the root of the rank.
        device: Where the layer is.
        generator: Source of the draws.
    """
    dtype = torch.promote_types(model.dtype, torch.float32)
    rank = rank_per_neuron * len(neurons)
    rows = torch.tensor(neurons, dtype=torch.long) if masked else None
    count = len(neurons) if masked else model.d_ff
    deviation = rank**-0.5 if spread is None else spread

    def gaussian(*shape: int) -> Tensor:
        return (torch.randn(*shape, generator=generator) * deviation).to(dtype)

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(*shape, dtype=dtype)

    if parametrisation == "dense_rows":
        up, down = None, zeros(count, model.d_model)
    elif parametrisation == "factor_n0":
        up, down = zeros(count, rank), gaussian(rank, model.d_model)
    else:
        full = gaussian(rank, model.d_ff).T
        up = (full if rows is None else full[rows]).contiguous()
        down = zeros(rank, model.d_model)
    return _trainable(rows, up, down, device)


def _trainable(
    rows: Tensor | None, up: Tensor | None, down: Tensor, device: torch.device
) -> Factors:
    return Factors(
        rows=None if rows is None else rows.to(device),
        up=None if up is None else up.to(device).requires_grad_(),
        down=down.to(device).requires_grad_(),
    )


@contextmanager
def attached(
    model: LanguageModel,
    editors: Mapping[int, LayerEditors],
    coefficients: Mapping[int, Callable[[], Tensor | float]],
) -> Iterator[None]:
    """Add the editors' contributions to the MLPs' outputs inside the ``with`` block.

    No weight is written. Products are made in the parameters' type and rounded once.
    """
    modules = {layer: model.down_projection(layer) for layer in editors}

    def add(layer: int, output: Tensor) -> Tensor:
        editor = editors[layer]
        extra = editor.contribution(inputs[layer].to(editor.present()[0].down.dtype))
        return output + (coefficients[layer]() * extra).to(output.dtype)

    with ExitStack() as stack:
        inputs = stack.enter_context(capture_inputs(modules))
        for layer, module in modules.items():
            stack.enter_context(replace_output(module, partial(add, layer)))
        yield


def editor_part(editor: Factors, coefficient: float) -> Part:
    """One editor's update times a coefficient, as part of an edit."""
    if editor.rows is not None:
        return RowSparse(editor.rows, coefficient * editor.update())
    if editor.up is None:
        return Dense(coefficient * editor.down)
    return LowRank(editor.up, coefficient * editor.down)


def _joined(parts: Sequence[Part], d_ff: int) -> Part:
    """The sum of updates: their rows, or their factors, side by side."""
    rows = [part for part in parts if isinstance(part, RowSparse)]
    if len(rows) == len(parts):
        order = torch.argsort(torch.cat([part.rows for part in rows]))
        return RowSparse(
            torch.cat([part.rows for part in rows])[order],
            torch.cat([part.update for part in rows])[order],
        )
    if any(isinstance(part, Dense) for part in parts):
        return Dense(torch.stack([part.dense(d_ff) for part in parts]).sum(0))
    factors = [part.factors(d_ff) for part in parts]
    return LowRank(
        torch.cat([factor.up for factor in factors], dim=1),
        torch.cat([factor.down for factor in factors]),
    )
