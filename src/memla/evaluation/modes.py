"""How cases are edited: each by itself, several by one edit, or on top of each other."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain

from memla.benchmarks.formats.question_prefixes import strip_question_prefix
from memla.editors.base import Editor
from memla.editors.edits import Edit
from memla.editors.sequences import EditSequence
from memla.errors import DataError, MissingExtraError, device_failure
from memla.evaluation.baseline import Baseline
from memla.evaluation.kept_edits import KeptEdits
from memla.evaluation.observations import Observation
from memla.evaluation.observe import observe
from memla.evaluation.references import References
from memla.evaluation.results import CaseResult, Plan, source_parts
from memla.facts import EditCase, Probe, ProbeKind
from memla.models.language_model import LanguageModel

Emit = Callable[[CaseResult], None]
"""Called with each result, at once."""

Keys = Collection[tuple[str, str]]
"""Case and source of what is finished already."""

Watch = Callable[["LanguageModel | None", "Group", int, int], None]
"""Called with the model, or None where an edit could not be applied, the group, how many of its
cases were edited, and how many of those could not be."""


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that are edited together or on top of each other; a single one is a group too."""

    cases: tuple[EditCase, ...]
    source: str

    @property
    def name(self) -> str:
        """The id of its first case."""
        return self.cases[0].id

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Case and source of its results."""
        return tuple((case.id, self.source) for case in self.cases)


def case_seed(seed: int, *names: str) -> int:
    """A seed of its own for a case, so that neither order nor sharding changes a result."""
    digest = hashlib.sha256("\x1f".join((str(seed), *names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def groups(plan: Plan, cases: Sequence[EditCase]) -> list[Group]:
    """What a plan edits. Who is in a group with whom is drawn by the seed, in whatever order."""
    drawn = list(cases)
    if plan.mode != "single":
        drawn.sort(key=lambda case: (case_seed(plan.seed, case.id), case.id))
    size = plan.group_size
    return [
        Group(tuple(drawn[start : start + size]), source)
        for source in plan.source_languages
        for start in range(0, len(drawn), size)
    ]


def probes_of(plan: Plan, case: EditCase) -> list[Probe]:
    """What is asked about a case."""
    asked, wanted = plan.definition().asked, plan.target_languages
    probes = [one for one in case.probes if one.language in wanted and asked.concerns(one)]
    return list(map(_bare, probes)) if plan.question_prefixes == "strip" else probes


@dataclass(frozen=True, slots=True)
class Bench:
    """All that is needed to edit cases and look at the model."""

    plan: Plan
    model: LanguageModel
    editor: Editor
    references: References
    baseline: Baseline
    batch_size: int
    watch: Watch | None = None
    """Called after each edit of a group."""

    def edit(
        self, group: Group, done: Keys, done_after_all: Keys, kept: KeptEdits, emit: Emit
    ) -> None:
        """Edit what is left of a group; what fails is a result too.

        Args:
            group: The cases.
            done: What has been looked at right after its edit.
            done_after_all: What has been looked at after all edits of its sequence.
            kept: Where a sequence keeps its edits until it is through.
            emit: Takes the results.

        Raises:
            MemlaError: No case can be edited here: an optional dependency is not installed, or
                the disk is full.
            RuntimeError: The device failed, or its memory does not suffice; see
                `memla.errors.device_failure`.
        """
        if self.plan.mode == "sequential":
            self._in_sequence(group, done, done_after_all, kept, emit)
        else:
            self._together(group, done, emit)

    def _together(self, group: Group, done: Keys, emit: Emit) -> None:
        """All cases in one edit."""
        left = [place for place, key in enumerate(group.keys) if key not in done]
        made = self._make(self.model, group.cases, group.source)
        with ExitStack() as stack:
            edited = _applied(made, lambda edit: stack.enter_context(edit.applied(self.model)))
            for place in left:
                result = self._result(group, place, made)
                emit(result if edited is None else self._look(edited, result))
            if self.watch is not None:
                model = self.model if made.edit is None else edited
                size = len(group.cases)
                self.watch(model, group, size, 0 if edited is not None else size)

    def _in_sequence(
        self, group: Group, done: Keys, done_after_all: Keys, kept: KeptEdits, emit: Emit
    ) -> None:
        """Each case on top of those before it, and all of them once more at the end."""
        results, failed = [], 0
        with EditSequence(self.model) as sequence:
            for place, (case, key) in enumerate(zip(group.cases, group.keys, strict=True)):
                edit = kept.read(place) if key in done else None
                made = _Made(edit) if edit else self._make(sequence.model, [case], group.source)
                if made.edit is not None and edit is None:
                    kept.write(place, made.edit)
                edited = _applied(made, sequence.apply)
                result = self._result(group, place, made)
                if key not in done:
                    # Where no edit could be made, the model is still as the earlier ones left it.
                    is_lost = made.edit is not None and edited is None
                    emit(result if is_lost else self._look(sequence.model, result))
                results.append(result)
                failed += edited is None
                if self.watch is not None:
                    self.watch(sequence.model, group, place + 1, failed)
            for result, key in zip(results, group.keys, strict=True):
                if key not in done_after_all:
                    late = result.model_copy(update={"is_after_all": True})
                    emit(self._look(sequence.model, late))
        kept.drop()

    def _make(self, model: LanguageModel, cases: Sequence[EditCase], source: str) -> _Made:
        start = time.perf_counter()
        try:
            edit = self.editor.edit(
                model,
                list(chain.from_iterable(one.requests_from(source_parts(source)) for one in cases)),
                references=self.references.for_cases(cases),
                seed=case_seed(self.plan.seed, *(case.id for case in cases), source),
            )
        except MissingExtraError:
            raise
        except OSError as error:  # a full disk, say, is no failure of the case
            raise DataError(
                f"case {cases[0].id!r} cannot be edited here: {described(error)}",
                hint="what was finished is kept; run the same again when that is mended",
            ) from error
        except Exception as error:  # one case must not end a run of days
            if device_failure(error):
                raise
            return _Made(None, described(error))
        return _Made(edit, seconds=(time.perf_counter() - start) / len(cases))

    def _result(self, group: Group, place: int, made: _Made) -> CaseResult:
        """The result before the edited model is looked at."""
        case, in_group = group.cases[place], self.plan.mode != "single"
        tells = made.edit is not None and (self.plan.mode != "batch" or place == 0)
        before = self.baseline[probes_of(self.plan, case)]
        return CaseResult(
            case=case.id,
            source=group.source,
            seconds=made.seconds,
            group=group.name if in_group else None,
            position=place,
            error=made.error,
            edit=made.edit.describe() if made.edit is not None and tells else {},
            before=before,
            after=before if made.edit is None else None,
        )

    def _look(self, model: LanguageModel, result: CaseResult) -> CaseResult:
        """The result with what the model says now."""
        try:
            after = self._observe(model, result.before)
        except Exception as error:
            if device_failure(error):
                raise
            reason = result.error or described(error)
            return result.model_copy(update={"error": reason, "after": None})
        return result.model_copy(update={"after": after})

    def _observe(
        self, model: LanguageModel, before: Sequence[Observation]
    ) -> tuple[Observation, ...]:
        """What the edited model says; conditions, which are about the unedited one, stay."""
        again = [one.probe for one in before if one.probe.kind is not ProbeKind.CONDITION]
        found = iter(
            observe(
                model,
                again,
                decoding=self.plan.decoding,
                asked=self.plan.definition().asked,
                batch_size=self.batch_size,
            )
        )
        return tuple(
            one if one.probe.kind is ProbeKind.CONDITION else next(found) for one in before
        )


@dataclass(slots=True)
class _Made:
    """What came of an attempt to edit."""

    edit: Edit | None
    error: str | None = None
    seconds: float = 0.0


def _applied(made: _Made, apply: Callable[[Edit], LanguageModel]) -> LanguageModel | None:
    """The edited model; None: there is no edit, or it does not fit."""
    if made.edit is None:
        return None
    try:
        return apply(made.edit)
    except Exception as error:
        if device_failure(error):
            raise
        made.error = described(error)
        return None


def described(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _bare(probe: Probe) -> Probe:
    """The probe without what a file has before its questions about other things."""
    if probe.kind is not ProbeKind.LOCALITY:
        return probe
    prompt = strip_question_prefix(probe.prompt, probe.language)
    return probe.model_copy(update={"prompt": prompt}) if prompt else probe
