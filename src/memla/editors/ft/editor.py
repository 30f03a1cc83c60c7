"""Fine-tuning of second MLP matrices, free or within a bound on every weight (FT, FT-L, FT-M)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from memla.editors.base import edit_info, written
from memla.editors.edits import Dense, WeightDelta
from memla.editors.ft.config import FtConfig, FtObjective, resolved_for
from memla.editors.remembered import lower_blocks_remembered
from memla.errors import EditError
from memla.facts import EditRequest
from memla.models.hooks import capture_inputs, replace_output
from memla.models.language_model import LanguageModel


class FtEditor:
    """Train second MLP matrices on the new answer, no weight further than a bound.

    Several languages and several facts are written together: their losses add up.

    Args:
        config: Its settings; None means the preset ``recommended``.
    """

    name = "ft"
    config_class = FtConfig

    def __init__(self, config: FtConfig | None = None) -> None:
        self.config = config or FtConfig()

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        *,
        references: Sequence[EditRequest] = (),
        seed: int = 0,
    ) -> WeightDelta:
        """Work out the edit and leave the model bit for bit as it is.

        Args:
            model: The model to edit.
            requests: Those with ``target_new`` are written; the others are not looked at.
            references: Not looked at.
            seed: Not used: nothing is drawn.

        Raises:
            EditError: No request has a new answer, or training diverged.
            SettingError: The model lacks one of the layers.
        """
        del references
        targets = written(requests)
        config = resolved_for(self.config, model)
        assert config.layers is not None
        updates = {layer: _zeros(model, layer) for layer in config.layers}
        with torch.enable_grad(), attached(model, updates):
            with lower_blocks_remembered(model, config.layers[0]):
                trained = train(make_batch(model, targets, config.objective), updates, config)
            p_new = answer_probabilities(model, targets)
        outcome: dict[str, object] = {
            "layers": list(config.layers),
            "epsilon": config.epsilon if config.constrained else None,
            "learning_rate": config.learning_rate,
            "steps": trained.steps,
            "stopped": trained.reason,
            "losses": list(trained.losses),
            "p_new": p_new,
            "largest_change": {str(layer): _largest(update) for layer, update in updates.items()},
        }
        deltas = {layer: Dense(update.detach().cpu()) for layer, update in updates.items()}
        info = edit_info(self, model, requests, seed)
        return WeightDelta(deltas, model.fingerprint(), info | outcome)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written, as one padded batch, and the log-probabilities that make up its loss."""

    model: LanguageModel
    ids: Int[Tensor, "rows tokens"]
    attention_mask: Int[Tensor, "rows tokens"] | None
    row: Int[Tensor, " scored"]
    """Which request each scored token belongs to."""
    position: Int[Tensor, " scored"]
    """After which position it is scored."""
    token: Int[Tensor, " scored"]
    lengths: Int[Tensor, " rows"]
    """Tokens of each answer."""

    def losses(self) -> Float[Tensor, " rows"]:
        """Negative log-likelihood of each request, in nats per token of its answer."""
        hidden = self.model.hidden_states(self.ids, self.attention_mask)
        places, index = torch.unique(
            torch.stack([self.row, self.position]), dim=1, return_inverse=True
        )
        logits = self.model.final_logits(hidden[places[0], places[1]])
        log_probs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)
        scored = log_probs[index, self.token]
        return scored.new_zeros(len(self.lengths)).index_add(0, self.row, -scored) / self.lengths


def make_batch(
    model: LanguageModel, requests: Sequence[EditRequest], objective: FtObjective
) -> Batch:
    """Lay out prompts, with answers where the objective reads them, padded on the right."""
    answers = [
        model.compose(request.text, request.target_new or "", request.language)
        for request in requests
    ]
    at_once = objective == "prompt_last"
    ids, mask = model.pad([item.prompt_ids if at_once else item.ids[:-1] for item in answers])
    scored = [
        (row, item.prompt_length - 1 + (0 if at_once else index), token)
        for row, item in enumerate(answers)
        for index, token in enumerate(item.answer_ids)
    ]
    row, position, token = torch.tensor(scored, device=model.device).T
    lengths = torch.tensor([len(item.answer_ids) for item in answers], device=model.device)
    return Batch(model, ids, mask, row, position, token, lengths)


