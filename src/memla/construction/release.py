"""The last stage: records, splits, card, and a folder that others can load."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memla.benchmarks.check import Finding, Repeats, check_record, statement_digest
from memla.benchmarks.mkeb_record import MkebRecord
from memla.construction.build_folder import STAGES
from memla.construction.card import Statistics, card
from memla.construction.config import BuildConfig
from memla.construction.corrections import Correction, corrected, read_corrections
from memla.construction.files import REJECTED, Rejections, count_lines, write_records
from memla.construction.hub import to_row
from memla.construction.names import Names
from memla.construction.relations import Relations
from memla.construction.release_records import splits_of, statements, to_object, to_record
from memla.construction.text_stages import EDITS, StageReport, read_localisations
from memla.errors import DataError
from memla.records import write_atomically, written_whole

CARD = "README.md"
STATISTICS = "statistics.json"
MKEB = "mkeb"
"""Folder of the file in MKEB's form; the hub's files are in ``data``."""


def release_file(root: Path) -> Path:
    """The file in MKEB's format of a build's release.

    Raises:
        DataError: There is no release.
    """
    found = sorted((root / STAGES["release"] / MKEB).glob("*.jsonl"))
    if not found:
        raise DataError(
            f"there is no release in {str(root)!r}", hint="memla dataset build makes one"
        )
    return found[0]


@dataclass(slots=True)
class Accepted:
    """Which edits become records, in the order in which they are wanted."""

    places: list[int] = field(default_factory=list)
    """Of their edits among those of the stage before."""
    names: list[str] = field(default_factory=list)
    """What the records are called."""
    taken: int = 0
    """Edits that came in."""
    rejections: Rejections = field(default_factory=Rejections)
    stale: list[Correction] = field(default_factory=list)
    """Corrections of texts that have changed since."""
    warnings: Counter[str] = field(default_factory=Counter)
    """What ``memla dataset check`` warns of, by check."""


def release_stage(
    source: Path,
    target: Path,
    config: BuildConfig,
    names: Names,
    relations: Relations,
    corrections: Path,
) -> StageReport:
    """Write the release of the edits in ``source``.

    Args:
        source: Folder of the checked edits.
        target: Where to write.
        config: The settings.
        names: Names of all that the edits speak of.
        relations: The relations.
        corrections: File of what reviewers have corrected; it may not exist.

    Raises:
        DataError: No edit is left, or a file cannot be read or written.
    """
    by_record: dict[str, list[Correction]] = {}
    for one in read_corrections(corrections):
        by_record.setdefault(one.id, []).append(one)

    def candidates() -> Iterator[tuple[MkebRecord, list[Correction]]]:
        for one in read_localisations(source):
            record = to_record(one, names, relations)
            yield corrected(record, by_record.get(record.case_id, ()))

    accepted = _accepted(candidates(), config.dataset.size)
    accepted.taken = count_lines(source / EDITS)
    if not accepted.places:
        raise DataError(
            f"no record is left of {accepted.taken} edits",
            hint=f"see why in {REJECTED} and rejects.jsonl of the stages' folders",
        )
    wanted = {*accepted.places}
    chosen = (record for place, (record, _) in enumerate(candidates()) if place in wanted)
    found = _write(target, chosen, accepted.names, config)
    write_atomically(target / STATISTICS, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    warnings = sorted(accepted.warnings.items(), key=lambda item: (-item[1], item[0]))
    write_atomically(target / CARD, card(config, found, dict(warnings)))
    write_records(target / REJECTED, accepted.rejections.records())
    return StageReport(
        taken=accepted.taken,
        kept=len(accepted.places),
        rejects=dict(accepted.rejections.counts),
        notes=tuple(_notes(config, accepted)),
    )


def _accepted(candidates: Iterable[tuple[MkebRecord, list[Correction]]], most: int) -> Accepted:
    """The first records in which ``memla dataset check`` finds no error; no two say the same."""
    found = Accepted()
    said: set[bytes] = set()
    repeats = Repeats()
    for place, (record, stale) in enumerate(candidates):
        if len(found.places) == most:
            break
        found.stale += stale
        own = {statement_digest(language, text) for language, text in statements(record)}
        if own & said:
            found.rejections.add("same prompt as another record", record.case_id)
            continue
        said |= own
        findings = _check_as_written(record)
        errors = [one.check for one in findings if one.severity == "error"]
        if errors:
            found.rejections.add(f"check: {errors[-1]}", record.case_id)
            continue
        findings += [one for language in record.languages for one in repeats.add(record, language)]
        found.warnings.update(one.check for one in findings)
        found.places.append(place)
        found.names.append(record.case_id)
    return found


def _check_as_written(record: MkebRecord) -> list[Finding]:
    """What the check finds in a record once it has been written and read again."""
    value = json.loads(json.dumps(to_object(record)))
    return check_record(MkebRecord.model_validate(value), value)


def _write(
    target: Path, records: Iterable[MkebRecord], names: Sequence[str], config: BuildConfig
) -> dict[str, Any]:
    """Write records with their numbers and splits, as MKEB's and as the hub's files.

    Returns:
        Their statistics.
    """
    dataset = config.dataset
    splits = splits_of(names, dataset.splits, dataset.seed)
    paths = {split: target / "data" / f"{split}.jsonl" for split in dataset.splits}
    statistics = Statistics()
    with ExitStack() as stack:
        write = _writer(stack, target / MKEB / f"{dataset.name}.jsonl")
        rows = {split: _writer(stack, paths[split]) for split in paths if split in {*splits}}
        for number, (record, split) in enumerate(zip(records, splits, strict=True), start=1):
            record = record.model_copy(update={"example_id": number, "split": split})
            write(to_object(record))
            rows[split](to_row(record))
            statistics.add(record)
    return statistics.result()


def _writer(stack: ExitStack, path: Path) -> Callable[[object], None]:
    new = stack.enter_context(written_whole(path))
    stream = stack.enter_context(new.open("w", encoding="utf-8", newline="\n"))

    def write(value: object) -> None:
        stream.write(json.dumps(value, ensure_ascii=False) + "\n")

    return write


def _notes(config: BuildConfig, accepted: Accepted) -> Iterator[str]:
    size, count = config.dataset.size, len(accepted.places)
    if count < size:
        yield (
            f"the release has {count} of the {size} records wanted, as only {accepted.taken} edits"
            " came so far; raise wikidata.limit_per_relation or dataset.spare, or name more"
            " relations"
        )
    for one in accepted.stale:
        yield (
            f"a correction of {one.id} {one.key} was not used:"
            f" what it corrects, {one.text!r}, is no longer there"
        )
