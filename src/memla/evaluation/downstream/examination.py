"""One look at everything that was not edited, with and without the edits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from memla.errors import device_failure
from memla.evaluation.downstream.material import Material
from memla.evaluation.downstream.scores import Measure, Measured
from memla.evaluation.downstream.settings import Downstream
from memla.evaluation.downstream.tasks import Tasks
from memla.evaluation.downstream.text_measures import Drift, Perplexity
from memla.models.language_model import LanguageModel


class _Measuring(Protocol):
    """Something that can be measured of any model."""

    name: Measure

    def measure(self, model: LanguageModel) -> Iterator[Measured]: ...


class Examination:
    """All that a plan wants measured, and what it was before the first edit.

    Args:
        settings: What to measure.
        material: The texts and prompts.
        model: The unedited model.
        batch_size: Texts asked together.
        before: What was measured of the unedited model already, by this examination in another
            process; None: it is measured now.

    Raises:
        MemlaError: The unedited model cannot be measured, or a task cannot be loaded.
    """

    def __init__(
        self,
        settings: Downstream,
        material: Material,
        model: LanguageModel,
        *,
        batch_size: int = 64,
        before: Sequence[Measured] | None = None,
    ) -> None:
        self._parts: list[_Measuring] = []
        if material.texts:
            self._parts.append(Perplexity(material.texts, batch_size=batch_size))
        if material.prompts:
            self._parts.append(Drift(material.prompts, model, batch_size=batch_size))
        if settings.tasks:
            self._parts.append(_tasks(settings, batch_size))
        if before is None:
            before = [one for part in self._parts for one in part.measure(model)]
        self.before = tuple(before)
        """Each number of the unedited model, as its value."""

    def look(self, model: LanguageModel | None) -> tuple[Measured, ...]:
        """Each number of an edited model, beside that of the unedited one.

        What cannot be measured any more has no value, and the reason.

        Args:
            model: The edited model; None: the edit could not be applied.
        """
        found: list[Measured] = []
        for part in self._parts:
            before = [one for one in self.before if one.measure == part.name]
            if model is None:
                found += _lost(before, "the edit could not be applied")
                continue
            try:
                found += _beside(before, part.measure(model))
            except Exception as error:  # a model may be broken in ways nobody has thought of
                if device_failure(error):
                    raise
                first_line = str(error).strip().partition("\n")[0]
                found += _lost(before, f"{type(error).__name__}: {first_line}")
        return tuple(found)


def _tasks(settings: Downstream, batch_size: int) -> Tasks:
    return Tasks(
        settings.tasks,
        folder=settings.task_folder,
        limit=settings.task_limit,
        few_shot=settings.few_shot,
        batch_size=batch_size,
    )


def _beside(before: Sequence[Measured], after: Iterable[Measured]) -> list[Measured]:
    first = {_key(one): one.value for one in before}
    return [one.model_copy(update={"before": first.get(_key(one))}) for one in after]


def _lost(before: Sequence[Measured], reason: str) -> list[Measured]:
    lost = {"value": None, "stderr": None, "error": reason}
    return [one.model_copy(update={"before": one.value, **lost}) for one in before]


def _key(one: Measured) -> tuple[str | None, ...]:
    return one.measure, one.task, one.language, one.metric
