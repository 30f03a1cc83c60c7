"""What MEMLA's editors are trained for: the new answer, not the old, and other facts in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from memla.facts import EditRequest
from memla.models.language_model import LanguageModel
from memla.models.tokens import Separator, TokenizedAnswer, compose, prompt_ids


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How the terms add up; see the settings of the same names."""

    new_weight: float
    nll_reduction: Literal["sum", "mean"]
    old_term: Literal["probability", "unlikelihood", "none"]
    old_weight: float
    locality_weight: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The objective at one point of the training."""

    loss: Float[Tensor, ""]
    new_log_probs: Float[Tensor, " requests"]
    """Nats, summed over the tokens of each new answer."""
    old_log_probs: Float[Tensor, " known"]
    """The same for the old answers that are scored."""
    known: tuple[int, ...]
    """The requests these belong to."""
    locality: Float[Tensor, ""]
    """KL(before || edited) in nats, mean over the locality prompts; 0 without any."""

    @property
    def p_new(self) -> list[float]:
        """Probability of each new answer, in [0, 1]."""
        values: list[float] = self.new_log_probs.detach().exp().tolist()
        return values

    def report(self) -> dict[str, object]:
        """The figures, in types that JSON has."""
        return {
            "loss": self.loss.item(),
            "p_new": self.p_new,
            "p_old": self.old_log_probs.detach().exp().tolist(),
            "locality": self.locality.item(),
        }

    def exceeds(self, probability: float) -> bool:
        """Whether every new answer is more probable than this."""
        return min(self.p_new) > probability

    def beats_old(self) -> bool:
        """Whether every new answer is more probable than its old one, where that is scored."""
        return bool((self.new_log_probs[list(self.known)] > self.old_log_probs).all())


@dataclass(frozen=True, slots=True)
class Objective:
    """One padded batch: the new answers, the old ones, and the locality prompts.

    The head is applied only to the positions that are scored.
    """

    model: LanguageModel
    weights: LossWeights
    ids: Int[Tensor, "batch tokens"]
    attention_mask: Int[Tensor, "batch tokens"] | None
    n_new: int
    known: tuple[int, ...]
    """The requests whose old answers are scored."""
    lengths: Int[Tensor, " answers"]
    """Tokens of each answer, the new ones first."""
    answer: Int[Tensor, " scored"]
    """Row, and number of the answer, of each scored token."""
    position: Int[Tensor, " scored"]
    """Where the token before it stands."""
    token: Int[Tensor, " scored"]
    last: Int[Tensor, " prompts"]
    """Last position of each locality prompt; their rows follow those of the answers."""
    before: Float[Tensor, "prompts vocab"]
    """Log-probabilities of the unedited model there."""

    def evaluate(self) -> Evaluation:
        """Score the batch with whatever is attached to the model right now."""
        log_probs = self.log_probs()
        scored = log_probs[: len(self.token)].gather(1, self.token[:, None]).squeeze(1)
        joint = scored.new_zeros(len(self.lengths)).index_add(0, self.answer, scored)
        new, old = joint[: self.n_new], joint[self.n_new :]
        after = log_probs[len(self.token) :]
        locality = joint.new_zeros(())
        if len(self.last):
            terms = self.before.exp() * (self.before - after)
            locality = terms.sum(dim=-1).mean()
        return Evaluation(self._loss(new, old, locality), new, old, self.known, locality)

    def _loss(self, new: Tensor, old: Tensor, locality: Tensor) -> Tensor:
        weights = self.weights
        nll = -new / self.lengths[: self.n_new] if weights.nll_reduction == "mean" else -new
        loss = weights.new_weight * nll.sum() + weights.locality_weight * locality
        if weights.old_term == "probability":
            loss = loss + weights.old_weight * old.exp().sum()
        elif weights.old_term == "unlikelihood":
            # Bounded away from 0, where -log(1 - P) has no finite slope.
            loss = loss - weights.old_weight * torch.log(-torch.expm1(old.clamp(max=-1e-6))).sum()
        return loss

    def log_probs(self) -> Float[Tensor, "places vocab"]:
        """Log-probabilities of the token after each scored place, the prompts' last."""
        hidden = self.model.hidden_states(self.ids, self.attention_mask)
        rows = len(self.lengths) + torch.arange(len(self.last), device=self.ids.device)
        places = torch.cat([self.answer, rows]), torch.cat([self.position, self.last])
        logits = self.model.final_logits(hidden[places])
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)


def make_objective(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    locality: Sequence[EditRequest],
    weights: LossWeights,
    separator: Separator,
    *,
    with_old: bool,
) -> Objective:
    """Lay out the batch and ask the unedited model what it says now.

    Args:
        model: The unedited model.
        requests: What is written; each has a new answer.
        locality: Facts whose next-token distributions should stay.
        weights: How the terms add up.
        separator: What joins a prompt and its answer.
        with_old: Whether to score the old answers too, where they are known.
    """

    def composed(request: EditRequest, answer: str) -> TokenizedAnswer:
        return compose(model.tokenizer, request.text, answer, request.language, separator=separator)

    new = [composed(request, request.target_new or "") for request in requests]
    old = {
        index: composed(request, request.target_true)
        for index, request in enumerate(requests)
        if with_old and request.target_true is not None
    }
    prompts = [prompt_ids(model.tokenizer, request.text) for request in locality]
    answers = [*new, *old.values()]
    columns = torch.tensor(_scored_places(answers), device=model.device).T
    # Padding stands on the right, where no token of a causal model can see it.
    ids, mask = model.pad([*(answer.ids[:-1] for answer in answers), *prompts])
    lasts = [len(prompt) - 1 for prompt in prompts]
    objective = Objective(
        model=model,
        weights=weights,
        ids=ids,
        attention_mask=mask,
        n_new=len(new),
        known=tuple(old),
        lengths=torch.tensor([len(item.answer_ids) for item in answers], device=model.device),
        answer=columns[0],
        position=columns[1],
        token=columns[2],
        last=torch.tensor(lasts, dtype=torch.long, device=model.device),
        before=torch.zeros(len(prompts), model.architecture.vocab_size, device=model.device),
    )
    with torch.no_grad():
        return replace(objective, before=objective.log_probs()[len(objective.token) :])


def _scored_places(answers: Sequence[TokenizedAnswer]) -> list[tuple[int, int, int]]:
    """Row, position before the token, and token, for every token of every answer."""
    return [
        (row, answer.prompt_length - 1 + index, token)
        for row, answer in enumerate(answers)
        for index, token in enumerate(answer.answer_ids)
    ]
