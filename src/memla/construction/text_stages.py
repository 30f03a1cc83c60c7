"""The stages that make texts, from files to files: drafts, filter, translate, check.

Files are JSON Lines. Each stage writes all of its files whole, so it can be repeated at any time;
services are asked again for nothing that is in the ledger. Edits go through one at a time: how many
there are does not decide how much memory a stage takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from memla.construction.drafting import Attempt, Drafter
from memla.construction.files import count_lines, read_records, writing
from memla.construction.filtering import filter_edit
from memla.construction.graph import Draft, PlannedEdit
from memla.construction.localisation import (
    Judged,
    Localisation,
    Settling,
    checked,
    translated_samples,
)
from memla.construction.names import Names, edit_id
from memla.construction.rejects import by_frequency
from memla.construction.relations import Relations
from memla.construction.translation import Mode, Sample
from memla.construction.translators.base import Translator
from memla.errors import DataError
from memla.records import Record, json_lines, write_atomically

EDITS = "edits.jsonl"
ENTITIES = "entities.jsonl"
DRAFTS = "drafts.jsonl"
REJECTS = "rejects.jsonl"
TALLIES = "pass_rates.jsonl"


class StageReport(Record):
    """What a stage did, for the manifest."""

    taken: int
    """Edits that came in."""
    kept: int
    """Edits that went out."""
    rejects: dict[str, int]
    """Reasons by check, the most frequent first."""
    notes: tuple[str, ...] = ()
    """What somebody should know."""


Progress = Callable[[int, int], None]
"""Called with how many edits are done, and of how many."""


def _silent(done: int, total: int) -> None:
    pass


def draft_stage(
    source: Path, target: Path, drafter: Drafter, on_progress: Progress = _silent
) -> StageReport:
    """Write the first draft of each edit in ``source`` / ``edits.jsonl``.

    Drafts that a model fails to write, or that break a guideline, are for the next stage.
    """
    taken = count_lines(source / EDITS)
    kept = 0
    with writing(target, DRAFTS, EDITS) as (write_draft, write_edit):
        for number, edit in enumerate(read_records(source / EDITS, PlannedEdit), start=1):
            attempt = drafter.draft(edit)
            if attempt.draft is not None:
                write_draft(attempt.draft)
                kept += 1
            write_edit(edit)
            on_progress(number, taken)
    return StageReport(taken=taken, kept=kept, rejects={})


def filter_stage(
    source: Path, target: Path, names: Names, drafter: Drafter, on_progress: Progress = _silent
) -> StageReport:
    """Keep the drafts in ``source`` that follow the guidelines; have the others made again.

    Writes the edits that are left, their drafts, and a log of all that was rejected.
    """
    taken, kept = count_lines(source / EDITS), 0
    drafts = _FirstDrafts(read_records(source / DRAFTS, Draft))
    found: Counter[str] = Counter()
    with writing(target, REJECTS, DRAFTS, EDITS) as (write_reject, write_draft, write_edit):
        for number, edit in enumerate(read_records(source / EDITS, PlannedEdit), start=1):
            result = filter_edit(edit, _Drafted(drafter, drafts.of(edit)), names)
            for reject in result.rejects:
                write_reject(reject)
                found[reject.check] += 1
            if result.draft is not None:
                write_draft(result.draft)
                write_edit(edit)
                kept += 1
            on_progress(number, taken)
    return StageReport(taken=taken, kept=kept, rejects=by_frequency(found))


def translate_stage(
    source: Path,
    target: Path,
    names: Names,
    relations: Relations,
    languages: Iterable[str],
    translator: Translator | None,
    mode: Mode = "templates",
    on_progress: Progress = _silent,
) -> StageReport:
    """Put the drafts in ``source`` into all languages; see `translate_samples`."""

    def samples() -> Iterator[Sample]:
        for one in read_localisations(source):
            yield Sample(one.edit, one.drafts[0])

    translated = translated_samples(
        samples, languages, names, relations, translator, mode, on_progress
    )
    return _write(target, translated, "translate")


def check_stage(
    source: Path, target: Path, names: Names, back: Translator | None = None
) -> StageReport:
    """Check the drafts in ``source`` in every language; see `check_localisations`."""
    return _write(target, checked(read_localisations(source), names, back), "check")


def read_localisations(folder: Path) -> Iterator[Localisation]:
    """Edits of a stage's folder with their drafts in all languages, one at a time.

    Raises:
        DataError: A file is absent or broken, or an edit has no drafts.
    """
    drafts = groupby(read_records(folder / DRAFTS, Draft), key=lambda draft: draft.edit)
    for edit in read_records(folder / EDITS, PlannedEdit):
        name, own = next(drafts, ("", iter(())))
        if name != edit_id(edit):
            raise DataError(
                f"{folder / DRAFTS} has no draft of the edit {edit_id(edit)!r} in its place",
                hint="run the build again from the stage drafts",
            )
        yield Localisation(edit, tuple(own))


def _write(target: Path, found: Iterable[Judged], stage: str) -> StageReport:
    settling = Settling(stage)
    with writing(target, REJECTS, DRAFTS, EDITS) as (write_reject, write_draft, write_edit):
        for one, by_language in found:
            left, rejects = settling.settle(one, by_language)
            for reject in rejects:
                write_reject(reject)
            if left is not None:
                write_edit(left.edit)
                for draft in left.drafts:
                    write_draft(draft)
    write_atomically(target / TALLIES, json_lines(settling.tallies))
    return StageReport(
        taken=settling.taken, kept=settling.kept, rejects=by_frequency(settling.rejects)
    )


class _FirstDrafts:
    """The drafts of the stage before, which come in the edits' order; some edits have none."""

    def __init__(self, drafts: Iterator[Draft]) -> None:
        self._drafts = drafts
        self._next = next(drafts, None)

    def of(self, edit: PlannedEdit) -> Draft | None:
        """The draft of the next edit."""
        found = self._next
        if found is None or found.edit != edit_id(edit):
            return None
        self._next = next(self._drafts, None)
        return found


class _Drafted:
    """A drafter whose first draft of an edit may be there already."""

    def __init__(self, drafter: Drafter, first: Draft | None) -> None:
        self.name = drafter.name
        self.can_revise = drafter.can_revise
        self._drafter = drafter
        self._first = first

    def draft(self, edit: PlannedEdit, before: Sequence[Attempt] = ()) -> Attempt:
        if before or self._first is None:
            return self._drafter.draft(edit, before)
        return Attempt(self._first)
