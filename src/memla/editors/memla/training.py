"""Adam on the editors' factors; the model's weights are read and never written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from memla.editors.memla.adapters import LayerEditors
from memla.editors.memla.objective import Evaluation, Objective
from memla.errors import EditError


@dataclass(frozen=True, slots=True)
class Schedule:
    """Rates and stopping rule; see the settings of the same names."""

    learning_rate: float
    shared_learning_rate: float
    steps: int
    stop_loss: float
    stop_probability: float


@dataclass(frozen=True, slots=True)
class Trained:
    """How a training ended."""

    steps: int
    """Updates that were made."""
    reason: str
    """Why it ended: ``loss``, ``probability`` or ``steps``."""
    first: Evaluation
    last: Evaluation


def train(objective: Objective, editors: Mapping[int, LayerEditors], schedule: Schedule) -> Trained:
    """Train the editors, which must be attached to the model, in place.

    The stopping rule is looked at before each step, so what is returned was evaluated as it is.

    Raises:
        EditError: The loss or its gradient is no longer finite.
    """
    optimizer, parameters = _optimizer(editors, schedule)
    first: Evaluation | None = None
    step = 0
    while True:
        with torch.set_grad_enabled(step < schedule.steps):
            now = objective.evaluate()
        if not now.loss.isfinite():
            raise _diverged("loss", str(now.loss.item()), step)
        first = first or now
        reason = _reason_to_stop(now, step, schedule)
        if reason is not None:
            return Trained(step, reason, first, now)
        # Gradients of the editors alone: the model's own .grad fields stay as they are.
        gradients = torch.autograd.grad(now.loss, parameters)
        if not all(gradient.isfinite().all() for gradient in gradients):
            raise _diverged("gradient", "not finite", step)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        step += 1


def _diverged(what: str, value: str, step: int) -> EditError:
    return EditError(
        f"the {what} is {value} after {step} steps",
        hint="lower learning_rate, or load the model in float32",
    )


def _optimizer(
    editors: Mapping[int, LayerEditors], schedule: Schedule
) -> tuple[torch.optim.Adam, list[Tensor]]:
    groups: dict[float, list[Tensor]] = {}
    for _, layer in sorted(editors.items()):
        for editor, rate in (
            (layer.specific, schedule.learning_rate),
            (layer.shared, schedule.shared_learning_rate),
        ):
            if editor is not None:
                groups.setdefault(rate, []).extend(editor.parameters())
    optimizer = torch.optim.Adam([{"params": group, "lr": rate} for rate, group in groups.items()])
    return optimizer, [parameter for group in groups.values() for parameter in group]


def _reason_to_stop(now: Evaluation, step: int, schedule: Schedule) -> str | None:
    if now.loss.item() < schedule.stop_loss:
        return "loss"
    if now.exceeds(schedule.stop_probability):
        return "probability"
    return "steps" if step >= schedule.steps else None
