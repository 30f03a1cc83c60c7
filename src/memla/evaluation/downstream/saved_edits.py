"""What edits that were saved do to everything else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from memla.benchmarks import Benchmark
from memla.editors.edits import Edit
from memla.evaluation.downstream.examination import Examination
from memla.evaluation.downstream.material import Material, gather
from memla.evaluation.downstream.scores import Measured
from memla.evaluation.downstream.settings import Downstream
from memla.evaluation.materials import check_languages
from memla.models.language_model import LanguageModel


def look_at_edits(
    edits: Sequence[Edit],
    model: LanguageModel,
    settings: Downstream,
    *,
    benchmark: Benchmark | None = None,
    languages: Sequence[str] = (),
    seed: int = 0,
    batch_size: int = 64,
) -> tuple[Measured, ...]:
    """Measure a model without the edits, and with all of them on top of each other.

    Args:
        edits: In the order they were made.
        model: The unedited model; it is left as it is.
        settings: What to measure; ``after`` plays no part.
        benchmark: Where facts and statements come from; those about a subject of the edits are
            left out. None: there are only the texts of a file, and tasks.
        languages: Those of facts and statements; none: all of the benchmark.
        seed: Draws the facts.
        batch_size: Texts asked together.

    Raises:
        EditMismatchError: An edit was made for another model.
        MemlaError: A file or task cannot be read, the benchmark has nothing in one of the
            languages, or there are no facts beside the edited ones.
    """
    if benchmark is None:
        settings = settings.model_copy(update={"facts": 0, "texts": 0})
        material = gather(settings, (), languages=())
    else:
        material = _material(edits, settings, benchmark, languages, seed)
    with ExitStack() as stack:  # an edit that does not fit is told before anything is measured
        for edit in edits:
            stack.enter_context(edit.applied(model))
    examination = Examination(settings, material, model, batch_size=batch_size)
    with ExitStack() as stack:
        edited = model
        for edit in edits:
            edited = stack.enter_context(edit.applied(edited))
        return examination.look(edited)


def _material(
    edits: Sequence[Edit],
    settings: Downstream,
    benchmark: Benchmark,
    languages: Sequence[str],
    seed: int,
) -> Material:
    check_languages(benchmark.card, languages)
    requests: list[Any] = []
    for edit in edits:
        told = edit.describe().get("requests")
        requests += told if isinstance(told, list) else []
    facts = {request["fact"] for request in requests}
    subjects = {request["subject"] for request in requests}
    others = [
        case
        for case in benchmark.cases()
        if not any(
            request.fact in facts or request.subject in subjects
            for fact in case.facts
            for request in fact.values()
        )
    ]
    return gather(
        settings,
        others,
        languages=languages or benchmark.card.languages,
        references=[case for case in others if case.split == "train"],
        seed=seed,
    )
