"""What protocols compute of a probe: pure functions of what was observed.

Each is a number in [0, 1]; tables show it in percent. In the protocol ``mkeb``, ES, PS, NS and QS
follow the MKEB paper and the code of its authors: ES and PS compare joint probabilities, strictly;
NS and QS are the F1 of the model's greedy answer and the right one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from memla.errors import DataError
from memla.evaluation.f1_units import F1Units, Said, f1, f1_tokens
from memla.evaluation.observations import Likelihood, Observation
from memla.facts import ProbeKind
from memla.languages import normalize_answer, words

AnswerScoreName = Literal["joint", "mean", "first_token", "per_byte"]
"""Which log-probability decides ES and PS: ``joint`` in MKEB, ``mean`` in CounterFact."""

F1_METRICS = {
    ProbeKind.NEIGHBORHOOD: "NS",
    ProbeKind.MULTI_HOP: "QS",
    ProbeKind.PORTABILITY: "POR",
}
"""Name of the F1 by kind of probe."""

SUCCESS_METRICS = {ProbeKind.EDIT: "ES", ProbeKind.PARAPHRASE: "PS"}
"""Name of the comparison of two answers by kind of probe."""


def success(observation: Observation, score: AnswerScoreName = "joint") -> float:
    """Whether the new answer is more probable than the one it replaces: ES and PS.

    ``1[P(y*|x) > P(y°|x)]``: a tie is a failure.

    Raises:
        DataError: The probe has no two answers to compare.
    """
    return float(margin(observation, score) > 0)


def margin(observation: Observation, score: AnswerScoreName = "joint") -> float:
    """By how many nats the new answer is ahead of the one it replaces.

    Raises:
        DataError: The probe has no two answers to compare.
    """
    if observation.answer is None or observation.contrast is None:
        raise DataError(
            f"{observation.probe.kind} probe {observation.probe.prompt!r} has no two answers",
            hint="give it a contrast: the answer that was right before the edit",
        )
    return log_prob(observation.answer, score) - log_prob(observation.contrast, score)


def log_prob(likelihood: Likelihood, score: AnswerScoreName = "joint") -> float:
    """Log-probability of an answer in the normalisation of this name, in nats."""
    return float(getattr(likelihood, score))


def answer_f1(
    observation: Observation, units: F1Units = "model_ids_bag", tokenizer: str | None = None
) -> float:
    """F1 of the model's answer and the right one: NS on neighbours, QS on questions."""
    language = observation.probe.language
    said = Said(observation.predicted, observation.predicted_ids)
    right = Said(observation.probe.answer, observation.gold_ids)
    return f1(
        f1_tokens(said, language, units, tokenizer), f1_tokens(right, language, units, tokenizer)
    )


def exact_match(observation: Observation) -> float:
    """Whether the model's answer is the right one, as words: EM.

    Case, punctuation, spacing and English articles do not count.
    """
    probe = observation.probe
    return float(is_same_answer(observation.predicted, probe.answer, probe.language))


def is_same_answer(first: str, second: str, language: str) -> bool:
    """Whether two answers are the same words.

    Answers without words, such as signs alone, are compared letter by letter.
    """
    units = words(first, language)
    return units == words(second, language) and (bool(units) or first.strip() == second.strip())


def agreement(before: Observation, after: Observation) -> float:
    """Whether the model answers as it did before the edit, right or wrong."""
    return float(normalize_answer(before.predicted) == normalize_answer(after.predicted))


def forced_accuracy(observation: Observation) -> float | None:
    """Share of the right answer's tokens that are the most likely ones at their places.

    Each is asked for with the right tokens before it. None: that was not observed.
    """
    return _equal_share(observation.forced_ids, observation.forced_gold_ids)


def forced_agreement(before: Observation, after: Observation) -> float | None:
    """Share of the places at which an edit left the most likely token, right or wrong, as it was.

    None: that was not observed.
    """
    return _equal_share(after.forced_ids, before.forced_ids)


def _equal_share(first: Sequence[int], second: Sequence[int]) -> float | None:
    if not first or len(first) != len(second):
        return None
    return sum(one == other for one, other in zip(first, second, strict=True)) / len(first)


def gives_answer(observation: Observation) -> float:
    """Whether the model's answer is the right one or an alias, as words.

    Case, punctuation, spacing and English articles do not count.
    """
    said, language = observation.predicted, observation.probe.language
    rights = right_answers(observation)
    return float(any(is_same_answer(said, right, language) for right in rights))


def holds_answer(observation: Observation) -> float:
    """Whether the right answer or an alias stands in what the model says.

    But for case, punctuation and spacing, unless an answer is nothing else.
    """
    said = normalize_answer(observation.predicted)
    for right in right_answers(observation):
        folded = normalize_answer(right)
        if folded in said if folded else right in observation.predicted:
            return 1.0
    return 0.0


def right_answers(observation: Observation) -> tuple[str, ...]:
    """The right answer and its aliases."""
    return (observation.probe.answer, *observation.probe.aliases)


def measure(
    observation: Observation,
    *,
    answer_score: AnswerScoreName = "joint",
    f1_units: F1Units = "model_ids_bag",
    f1_tokenizer: str | None = None,
) -> dict[str, float]:
    """Every metric of MKEB that a probe of this kind has, by name.

    A probe whose answer does not stand last has none that needs the model's own answer.
    """
    kind, is_last = observation.probe.kind, not observation.probe.suffix
    values = {}
    if kind in F1_METRICS and is_last:
        values[F1_METRICS[kind]] = answer_f1(observation, f1_units, f1_tokenizer)
    if kind in SUCCESS_METRICS and observation.contrast is not None:
        values[SUCCESS_METRICS[kind]] = success(observation, answer_score)
    if kind is ProbeKind.EDIT and is_last:
        values["EM"] = exact_match(observation)
    return values


def transferability(by_target: Mapping[str, float], sources: Iterable[str]) -> float:
    """Unweighted mean of a metric over the languages the edit was not made in.

    Raises:
        DataError: There is no other language.
    """
    own = set(sources)
    others = [value for target, value in by_target.items() if target not in own]
    if not others:
        raise DataError("transferability needs a target language other than the source")
    return sum(others) / len(others)


def retention(after: float, before: float) -> float:
    """Share of a score that an edit leaves; 1 means that nothing was lost.

    Raises:
        DataError: There was nothing to lose.
    """
    if before <= 0:
        raise DataError(f"retention needs a score above 0 before the edit, got {before}")
    return after / before