@dataclass(frozen=True, slots=True)
class Trained:
    """How a training ended."""

    steps: int
    """Updates that were made."""
    reason: str
    """Why it ended: ``loss`` or ``steps``."""
    losses: tuple[float, ...]
    """Sum of the requests' losses before the first step and after each."""


def train(batch: Batch, updates: Mapping[int, Tensor], config: FtConfig) -> Trained:
    """Train updates that are attached to the model, in place; each step ends inside the bound.

    Raises:
        EditError: The loss or its gradient is no longer finite.
    """
    parameters = list(updates.values())
    assert config.learning_rate is not None
    # Fused: one pass over parameters as large as the matrices, where the others make several.
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)
    bound = _not_above(config.epsilon, parameters[0].dtype) if config.constrained else None
    sums: list[float] = []
    while True:
        step = len(sums)
        with torch.set_grad_enabled(step < config.steps):
            losses = batch.losses()
        sums.append(losses.sum().item())
        if not math.isfinite(sums[-1]):
            raise _diverged("loss", str(sums[-1]), step)
        if losses.max().item() < config.stop_loss:
            return Trained(step, "loss", tuple(sums))
        if step >= config.steps:
            return Trained(step, "steps", tuple(sums))
        gradients = torch.autograd.grad(losses.sum(), parameters)
        if not all(torch.linalg.vector_norm(gradient).isfinite() for gradient in gradients):
            raise _diverged("gradient", "not finite", step)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        if bound is not None:
            with torch.no_grad():
                for parameter in parameters:
                    parameter.clamp_(-bound, bound)


@contextmanager
def attached(model: LanguageModel, updates: Mapping[int, Tensor]) -> Iterator[None]:
    """Add what the updates write to the MLPs' outputs inside the ``with`` block.

    No weight is written. Products are made in the updates' type and rounded once.
    """
    modules = {layer: model.down_projection(layer) for layer in updates}

    def add(layer: int, output: Tensor) -> Tensor:
        update = updates[layer]
        return output + (inputs[layer].to(update.dtype) @ update).to(output.dtype)

    with ExitStack() as stack:
        inputs = stack.enter_context(capture_inputs(modules))
        for layer, module in modules.items():
            stack.enter_context(replace_output(module, partial(add, layer)))
        yield


@torch.no_grad()
def answer_probabilities(model: LanguageModel, requests: Sequence[EditRequest]) -> list[float]:
    """Probability of each new answer, in [0, 1], with whatever is attached right now."""
    batch = make_batch(model, requests, "target")
    values: list[float] = (-batch.losses() * batch.lengths).exp().tolist()
    return values


def _zeros(model: LanguageModel, layer: int) -> Tensor:
    """A trainable update of a layer, in float32 or the model's type if it is wider."""
    rows = model.value_rows(layer)
    dtype = torch.promote_types(rows.dtype, torch.float32)
    return torch.zeros(rows.shape, dtype=dtype, device=rows.device).requires_grad_()


def _not_above(bound: float | None, dtype: torch.dtype) -> float:
    """The largest number of a type that is not above the bound."""
    assert bound is not None
    exact = torch.tensor(bound, dtype=torch.float64)
    near = exact.to(dtype)
    if near.double() > exact:
        near = torch.nextafter(near, torch.zeros_like(near))
    return near.item()


def _largest(update: Tensor) -> float:
    return update.detach().abs().max().item()


def _diverged(what: str, value: str, step: int) -> EditError:
    return EditError(
        f"the {what} is {value} after {step} steps",
        hint="lower learning_rate, or load the model in float32",
    )
