"""What a model would say next, as a distribution over its whole vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from memla.errors import DataError
from memla.models.batches import by_length
from memla.models.scores import check_finite
from memla.models.tokens import prompt_ids

if TYPE_CHECKING:
    from memla.models.language_model import LanguageModel


@torch.no_grad()
def next_token_log_probs(
    model: LanguageModel, prompts: Sequence[str], *, batch_size: int = 64
) -> Float[Tensor, "prompts vocab"]:
    """Log-probabilities of every token after each prompt, in float32 nats, on the CPU.

    Raises:
        DataError: A prompt has no tokens.
        ModelError: The model's output is not finite.
    """
    rows = [prompt_ids(model.tokenizer, prompt) for prompt in prompts]
    for prompt, row in zip(prompts, rows, strict=True):
        if not row:
            raise DataError(f"prompt {prompt!r} has no tokens", hint="give a text to continue")
    found: dict[int, Tensor] = {}
    for batch in by_length([len(row) for row in rows], batch_size):
        ids, mask = model.pad([rows[index] for index in batch], side="left")
        hidden = model.hidden_states(ids, mask)[:, -1]
        scores = model.final_logits(hidden).float().log_softmax(-1).cpu()
        check_finite(model, scores.amax(-1))  # a token may have no chance at all
        found |= dict(zip(batch, scores, strict=True))
    return torch.stack([found[index] for index in range(len(rows))])
