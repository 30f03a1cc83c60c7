"""Texts that a model with a limited number of positions can read."""

from __future__ import annotations

from collections.abc import Sequence

from memla.errors import DataError, ModelError
from memla.models.language_model import LanguageModel
from memla.models.scores import AnswerScore
from memla.models.tokens import prompt_ids


def positions(model: LanguageModel) -> int | None:
    """How many tokens the model takes at once; None: no limit is known."""
    limit = getattr(model.model.config.get_text_config(), "max_position_embeddings", None)
    return None if limit is None else int(limit)


def beginning(model: LanguageModel) -> str:
    """What stands before the first token of a text, so that this token too has a probability.

    It is nothing where the tokenizer puts its own mark there, else the mark for the beginning or
    the end of a text, as in lm-eval.

    Raises:
        ModelError: The tokenizer has neither.
    """
    tokenizer = model.tokenizer
    if prompt_ids(tokenizer, ""):
        return ""
    mark = tokenizer.bos_token or tokenizer.eos_token
    if mark is None:
        raise ModelError(
            f"the tokenizer of {model.name!r} has no mark for the beginning or end of a text",
            hint="set its bos_token",
        )
    return str(mark)


def fitted(model: LanguageModel, prompt: str, answer: str, *, spare: int = 0) -> str:
    """The end of a prompt that leaves room for its answer; all of it where that fits.

    Args:
        model: The model.
        prompt: Any text.
        answer: What follows, with what separates the two; may be empty.
        spare: Tokens to leave free besides.

    Raises:
        DataError: The answer alone does not fit.
    """
    limit = positions(model)
    # No text has more tokens than bytes, but for a mark at its beginning.
    if limit is None or len((prompt + answer).encode()) + spare + 2 <= limit:
        return prompt
    while (excess := _n_tokens(model, prompt, answer) + spare - limit) > 0:
        offsets = _offsets(model, prompt)
        if excess >= len(offsets):
            raise DataError(
                f"an answer of {_n_tokens(model, '', answer)} tokens and {spare} to be written do"
                f" not fit into the {limit} of {model.name!r}",
                hint="take a model with more positions, or another task",
            )
        prompt = prompt[max(offsets[excess], 1) :]
    return prompt


def pieces(model: LanguageModel, text: str) -> list[str]:
    """A text in parts that the model can read, each cut where a token ends."""
    limit = positions(model)
    start = beginning(model)
    if limit is None or _n_tokens(model, start, text) <= limit:
        return [text]
    offsets = _offsets(model, text)
    cut = offsets[min(limit - 1, len(offsets) - 1)]
    if not 0 < cut < len(text):
        cut = max(1, len(text) // 2)
    return [*pieces(model, text[:cut]), *pieces(model, text[cut:])]


def score_texts(
    model: LanguageModel, texts: Sequence[str], *, batch_size: int = 64
) -> list[list[AnswerScore]]:
    """How likely the model finds each text from its first token on: a score for each part."""
    parts = [pieces(model, text) for text in texts]
    flat = [piece for of_text in parts for piece in of_text]
    start = beginning(model)
    scores = iter(
        model.log_probs(
            [start] * len(flat), flat, ["en"] * len(flat), separator="none", batch_size=batch_size
        )
    )
    return [[next(scores) for _ in of_text] for of_text in parts]


def _n_tokens(model: LanguageModel, prompt: str, answer: str) -> int:
    if not answer:
        return len(prompt_ids(model.tokenizer, prompt))
    if not prompt:
        return len(prompt_ids(model.tokenizer, answer)) + 1
    return len(model.compose(prompt, answer, "en", separator="none").ids)


def _offsets(model: LanguageModel, text: str) -> list[int]:
    """Where each token of a text starts, in characters."""
    encoded = model.tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    return [int(start) for start, _ in encoded["offset_mapping"]]
