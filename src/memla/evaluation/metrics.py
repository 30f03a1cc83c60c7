"""The metrics of multilingual knowledge editing: pure functions of what was observed.

Each is a number in [0, 1]; tables show it in percent. ES, PS, NS and QS follow the MKEB paper and
the code of its authors: ES and PS compare joint probabilities, strictly; NS and QS are the F1 of
the model's greedy answer and the right one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Literal

from memla.errors import DataError
from memla.evaluation.observations import Likelihood, Observation
from memla.facts import ProbeKind
from memla.languages import normalize_answer, words

AnswerScoreName = Literal["joint", "mean", "first_token", "per_byte"]
"""Which log-probability decides ES and PS: ``joint`` in MKEB, ``mean`` in CounterFact."""

F1Units = Literal["model_ids_bag", "model_ids_set", "words"]
"""What F1 counts: tokens of the model as a multiset (as MKEB is written) or as a set (as its
authors' code does), or words and characters that are the same for every model."""

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
    return _value(observation.answer, score) - _value(observation.contrast, score)


def _value(likelihood: Likelihood, score: AnswerScoreName) -> float:
    return float(getattr(likelihood, score))


def answer_f1(observation: Observation, units: F1Units = "model_ids_bag") -> float:
    """F1 of the model's answer and the right one: NS on neighbours, QS on questions."""
    if units == "words":
        language = observation.probe.language
        return f1(words(observation.predicted, language), words(observation.probe.answer, language))
    predicted, gold = observation.predicted_ids, observation.gold_ids
    if units == "model_ids_set":
        return f1(sorted(set(predicted)), sorted(set(gold)))
    return f1(predicted, gold)


def f1(predicted: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """Harmonic mean of precision and recall of two multisets, ``2|a ∩ b| / (|a| + |b|)``.

    Two empty ones agree; an empty one agrees with nothing else.
    """
    if not predicted and not gold:
        return 1.0
    common = (Counter(predicted) & Counter(gold)).total()
    return 2 * common / (len(predicted) + len(gold))


def exact_match(observation: Observation) -> float:
    """Whether the model's answer is the right one, but for case, punctuation and spacing: EM."""
    right = words(observation.probe.answer, observation.probe.language)
    said = words(observation.predicted, observation.probe.language)
    return float(said == right)


def agreement(before: Observation, after: Observation) -> float:
    """Whether the model answers as it did before the edit, right or wrong."""
    return float(normalize_answer(before.predicted) == normalize_answer(after.predicted))


def measure(
    observation: Observation,
    *,
    answer_score: AnswerScoreName = "joint",
    f1_units: F1Units = "model_ids_bag",
) -> dict[str, float]:
    """Every metric a probe of this kind has, by name."""
    kind = observation.probe.kind
    if kind in F1_METRICS:
        return {F1_METRICS[kind]: answer_f1(observation, f1_units)}
    values = {}
    if observation.contrast is not None:
        values[SUCCESS_METRICS[kind]] = success(observation, answer_score)
    if kind is ProbeKind.EDIT:
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
