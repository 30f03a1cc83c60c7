"""The loss of many vectors at once, over one batch of aligned texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from memla.editors.aligned import Passes, PlacedText, ReadTexts
from memla.models.language_model import HEAD_ROWS, LanguageModel


@dataclass(frozen=True, slots=True)
class ValueSettings:
    """How vectors are optimised."""

    steps: int = 20
    """How often the loss is looked at; there is one update fewer, as in the authors' code."""
    learning_rate: float = 0.5
    """Adam's step."""
    step_unit: Literal["absolute", "start_rms"] = "absolute"
    """What a step is measured in: as it is, or in root mean squares of ``start``, which makes it
    the same for models whose states differ in size."""
    weight_decay: float = 0.5
    """Weight of ``||delta|| / ||start||^2``."""
    clamp: float = 4.0
    """Longest a vector may be, in lengths of ``start``."""
    kl_weight: float = 0.0625
    """Weight of the divergence; 0 leaves it out."""
    kl_position: Literal["prompt_last", "subject_last"] = "prompt_last"
    """Which next token it compares: that after the phrase, or, as the authors' code does, that
    after the subject inside it."""
    kl_direction: Literal["before_after", "after_before"] = "before_after"
    """KL(before || after), or KL(after || before), as the authors' code does."""
    stop_loss: float = 0.05
    """A vector is left as it is once its loss is below this."""
    nll_weight: float = 1.0
    """Weight of the new answer's negative log-likelihood."""
    known_nll_factor: float = 1.0
    """Factor on that weight while every token of the new answer is the most likely one."""
    stop_kl: float | None = None
    """A vector is also left as it is once that is so and its divergence is at most this."""


@dataclass(frozen=True, slots=True)
class ScoredText:
    """A text whose answer is to become likely, or whose next token is to stay as it is."""

    text: PlacedText
    vector: int
    """Number of the vector that is added to it."""
    request: int
    """Number of the request it comes from."""
    tokens: tuple[int, ...]
    """The answer; the text ends before its last token. Empty: the next token is to stay."""
    weight: float
    """In the vector's loss."""
    is_bare: bool
    """Whether it is the request's prompt with nothing before it."""


