"""JSON Lines that grow while a run goes on and may be cut off at any moment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from memla.errors import DataError
from memla.records import Record, RecordType, describe_validation, json_lines

BLOCK = 1 << 20
"""Bytes that are looked through at once for the last end of a line."""


def read_records(path: Path, kind: type[RecordType]) -> Iterator[RecordType]:
    """Records of a JSON Lines file; a last line that was cut off is left out.

    Raises:
        DataError: Another line is not such a record.
    """
    for where, _, line in whole_lines(path):
        try:
            record = kind.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            if first["type"] == "json_invalid":
                raise DataError(f"{where}: not JSON: {first['ctx']['error']}") from None
            raise DataError(f"{where}: {describe_validation(error)}") from None
        yield record


def whole_lines(path: Path) -> Iterator[tuple[str, int, bytes]]:
    """Each line that has an end: its place for a message, where it starts in bytes, the line.

    Raises:
        DataError: The file is there and cannot be read.
    """
    if not path.exists():
        return
    start = 0
    with _opened(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                return
            yield f"{path}, line {number}", start, line
            start += len(line)


def append_records(path: Path, records: Iterable[Record]) -> int:
    """Add records to a JSON Lines file and see them to the disk.

    What stands after the last whole line is cut off first, and where the records do not fit on
    the disk nothing of them is left.

    Returns:
        Where the first of them starts, in bytes.

    Raises:
        DataError: The file cannot be written.
    """
    content = json_lines(records).encode("utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with path.open("r+b", buffering=0) as stream:
            start = _cut(stream)
            try:
                _write_all(stream, content)
                os.fsync(stream.fileno())
            except OSError:
                with suppress(OSError):
                    stream.truncate(start)
                raise
    except OSError as error:
        raise _unwritable(path, error) from None
    return start


def drop_unfinished_line(path: Path) -> None:
    """Cut a JSON Lines file after its last whole line, where a run was interrupted.

    Raises:
        DataError: The file cannot be written.
    """
    if path.exists():
        try:
            with path.open("r+b", buffering=0) as stream:
                _cut(stream)
        except OSError as error:
            raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{str(path)!r} cannot be written: {error.strerror or error}",
        hint="what was finished is kept; make room and run the same again",
    )


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror or error}") from None


def _write_all(stream: BinaryIO, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[stream.write(rest) :]


def _cut(stream: BinaryIO) -> int:
    """Cut the file after its last whole line, go there, and say where that is."""
    size = stream.seek(0, os.SEEK_END)
    end = start = size
    while start > 0:
        start = max(0, end - BLOCK)
        stream.seek(start)
        found = stream.read(end - start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        stream.truncate(end)
    return stream.seek(end)
