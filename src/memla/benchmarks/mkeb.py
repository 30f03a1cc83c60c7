"""Files in MKEB's format: reading, and the benchmark made of one."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from memla.benchmarks.base import BenchmarkCard
from memla.benchmarks.mkeb_export import to_mkeb
from memla.benchmarks.mkeb_ids import read_test_ids
from memla.benchmarks.mkeb_record import MkebRecord
from memla.benchmarks.mkeb_rules import checked_record
from memla.errors import DataError
from memla.facts import EditCase
from memla.languages import in_table_order, parse_language
from memla.records import read_json_lines, read_text


def raw_records(path: Path) -> Iterator[tuple[str, Any]]:
    """Objects of a JSON list or a JSON Lines file, each with the place it stands at.

    Raises:
        DataError: The file is absent, truncated or not JSON.
    """
    text = read_text(path)
    if not text.lstrip().startswith("["):
        for number, value in read_json_lines(path):
            yield f"{path}, line {number}", value
        return
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}: not JSON: {error.msg}", hint="is the file truncated?"
        ) from None
    except RecursionError:
        raise DataError(f"{path}: is nested too deeply") from None
    for number, value in enumerate(values, start=1):
        yield f"{path}, record {number}", value


def read_records(path: Path) -> tuple[MkebRecord, ...]:
    """Records of a file in MKEB's format: a JSON list or JSON Lines, plain or ``.gz``.

    Raises:
        DataError: Something is wrong; the message names file, record and key.
    """
    records: list[MkebRecord] = []
    places: dict[str, str] = {}
    ids = read_test_ids(path)
    for where, value in raw_records(path):
        record = checked_record(value, where)
        if record.case_id in places:
            first = places[record.case_id]
            raise DataError(f"{where}: id {record.case_id!r} stands already at {first}")
        places[record.case_id] = where
        if ids is not None and record.split is None:
            record = record.model_copy(update={"split": ids.split(len(records))})
        records.append(record)
    if not records:
        raise DataError(f"{path} has no record")
    if ids is not None:
        ids.check(path, len(records))
    return tuple(records)


class MkebBenchmark:
    """A file in MKEB's format.

    Args:
        path: The file.
        about: Fields of the card that cannot be read from the file.

    Raises:
        DataError: The file is absent or broken; the message names record and key.
    """

    def __init__(self, path: Path, about: dict[str, Any] | None = None) -> None:
        self.path = path
        self.records = read_records(path)
        self._about = about or {}

    @cached_property
    def card(self) -> BenchmarkCard:
        """What is known about the file."""
        languages = {language for record in self.records for language in record.edit}
        splits = (record.split or "test" for record in self.records)
        if self._is_converted:
            splits = (case.split for case in self._converted(None))
        found = {
            "name": self.path.name.split(".")[0],
            "title": self.path.name,
            "licence": "not stated",
            "source": str(self.path),
            "revision": "not stated",
            "languages": in_table_order(languages),
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
            "sizes": dict(Counter(splits)),
        }
        return BenchmarkCard(**(found | self._about))

    def cases(
        self,
        languages: Iterable[str] | None = None,
        split: str | None = None,
        limit: int | None = None,
    ) -> tuple[EditCase, ...]:
        """The cases in the file's order; see `Benchmark.cases`.

        In a file that was converted from another benchmark, records are passed over in languages
        in which they cannot be edited.

        Raises:
            DataError: There is no such split, or a record lacks a language.
        """
        if split is not None and split not in self.card.sizes:
            known = ", ".join(self.card.sizes)
            raise DataError(f"{self.path} has no split {split!r}", hint=f"it has {known}")
        wanted = self.card.languages if languages is None else languages
        chosen = tuple(parse_language(language) for language in wanted)
        if self._is_converted:
            found = (one for one in self._converted(chosen) if split in (None, one.split))
            return tuple(islice(found, limit))
        records = [record for record in self.records if split in (None, record.split or "test")]
        return tuple(record.to_case(chosen) for record in records[:limit])

    @cached_property
    def _is_converted(self) -> bool:
        return any(record.source is not None for record in self.records)

    def _converted(self, languages: Iterable[str] | None) -> Iterator[EditCase]:
        chosen = None if languages is None else tuple(languages)
        for record in self.records:
            case = record.case_if_any(chosen)
            if case is not None:
                yield case


def mkeb_geo() -> MkebBenchmark:
    """The benchmark that comes with memla.

    Raises:
        DataError: This installation lacks its file.
    """
    path = Path(str(files("memla.bundled") / "mkeb_geo.jsonl.gz"))
    if not path.is_file():
        raise DataError(
            f"the benchmark 'mkeb-geo' is not in this installation: there is no {str(path)!r}",
            hint="install memla again from its wheel",
        )
    return MkebBenchmark(
        path,
        {
            "name": "mkeb-geo",
            "title": "MKEB-geo: facts of geography in the twelve languages of MKEB",
            "licence": "Unicode-3.0",
            "source": "Unicode CLDR; which city is a capital is a hand-written list",
            "revision": "CLDR 47 as in Babel 2.18, continents from CLDR 48.2; as of 2026",
            "citation": "Unicode Common Locale Data Repository, versions 47 and 48.2.",
            "known_defects": (
                "Prompts are templates of each relation, so they vary less than free text.",
                "Names are citation forms; not every template avoids inflecting them.",
                "Validation and test hold only facts that mini knows in all languages.",
                "Some cities have no Latin-script name in CLDR but their time zone's.",
            ),
        },
    )


__all__ = ["MkebBenchmark", "mkeb_geo", "raw_records", "read_records", "to_mkeb"]