@dataclass(frozen=True, slots=True, eq=False)
class ValueLosses:
    """What one look found, for every vector; zeros for those left out."""

    loss: Float[Tensor, " vectors"]
    nll: Float[Tensor, " vectors"]
    """Mean negative log-likelihood of an answer's token, in nats."""
    kl: Float[Tensor, " vectors"]
    """Divergence of the next tokens that should stay, in nats."""
    is_known: Bool[Tensor, " vectors"]
    """Whether every token of every answer is the most likely one."""
    probabilities: Mapping[int, float]
    """Of the whole answer after the bare prompt, by request."""

    def detached(self) -> ValueLosses:
        """The same without gradients."""
        return replace(self, loss=self.loss.detach(), nll=self.nll.detach(), kl=self.kl.detach())


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Which next tokens are looked at: first those of answers, then those that should stay."""

    row: Int[Tensor, " scored"]
    column: Int[Tensor, " scored"]
    """From the aligned column on."""
    token: Int[Tensor, " answered"]
    vector: Int[Tensor, " scored"]
    weight: Float[Tensor, " scored"]


class ValueLoss:
    """The loss of the vectors of a batch.

    Args:
        model: The model.
        read: The texts, read once.
        texts: What is scored of each.
        settings: Weights of its terms.
    """

    def __init__(
        self,
        model: LanguageModel,
        read: ReadTexts,
        texts: Sequence[ScoredText],
        settings: ValueSettings,
    ) -> None:
        self.dtype = torch.promote_types(model.dtype, torch.float32)
        self.vectors = list(dict.fromkeys(text.vector for text in texts))
        """Numbers of the vectors, in the order in which they are given."""
        self._model = model
        self._settings = settings
        self._texts = list(texts)
        self._passes: Passes = read.passes
        self.start_norms = self._norms(read.starts)
        """Length of what stands at each site, mean over a vector's requests: [vectors, sites]."""
        self._scored = self._places(model.device)
        stays = slice(len(self._scored.token), None)
        with torch.no_grad():
            hidden = read.hidden[self._scored.row[stays], self._scored.column[stays]]
            self._before = self._log_probs(hidden)

    def evaluate(self, vectors: Float[Tensor, "vectors sites d_model"]) -> ValueLosses:
        """Look at the vectors; gradients flow to them."""
        settings, scored = self._settings, self._scored
        order = [self.vectors.index(text.vector) for text in self._texts]
        log_probs = self._log_probs(self._passes.hidden(vectors[order], scored.row, scored.column))
        n = len(scored.token)
        answered, after = log_probs[:n], log_probs[n:]
        picked = answered.gather(-1, scored.token[:, None])[:, 0]
        nll = self._by_vector(-picked, slice(0, n))
        kl = self._by_vector(self._divergence(after), slice(n, None))
        misses = self._by_vector((answered.argmax(-1) != scored.token).to(self.dtype), slice(0, n))
        is_known = misses == 0
        factor = torch.where(is_known, settings.known_nll_factor, 1.0) * settings.nll_weight
        decay = (vectors.norm(dim=-1) / self.start_norms**2).sum(-1)
        loss = factor * nll + settings.kl_weight * kl + settings.weight_decay * decay.to(nll.device)
        return ValueLosses(loss, nll, kl, is_known, self._probabilities(picked.detach()))

    def keep(self, vectors: Sequence[int]) -> None:
        """Leave out the texts of all vectors but these, which are numbered by their order."""
        wanted = {self.vectors[index] for index in vectors}
        rows = [row for row, text in enumerate(self._texts) if text.vector in wanted]
        if len(rows) == len(self._texts):
            return
        stays = [row for row, text in enumerate(self._texts) if not text.tokens]
        chosen = [index for index, row in enumerate(stays) if self._texts[row].vector in wanted]
        self._before = self._before[chosen]
        self._texts = [self._texts[row] for row in rows]
        self._passes = self._passes.rows(torch.tensor(rows, device=self._model.device))
        self._scored = self._places(self._model.device)

    def _norms(self, starts: Float[Tensor, "rows sites d_model"]) -> Tensor:
        lengths = starts.to(self.dtype).norm(dim=-1)
        rows = [
            [row for row, text in enumerate(self._texts) if text.is_bare and text.vector == vector]
            for vector in self.vectors
        ]
        return torch.stack([lengths[own].mean(dim=0) for own in rows])

    def _places(self, device: torch.device) -> _Scored:
        answered: list[tuple[int, int, int, int, float]] = []
        stays: list[tuple[int, int, int, int, float]] = []
        for row, text in enumerate(self._texts):
            vector, last = self.vectors.index(text.vector), len(text.text.ids) - 1
            first = last + 1 - max(1, len(text.tokens))
            for column, token in zip(range(first, last + 1), text.tokens or (0,), strict=True):
                weight = text.weight / max(1, len(text.tokens))
                entry = (row, column - text.text.place, token, vector, weight)
                (answered if text.tokens else stays).append(entry)
        rows, columns, tokens, vectors, weights = zip(*answered, *stays, strict=True)
        return _Scored(
            row=torch.tensor(rows, device=device),
            column=torch.tensor(columns, device=device),
            token=torch.tensor(tokens[: len(answered)], device=device),
            vector=torch.tensor(vectors, device=device),
            weight=torch.tensor(weights, dtype=self.dtype, device=device),
        )

    def _log_probs(self, hidden: Float[Tensor, "scored width"]) -> Float[Tensor, "scored vocab"]:
        parts = [
            self._model.final_logits(part).to(self.dtype).log_softmax(-1)
            for part in hidden.split(HEAD_ROWS)
        ]
        return torch.cat(parts)

    def _by_vector(self, values: Tensor, part: slice) -> Float[Tensor, " vectors"]:
        """Weighted sums of what was found at some of the places."""
        sums = values.new_zeros(len(self.vectors))
        weighted = values * self._scored.weight[part]
        return sums.index_add(0, self._scored.vector[part], weighted)

    def _divergence(self, after: Float[Tensor, "stays vocab"]) -> Float[Tensor, " stays"]:
        first, second = self._before, after
        if self._settings.kl_direction == "after_before":
            first, second = second, first
        return (first.exp() * (first - second)).sum(-1)

    def _probabilities(self, picked: Float[Tensor, " answered"]) -> dict[int, float]:
        lengths = [len(text.tokens) for text in self._texts if text.tokens]
        answers = [text for text in self._texts if text.tokens]
        return {
            text.request: float(part.sum().exp())
            for text, part in zip(answers, picked.split(lengths), strict=True)
            if text.is_bare
        }
