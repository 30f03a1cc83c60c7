"""Rewrite a file of any benchmark in MKEB's form, one record in memory at a time."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import BufferedIOBase
from itertools import chain
from pathlib import Path
from typing import Any

from memla.benchmarks.fact_record import FactRecord, Texts
from memla.benchmarks.file_benchmark import FileBenchmark
from memla.benchmarks.formats import Format
from memla.benchmarks.mkeb_export import to_mkeb
from memla.benchmarks.mkeb_rules import checked_record
from memla.benchmarks.mkeb_writing import to_records
from memla.errors import DataError
from memla.languages import parse_language
from memla.records import Record, written_whole


class Conversion(Record):
    """What became of the records of a file."""

    records: int
    """Records that were written."""
    left_out: int
    """Records that have none of the languages asked for, or that MKEB's own keys cannot hold."""
    notes: dict[str, int]
    """What was lost, and of how many records."""


def convert(
    path: Path,
    out: Path,
    file_format: Format,
    *,
    languages: tuple[str, ...] | None = None,
    strict: bool = False,
    on_record: Callable[[int], None] | None = None,
) -> Conversion:
    """Write the records of a file or folder in MKEB's form.

    Args:
        path: File or folder.
        out: JSON Lines; a JSON list if its name ends in ``.json``; compressed if in ``.gz``. It
            is written whole or not at all.
        file_format: How ``path`` is read.
        languages: Only these; all without it.
        strict: Use MKEB's own keys only.
        on_record: Called with how many records have been read.

    Raises:
        DataError: A record cannot be read, or nothing is left to write.
    """
    wanted = None if languages is None else tuple(map(parse_language, languages))
    run = _Run(wanted, on_record)
    facts = run.chosen(FileBenchmark(path, file_format).records())
    objects = run.strict(to_records(facts)) if strict else to_records(facts)
    with _stream_to(out) as stream:
        _write(objects, stream, run, as_list=".json" in out.suffixes)
        if not run.written:
            asked = f" in {' '.join(wanted)}" if wanted else ""
            told = next(iter(run.notes), f"has no record{asked}")
            raise DataError(f"{str(path)!r}: nothing to write: {told}")
    return Conversion(records=run.written, left_out=run.read - run.written, notes=dict(run.notes))


class _Run:
    """What is counted on the way from facts to lines."""

    def __init__(
        self, languages: tuple[str, ...] | None, on_record: Callable[[int], None] | None
    ) -> None:
        self.read = 0
        self.written = 0
        self.notes: Counter[str] = Counter()
        self.place = ""
        self._languages = languages
        self._on_record = on_record

    def chosen(self, records: Iterator[FactRecord]) -> Iterator[FactRecord]:
        """The records in the languages asked for."""
        for record in records:
            self.read += 1
            self.place = record.place
            if self._on_record is not None:
                self._on_record(self.read)
            kept = record if self._languages is None else _only(record, self._languages)
            if kept.languages or not record.languages:
                yield kept

    def strict(self, objects: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The records with MKEB's own keys."""
        for one in objects:
            strict, notes = to_mkeb([checked_record(one, self.place)])
            self.notes.update(note.partition("': ")[2] for note in notes)
            yield from strict


def _only(record: FactRecord, languages: tuple[str, ...]) -> FactRecord:
    def chosen(facts: Mapping[str, Texts]) -> dict[str, Texts]:
        return {code: texts for code, texts in facts.items() if code in languages}

    further = tuple(map(chosen, record.further))
    return replace(record, languages=chosen(record.languages), further=further)


def _write(
    objects: Iterator[dict[str, Any]], stream: BufferedIOBase, run: _Run, *, as_list: bool
) -> None:
    opening, between, closing = ("[\n", ",\n", "\n]\n") if as_list else ("", "\n", "\n")
    before = chain([opening], iter(lambda: between, None))
    for one in objects:
        try:
            line = json.dumps(one, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{run.place}: a text has half of a character, which cannot be written",
                hint="look for \\ud8.. to \\udf.. in the file",
            ) from None
        stream.write(next(before).encode() + line)
        run.written += 1
    stream.write(closing.encode())


@contextmanager
def _stream_to(path: Path) -> Iterator[BufferedIOBase]:
    """A stream to a file that appears, or replaces what is there, only when all is written."""
    with written_whole(path) as new, ExitStack() as opened:
        raw = opened.enter_context(new.open("wb"))
        # Without name and time, so that the same content gives the same bytes.
        is_packed = path.suffix == ".gz"
        packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if is_packed else None
        yield opened.enter_context(packed) if packed else raw
