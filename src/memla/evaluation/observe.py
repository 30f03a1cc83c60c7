"""Ask a model the probes, and keep what it said: probabilities of answers and its own answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from memla.errors import ModelError
from memla.evaluation.observations import Decoding, Likelihood, Observation
from memla.facts import Probe, ProbeKind
from memla.models.language_model import AnswerScore, LanguageModel

MAX_NEW_TOKENS = 24
"""Longest answer under ``until_stop``."""

COMPARED = frozenset({ProbeKind.EDIT, ProbeKind.PARAPHRASE})
"""Kinds of probe whose two answers are compared by probability."""


def observe(
    model: LanguageModel,
    probes: Sequence[Probe],
    *,
    decoding: Decoding = "gold_length",
    batch_size: int = 64,
) -> list[Observation]:
    """Ask a model every probe, all languages in the same batches.

    Args:
        model: Anything with ``log_probs``, ``generate`` and ``answer_ids``.
        probes: In any order; the observations come back in the same.
        decoding: Length of the model's own answers.
        batch_size: Decides speed and nothing else.

    Raises:
        ModelError: A probability is not a number.
    """
    likelihoods = _likelihoods(model, probes, batch_size)
    gold = [model.answer_ids(probe.answer, probe.language) for probe in probes]
    by_length = decoding == "gold_length"
    generations = model.generate(
        [probe.prompt for probe in probes],
        max_new_tokens=[len(ids) for ids in gold] if by_length else MAX_NEW_TOKENS,
        stop="length" if by_length else "answer",
        batch_size=batch_size,
    )
    return [
        Observation(
            probe=probe,
            answer=likelihoods.get((index, "answer")),
            contrast=likelihoods.get((index, "contrast")),
            predicted=generation.text,
            predicted_ids=generation.token_ids,
            gold_ids=tuple(ids),
        )
        for index, (probe, ids, generation) in enumerate(
            zip(probes, gold, generations, strict=True)
        )
    ]


def _likelihoods(
    model: LanguageModel, probes: Sequence[Probe], batch_size: int
) -> dict[tuple[int, str], Likelihood]:
    asked: list[tuple[int, str, str]] = []
    for index, probe in enumerate(probes):
        if probe.kind in COMPARED:
            asked.append((index, "answer", probe.answer))
            if probe.contrast is not None:
                asked.append((index, "contrast", probe.contrast))
    if not asked:
        return {}
    scores = model.log_probs(
        [probes[index].prompt for index, _, _ in asked],
        [text for _, _, text in asked],
        [probes[index].language for index, _, _ in asked],
        batch_size=batch_size,
    )
    return {
        (index, role): _likelihood(score, probes[index], text)
        for (index, role, text), score in zip(asked, scores, strict=True)
    }


def _likelihood(score: AnswerScore, probe: Probe, text: str) -> Likelihood:
    if not math.isfinite(score.joint):
        raise ModelError(
            f"the model gives {text!r} after {probe.prompt!r} a log-probability of {score.joint}",
            hint="its weights or the edit are broken; try float32",
        )
    return Likelihood(
        joint=score.joint,
        mean=score.mean,
        first_token=score.first_token,
        per_byte=score.per_byte,
        n_tokens=len(score.token_log_probs),
        is_greedy=bool(score.is_greedy),
        boundary_merge=score.boundary_merge,
    )
