"""A causal language model as the rest of memla sees it: scores of answers, and generation."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

from memla.errors import DataError
from memla.models import tokens
from memla.models.architectures import Architecture, find_architecture, submodule
from memla.models.batches import by_length
from memla.models.fingerprints import weights_digest
from memla.models.generation import Generation, generate
from memla.models.next_tokens import next_token_log_probs
from memla.models.scores import AnswerScore, check_finite, score_answer
from memla.models.tokens import Separator, TokenizedAnswer

__all__ = ["AnswerScore", "Generation", "LanguageModel", "TokenizedAnswer"]

HEAD_ROWS = 256
"""Positions whose logits are held at once, so that a large vocabulary does not fill the memory."""


class LanguageModel:
    """A model, its tokenizer, and where its parts are.

    Args:
        model: A causal language model; it is put into evaluation mode and its weights frozen.
        tokenizer: Its fast tokenizer.
        name: What to call it in results.

    Raises:
        UnsupportedArchitectureError: The parts of the model cannot be found.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, *, name: str = "model"
    ) -> None:
        self.architecture: Architecture = find_architecture(model)
        self.model = model.eval().requires_grad_(requires_grad=False)
        self.tokenizer = tokenizer
        self.name = name
        accepted = inspect.signature(model.base_model.forward).parameters
        self._takes_positions = "position_ids" in accepted

    def __repr__(self) -> str:
        size = f"{self.n_layers} x {self.d_model}, d_ff {self.d_ff}"
        return f"LanguageModel({self.name!r}, {self.architecture.family}, {size})"

    @property
    def device(self) -> torch.device:
        """Where the embeddings are, and where token ids belong."""
        return cast("torch.device", self.model.device)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return cast("torch.dtype", self.model.dtype)

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return self.architecture.n_layers

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.architecture.d_model

    @property
    def d_ff(self) -> int:
        """Number of neurons in each block."""
        return self.architecture.d_ff

    @property
    def attention_window(self) -> int | None:
        """How many tokens back the narrowest attention sees; None where it sees them all."""
        return getattr(self.model.config.get_text_config(), "sliding_window", None)

    def block(self, layer: int) -> nn.Module:
        """The block of a layer; its output is the residual stream, alone or first in a tuple."""
        return cast("nn.ModuleList", self._part(self.model, self.architecture.blocks))[layer]

    def down_projection(self, layer: int) -> nn.Module:
        """The second MLP matrix of a layer, W_proj; its input is the neurons' activations."""
        return self._part(self.block(layer), self.architecture.down)

    def up_projection(self, layer: int) -> nn.Module:
        """The matrix whose output goes into the activation function: the gate in gated MLPs.

        Where gate and value are stored as one matrix (Phi-3), the first ``d_ff`` outputs are
        the gate.
        """
        architecture = self.architecture
        return self._part(self.block(layer), architecture.gate or architecture.up)

    def value_rows(self, layer: int) -> Float[Tensor, "d_ff d_model"]:
        """W_proj with a row for each neuron, however it is stored: a view that shares memory."""
        weight = cast("Tensor", self.down_projection(layer).weight).detach()
        return weight if self.architecture.neuron_axis == 0 else weight.T

    def compose(
        self, prompt: str, answer: str, language: str, *, separator: Separator = "auto"
    ) -> TokenizedAnswer:
        """A prompt and its answer as token ids; see :func:`memla.models.tokens.compose`."""
        return tokens.compose(self.tokenizer, prompt, answer, language, separator=separator)

    def answer_ids(self, answer: str, language: str) -> tuple[int, ...]:
        """Tokens of an answer inside a text, its separator included, without special tokens."""
        separator = tokens.join("", language)
        return tokens.continuation_ids(self.tokenizer, separator + answer)

    def hidden_states(
        self,
        ids: Int[Tensor, "batch time"],
        attention_mask: Tensor | None = None,
        *,
        position_ids: Int[Tensor, "#batch time"] | None = None,
        past_key_values: DynamicCache | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """What the head reads: the residual stream after the final norm.

        Args:
            ids: Token ids, padded on either side.
            attention_mask: 1 for tokens and 0 for padding, cached tokens included; or a 4-D
                additive mask, if ``architecture.supports_tree_mask``. None: no padding.
            position_ids: Positions, one row for all or one each; needed with a 4-D mask,
                otherwise counted from the mask.
                Ignored by models that derive them from the mask (BLOOM).
            past_key_values: A cache to read and extend. It is changed by the call.

        Raises:
            DataError: There are more tokens than the model has positions.
        """
        if position_ids is None:
            position_ids = self._positions(ids, attention_mask, past_key_values)
        positions = {"position_ids": position_ids} if self._takes_positions else {}
        output = self.model.base_model(
            input_ids=ids,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            use_cache=past_key_values is not None,
            **positions,
        )
        return cast("Tensor", output.last_hidden_state).to(ids.device)

    def final_logits(self, hidden: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch vocab"]:
        """Logits of hidden states that have been through the final norm already.

        The head, then the model's own scaling and soft cap. ``width`` is ``d_model``, except in
        models with a projection before the head.
        """
        logits = self._part(self.model, self.architecture.head)(hidden).to(hidden.device)
        config = self.model.config.get_text_config()
        if (scale := getattr(config, "logit_scale", None)) is not None:
            logits = logits * scale
        if (scaling := getattr(config, "logits_scaling", None)) is not None:
            logits = logits / scaling
        if (cap := getattr(config, "final_logit_softcapping", None)) is not None:
            logits = torch.tanh(logits / cap) * cap
        return cast("Tensor", logits)

    @property
    def plain_head(self) -> nn.Linear | None:
        """The head, if its outputs are the logits as they are; None if anything is done to them."""
        head = self._part(self.model, self.architecture.head)
        config = self.model.config.get_text_config()
        changes = ("logit_scale", "logits_scaling", "final_logit_softcapping")
        is_changed = any(getattr(config, name, None) is not None for name in changes)
        return head if type(head) is nn.Linear and not is_changed else None

    def new_cache(self) -> DynamicCache:
        """An empty cache of keys and values, as this model wants it."""
        return DynamicCache(config=self.model.config)

    def pad(
        self, rows: Sequence[Sequence[int]], *, side: Literal["left", "right"] = "right"
    ) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"] | None]:
        """Rows of token ids as one tensor with its mask, which is None if nothing is padded."""
        longest = max(len(row) for row in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            place = slice(0, len(row)) if side == "right" else slice(longest - len(row), longest)
            ids[index, place] = torch.tensor(row)
            mask[index, place] = 1
        padded = any(len(row) < longest for row in rows)
        return ids.to(self.device), mask.to(self.device) if padded else None

    def token_log_probs(
        self, sequences: Sequence[TokenizedAnswer]
    ) -> tuple[Float[Tensor, " tokens"], Int[Tensor, " tokens"]]:
        """Log-probabilities of the answers' tokens in one batch, with gradients if enabled.

        Returns:
            In float32 nats, the tokens of all answers one after the other, and the most likely
            token at the place of each.
        """
        ids, mask = self.pad([sequence.ids[:-1] for sequence in sequences])
        rows = [row for row, one in enumerate(sequences) for _ in one.answer_ids]
        places = [p - 1 for one in sequences for p in range(one.prompt_length, len(one.ids))]
        targets = torch.tensor([token for one in sequences for token in one.answer_ids])
        hidden = self.hidden_states(ids, mask)[rows, places]
        scores, likeliest = [], []
        for part, wanted in zip(
            hidden.split(HEAD_ROWS), targets.to(hidden.device).split(HEAD_ROWS), strict=True
        ):
            logits = self.final_logits(part).float()
            scores.append(logits.log_softmax(-1).gather(-1, wanted[:, None])[:, 0])
            likeliest.append(logits.argmax(-1))
        return torch.cat(scores), torch.cat(likeliest)

    @torch.no_grad()
    def log_probs(
        self,
        prompts: Sequence[str],
        answers: Sequence[str],
        languages: Sequence[str],
        *,
        separator: Separator = "auto",
        batch_size: int = 64,
    ) -> list[AnswerScore]:
        """Score each answer after its prompt; neither order nor batch size matters.

        Raises:
            DataError: The three lists differ in length, or a text has no tokens.
            ModelError: The model's output is not finite.
        """
        if not len(prompts) == len(answers) == len(languages):
            sizes = f"{len(prompts)} prompts, {len(answers)} answers, {len(languages)} languages"
            raise DataError(f"{sizes} were given", hint="give one answer and language per prompt")
        rows = zip(prompts, answers, languages, strict=True)
        sequences = [self.compose(*row, separator=separator) for row in rows]
        scores: dict[int, AnswerScore] = {}
        for batch in by_length([len(sequence.ids) for sequence in sequences], batch_size):
            values, likeliest = self.token_log_probs([sequences[index] for index in batch])
            check_finite(self, values)
            lengths = [len(sequences[index].answer_ids) for index in batch]
            for index, value, best in zip(
                batch, values.cpu().split(lengths), likeliest.cpu().split(lengths), strict=True
            ):
                scores[index] = score_answer(
                    self.tokenizer, answers[index], sequences[index], value.tolist(), best.tolist()
                )
        return [scores[index] for index in range(len(sequences))]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int | Sequence[int],
        stop: Literal["length", "answer"] = "length",
        batch_size: int = 64,
    ) -> list[Generation]:
        """Continue each prompt greedily; see :func:`memla.models.generation.generate`."""
        return generate(
            self, prompts, max_new_tokens=max_new_tokens, stop=stop, batch_size=batch_size
        )

    def next_token_log_probs(
        self, prompts: Sequence[str], *, batch_size: int = 64
    ) -> Float[Tensor, "prompts vocab"]:
        """What would follow each prompt; see :mod:`memla.models.next_tokens`."""
        return next_token_log_probs(self, prompts, batch_size=batch_size)

    def fingerprint(self) -> str:
        """SHA-256 of all weights, with their names, types and shapes: the identity of the model."""
        return weights_digest(self.model)

    def _positions(
        self,
        ids: Int[Tensor, "batch time"],
        attention_mask: Tensor | None,
        past_key_values: DynamicCache | None,
    ) -> Int[Tensor, "batch time"]:
        past = 0 if past_key_values is None else int(past_key_values.get_seq_length())
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if limit is not None and past + ids.shape[1] > limit:
            raise DataError(
                f"{past + ids.shape[1]} tokens are too many for {self.name}, which takes {limit}",
                hint="give a shorter prompt, or fewer tokens to write",
            )
        if attention_mask is None:
            return torch.arange(past, past + ids.shape[1], device=ids.device).expand(ids.shape)
        if attention_mask.ndim != 2:
            raise DataError("a 4-D attention mask has no positions", hint="give position_ids")
        return (attention_mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]

    @staticmethod
    def _part(module: nn.Module, path: str) -> nn.Module:
        found = submodule(module, path)
        assert found is not None
        return found
