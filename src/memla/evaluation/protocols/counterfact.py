"""CounterFact as ROME and MEMIT measure it: which of two answers is more probable per token."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from memla.evaluation.metrics import AnswerScoreName, log_prob, success
from memla.evaluation.observations import Asked, Observation
from memla.evaluation.protocols.base import Derived, Finding, Protocol, Seen, of_probe
from memla.evaluation.protocols.mkeb import other_decisions
from memla.facts import ProbeKind

if TYPE_CHECKING:
    from memla.evaluation.results import Plan

SUCCESS = {ProbeKind.EDIT: "ES", ProbeKind.PARAPHRASE: "PS", ProbeKind.NEIGHBORHOOD: "NS"}
"""Whether the right answer beats the other: the new one, and for neighbours the true one."""

MAGNITUDE = {ProbeKind.EDIT: "EM", ProbeKind.PARAPHRASE: "PM", ProbeKind.NEIGHBORHOOD: "NM"}
"""By how much probability it does."""


def findings(seen: Sequence[Seen], plan: Plan) -> Iterator[Finding]:
    """Success, magnitude and accuracy of each probe that has two answers."""
    for one in seen:
        kind = one.probe.kind
        if kind not in SUCCESS or one.after.answer is None or one.before.answer is None:
            continue
        if not one.probe.suffix:  # what was scored would be the answer and more
            exact = float(one.after.answer.is_greedy), float(one.before.answer.is_greedy)
            yield from of_probe(one, f"{SUCCESS[kind]}_accuracy", *exact)
        if one.after.contrast is None or one.before.contrast is None:
            continue
        score = plan.answer_score
        yield from of_probe(
            one, SUCCESS[kind], success(one.after, score), success(one.before, score)
        )
        sizes = magnitude(one.after, score), magnitude(one.before, score)
        yield from of_probe(one, MAGNITUDE[kind], *sizes)
        yield from other_decisions(one, SUCCESS, plan)


def magnitude(observation: Observation, score: AnswerScoreName) -> float:
    """Probability of the right answer less that of the other, in [-1, 1]."""
    assert observation.answer is not None
    assert observation.contrast is not None
    right, other = (log_prob(one, score) for one in (observation.answer, observation.contrast))
    return math.exp(right) - math.exp(other)


_KINDS = frozenset(SUCCESS)

COUNTERFACT = Protocol(
    name="counterfact",
    about="Success by the mean log-probability per token, magnitudes, and their harmonic mean.",
    source="ROME (Meng et al., 2022) and MEMIT (Meng et al., 2023)",
    metrics=("S", "ES", "EM", "PS", "PM", "NS", "NM"),
    asked=Asked(scored=_KINDS, contrasted=_KINDS),
    findings=findings,
    defaults={"answer_score": "mean"},
    derived=(Derived("S", ("ES", "PS", "NS"), "harmonic"),),
    is_macro=True,
)
"""The protocol of CounterFact."""
