"""Find what is wrong with a file in MKEB's format, all of it at once."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from memla.benchmarks.mkeb import raw_records
from memla.benchmarks.mkeb_record import MkebRecord
from memla.benchmarks.mkeb_rules import problems
from memla.benchmarks.record_checks import Severity, complaints
from memla.errors import DataError
from memla.facts import PLACEHOLDER
from memla.languages import find_language, in_table_order
from memla.records import Record


class Finding(Record):
    """One thing that is wrong, or looks wrong."""

    severity: Severity
    """An error breaks or falsifies an evaluation; a warning wants the eye of a reader."""
    check: str
    """Name of the check, to count by."""
    record: str | None = None
    """``id`` or ``example_id`` of the record; None if it is about the file."""
    language: str | None = None
    key: str = ""
    message: str


def check_file(path: Path) -> list[Finding]:
    """Everything that is wrong with a file in MKEB's format; an empty list if it is clean.

    Raises:
        DataError: There is no such file, or it is not text in UTF-8.
    """
    found = list(_check_bytes(path))
    values: list[tuple[str, Any]] = []
    try:
        values.extend(raw_records(path))
    except DataError as error:
        if "not JSON" not in error.message and "expected an object" not in error.message:
            raise
        found.append(Finding(severity="error", check="json", message=str(error)))
    if not values and not found:
        found.append(Finding(severity="error", check="json", message="has no record"))
    records = []
    for where, value in values:
        try:
            records.append(MkebRecord.model_validate(value))
        except ValidationError as error:
            found.extend(_shape_findings(error, value, where))
        else:
            found.extend(check_record(records[-1], value))
    return found + list(_check_together(records))


def check_record(record: MkebRecord, raw: dict[str, Any] | None = None) -> list[Finding]:
    """What is wrong with one record on its own.

    Args:
        record: The record.
        raw: The object it was read from, in which texts are not yet normalised.
    """
    name = record.case_id
    found = [
        Finding(
            severity="error",
            check=problem.check,
            record=name,
            language=problem.language,
            key=problem.key,
            message=problem.message,
        )
        for problem in problems(record)
    ]
    # Texts are compared with those they belong to, which has to be settled first.
    if any(finding.check in ("parallel lists", "missing language") for finding in found):
        return found
    for line, complaint in complaints(record, raw or record.model_dump(mode="json")):
        found.append(
            Finding(
                severity=complaint.severity,
                check=complaint.check,
                record=name,
                language=line.language,
                key=line.key,
                message=complaint.message,
            )
        )
    return found


def _check_bytes(path: Path) -> Iterator[Finding]:
    if not path.is_file():
        return
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError):
            return
    if content.startswith(b"\xef\xbb\xbf"):
        yield Finding(severity="warning", check="bom", message="begins with a byte order mark")
    if b"\r\n" in content:
        yield Finding(severity="warning", check="line ends", message="has lines that end in CR LF")


def _shape_findings(error: ValidationError, value: object, where: str) -> Iterator[Finding]:
    name = where.rpartition(", ")[2]
    if isinstance(value, dict):
        name = str(value.get("id") or value.get("example_id") or name)
    for complaint in error.errors(include_url=False):
        location = [str(part) for part in complaint["loc"]]
        yield Finding(
            severity="error",
            check="shape",
            record=name,
            language=_language_at(location),
            key=".".join(location),
            message=complaint["msg"],
        )


def _language_at(location: Sequence[str]) -> str | None:
    """The language that a place in a record is of: the second part of ``edit.zh.prompt``."""
    return next((part for part in location[1:2] if find_language(part) is not None), None)


def _check_together(records: Sequence[MkebRecord]) -> Iterator[Finding]:
    """What is wrong with records beside one another."""
    yield from _double_ids(records)
    known = {language for record in records for language in record.languages}
    repeats = Repeats()
    for record in records:
        for language in in_table_order(known):
            if language not in record.edit:
                yield Finding(
                    severity="error",
                    check="missing language",
                    record=record.case_id,
                    language=language,
                    key=f"edit.{language}",
                    message=f"has no language {language!r}, but other records have",
                )
                continue
            yield from repeats.add(record, language)


class Repeats:
    """Statements that stand in several records; asked record by record, in the file's order."""

    def __init__(self) -> None:
        self._owners: dict[bytes, str] = {}

    def add(self, record: MkebRecord, language: str) -> Iterator[Finding]:
        """The statements of a record that an earlier one has, too."""
        for key, text in _statements(record, language):
            owner = self._owners.setdefault(statement_digest(language, text), record.case_id)
            if owner != record.case_id:
                yield Finding(
                    severity="warning",
                    check="duplicate prompt",
                    record=record.case_id,
                    language=language,
                    key=key,
                    message=f"{text!r} stands in record {owner!r}, too",
                )


def statement_digest(language: str, text: str) -> bytes:
    """What stands for a statement where all of them have to be remembered."""
    content = f"{language} {text}".encode("utf-8", errors="surrogatepass")
    return blake2b(content, digest_size=16).digest()


def _double_ids(records: Sequence[MkebRecord]) -> Iterator[Finding]:
    for key in ("example_id", "id"):
        counts = Counter(getattr(record, key) for record in records)
        for value, count in counts.items():
            if value is not None and count > 1:
                yield Finding(
                    severity="error",
                    check="duplicate id",
                    record=str(value),
                    key=key,
                    message=f"{count} records have the {key} {value!r}",
                )


def _statements(record: MkebRecord, language: str) -> Iterator[tuple[str, str]]:
    """Key and text of the prompts that state the fact."""
    edit = record.edit[language]
    yield f"edit.{language}.prompt", edit.prompt.replace(PLACEHOLDER, edit.subject)
    for index, text in enumerate(record.paraphrase_prompts.get(language, ())):
        yield f"paraphrase_prompts.{language}.{index}", text
