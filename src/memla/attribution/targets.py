"""Whose probability is attributed, and where: from requests to rows of token ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from memla.attribution.config import AttributionConfig
from memla.errors import DataError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel
from memla.models.tokens import prompt_ids, subject_token_span

Combination = Literal["mean", "product"]
AnswerKind = Literal["target_true", "target_new", "greedy"]


@dataclass(frozen=True, slots=True)
class Passage:
    """One row of tokens the model reads, where its neurons are replaced, what is scored after."""

    ids: tuple[int, ...]
    """Tokens up to the last one that is scored after, none beyond."""
    interventions: tuple[int, ...]
    """Positions at which neurons are replaced, ascending."""
    scored: tuple[tuple[int, int], ...]
    """Positions, none before the first intervention, and the token whose probability counts
    after each."""

    @property
    def shape(self) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """What passages must share to be evaluated in one batch."""
        return len(self.ids), self.interventions, tuple(place for place, _ in self.scored)


@dataclass(frozen=True, slots=True)
class AttributionTarget:
    """The objective: mean or product of the probabilities of all scored tokens."""

    passages: tuple[Passage, ...]
    combination: Combination
    language: str

    @property
    def n_scored(self) -> int:
        """Number of scored tokens."""
        return sum(len(passage.scored) for passage in self.passages)


def targets_of(
    model: LanguageModel, request: EditRequest, config: AttributionConfig
) -> Iterator[AttributionTarget]:
    """What to attribute for one request: one target, or two when both answers are asked for.

    Raises:
        DataError: The request lacks the answer.
    """
    kinds: tuple[AnswerKind, ...]
    if config.answer == "both":
        kinds = ("target_true",) if request.target_new is None else ("target_true", "target_new")
    else:
        kinds = (config.answer,)
    for kind in kinds:
        if config.multi_token == "greedy_repeat":  # noqa: S105
            yield _repeating_target(model, request, kind, config)
        else:
            yield _composed_target(model, request, kind, config)


def _composed_target(
    model: LanguageModel, request: EditRequest, kind: AnswerKind, config: AttributionConfig
) -> AttributionTarget:
    if kind == "greedy":
        prompt = prompt_ids(model.tokenizer, request.text)
        ids, length = prompt + _greedy_ids(model, request, config), len(prompt)
    else:
        composed = model.compose(request.text, _answer(request, kind), request.language)
        ids, length = composed.ids, composed.prompt_length
    scored = [(index - 1, ids[index]) for index in range(length, len(ids))]
    subject = _subject_last(model, request, request.text) if _at_subject(config) else None
    mode = config.multi_token
    if mode == "first_token":
        scored = scored[:1]
    if mode == "teacher_forced" and subject is None:
        passages = [
            Passage(ids[: place + 1], (place,), ((place, token),)) for place, token in scored
        ]
    else:
        first = length - 1 if subject is None else subject
        later = range(length, len(ids) - 1) if mode == "joint_all" else ()
        passages = [Passage(ids[: scored[-1][0] + 1], (first, *later), tuple(scored))]
    combination: Combination = "product" if mode in {"joint", "joint_all"} else "mean"
    return AttributionTarget(tuple(passages), combination, request.language)


def _repeating_target(
    model: LanguageModel, request: EditRequest, kind: AnswerKind, config: AttributionConfig
) -> AttributionTarget:
    """What the authors' code attributes, with the peculiarities that change its result.

    The answer is tokenised alone, with the special tokens and without the space before it. The
    context of each later token is the text so far with the first token of the model's own answer
    appended as text: always the same one.
    """
    if kind == "greedy":
        wanted = _greedy_ids(model, request, config)
    else:
        wanted = tuple(model.tokenizer(_answer(request, kind))["input_ids"])
    (stale,) = model.generate([request.text], max_new_tokens=1)
    appended = str(model.tokenizer.decode(list(stale.token_ids)))
    passages = []
    for index, token in enumerate(wanted):
        text = request.text + appended * index
        ids = prompt_ids(model.tokenizer, text)
        last = len(ids) - 1
        place = _subject_last(model, request, text) if _at_subject(config) else last
        passages.append(Passage(ids, (place,), ((last, token),)))
    return AttributionTarget(tuple(passages), "mean", request.language)


def _answer(request: EditRequest, kind: Literal["target_true", "target_new"]) -> str:
    value = request.target_true if kind == "target_true" else request.target_new
    if value is None:
        raise DataError(
            f"the request of fact {request.fact!r} in language {request.language!r} has no {kind}",
            hint=f"give {kind} in each language whose neurons are looked for",
        )
    return value


def _greedy_ids(
    model: LanguageModel, request: EditRequest, config: AttributionConfig
) -> tuple[int, ...]:
    (answer,) = model.generate([request.text], max_new_tokens=config.greedy_tokens, stop="answer")
    if not answer.token_ids:
        (answer,) = model.generate([request.text], max_new_tokens=1)
    return answer.token_ids


def _at_subject(config: AttributionConfig) -> bool:
    return config.position == "subject_last"


def _subject_last(model: LanguageModel, request: EditRequest, text: str) -> int:
    return subject_token_span(model.tokenizer, text, request.subject_span)[1] - 1
