"""Reading files of records as they lie on disk, one record in memory at a time.

Whatever is wrong with a file becomes one error that names the file and the record. A byte order
mark, line ends of any kind and gzip compression make no difference.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

from memla.errors import DataError
from memla.records import readable

CHUNK = 1 << 20
"""Characters that are read at a time."""
LARGEST_RECORD = 1 << 26
"""Characters within which a record has to end."""

_LONGEST_ESCAPE = len("\\uXXXX")

_GZIP = b"\x1f\x8b"
_BLANK = re.compile(r"[ \t\r\n]*")
_BLANKS = frozenset(" \t\r\n")
_STRINGS = frozenset({str})
_decode = json.JSONDecoder().raw_decode


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOWrapper]:
    """Open a file of UTF-8 text, compressed or not.

    Raises:
        DataError: The file is absent, damaged or not UTF-8, also while it is being read.
    """
    try:
        with readable(path), path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP
            raw.seek(0)
            content = cast("io.BufferedReader", gzip.GzipFile(fileobj=raw)) if compressed else raw
            with io.TextIOWrapper(content, encoding="utf-8-sig", newline=None) as text:
                yield text
    except UnicodeDecodeError as error:
        what = error.object[error.start : error.start + 1].hex()
        raise DataError(
            f"{str(path)!r} is not UTF-8: it has a byte {what!r} that is no character",
            hint="convert it to UTF-8",
        ) from None


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each line that is not blank, without its end.

    Raises:
        DataError: The file cannot be read.
    """
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield f"{path}, line {number}", line.rstrip("\n")


def read_items(path: Path) -> Iterator[tuple[str, Any]]:
    """Place and value of each element of a JSON list, or of values one after another (JSON Lines).

    Raises:
        DataError: The file cannot be read, is cut off, or is not JSON; the message names the
            record.
    """
    with open_text(path) as stream:
        reader = _Values(path, stream)
        if reader.next_is("["):
            yield from reader.elements()
        else:
            yield from reader.sequence()


def first_items(path: Path, count: int) -> tuple[Any, ...]:
    """Up to ``count`` first values of a file, without places.

    Raises:
        DataError: As for :func:`read_items`.
    """
    return tuple(value for _, value in islice(read_items(path), count))


def expect_object(value: object, where: str) -> dict[str, Any]:
    """The value, if it is a JSON object.

    Raises:
        DataError: It is something else.
    """
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected an object, got {_shown(value)}")
    return value


def text_of(record: dict[str, Any], key: str, where: str, *, default: str | None = None) -> str:
    """The string under a key.

    Args:
        record: A JSON object.
        key: The key.
        where: Place of the record, for messages.
        default: Stands for a key that is absent or null; None: it must be there.

    Raises:
        DataError: It is absent or not a string.
    """
    value = record.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise DataError(f"{where}, {key}: {_wanted('a string', record, key)}")
    return value


def texts_of(record: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    """The strings under a key: a list of them, one, or none if it is absent or null.

    Raises:
        DataError: It is something else.
    """
    value = record.get(key)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not _STRINGS.issuperset(map(type, value)):
        raise DataError(f"{where}, {key}: {_wanted('a list of strings', record, key)}")
    return tuple(value)


def objects_of(record: dict[str, Any], key: str, where: str) -> tuple[dict[str, Any], ...]:
    """The objects under a key: a list of them, one, or none if it is absent or null.

    Raises:
        DataError: It is something else.
    """
    value = record.get(key)
    if value is None:
        return ()
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in listed):
        raise DataError(f"{where}, {key}: {_wanted('a list of objects', record, key)}")
    return tuple(listed)


def _wanted(what: str, record: dict[str, Any], key: str) -> str:
    return f"expected {what}, got {_shown(record[key])}" if key in record else "is missing"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Values:
    """JSON values that stand one after another in a text, decoded as they come."""

    def __init__(self, path: Path, stream: io.TextIOWrapper) -> None:
        self._path = path
        self._stream = stream
        self._buffer = ""
        self._at = 0
        self._line = 1
        self._ended = False

    def next_is(self, mark: str) -> bool:
        """Skip blanks, and tell whether this character comes next."""
        self._skip()
        return self._buffer.startswith(mark, self._at)

    def elements(self) -> Iterator[tuple[str, Any]]:
        """Elements of a list."""
        self._at += 1
        number = 0
        closed = self.next_is("]")
        while not closed:
            number += 1
            where = f"{self._path}, record {number}"
            yield where, self._value(where)
            closed = self.next_is("]")
            if not closed and not self.next_is(","):
                raise self._broken(where, "it is not followed by ',' or ']'")
            self._at += 0 if closed else 1
        self._at += 1
        self._skip()
        if self._at < len(self._buffer):
            raise self._broken(f"{self._path}, line {self._line}", "text after the list")

    def sequence(self) -> Iterator[tuple[str, Any]]:
        """Values one after another, until the text ends."""
        self._skip()
        while self._at < len(self._buffer):
            where = f"{self._path}, line {self._line}"
            yield where, self._value(where)
            self._skip()

    def _value(self, where: str) -> Any:  # noqa: ANN401 (JSON is anything)
        self._skip()
        while True:
            try:
                value, end = _decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if self._ended or len(self._buffer) - self._at > LARGEST_RECORD:
                    message = error.msg.removesuffix(" starting at")
                    raise self._broken(where, message, error.pos) from None
            except RecursionError:
                raise DataError(f"{where}: is nested too deeply") from None
            else:
                # A number may go on in what has not been read yet.
                if end < len(self._buffer) or self._ended:
                    self._line += self._buffer.count("\n", self._at, end)
                    self._at = end
                    return value
            self._read()

    def _skip(self) -> None:
        if self._at < len(self._buffer) and self._buffer[self._at] not in _BLANKS:
            return
        while True:
            match = _BLANK.match(self._buffer, self._at)
            assert match is not None
            self._line += self._buffer.count("\n", self._at, match.end())
            self._at = match.end()
            if self._at < len(self._buffer) or self._ended:
                return
            self._read()

    def _read(self) -> None:
        """Read as much again as is waiting, at least a chunk."""
        waiting = self._buffer[self._at :]
        more = self._stream.read(max(CHUNK, len(waiting)))
        self._buffer, self._at = waiting + more, 0
        self._ended = not more

    def _broken(self, where: str, message: str, at: int | None = None) -> DataError:
        """The error for what stands at a place, or where reading has come to."""
        place = self._at if at is None else at
        at_end = not self._buffer[place + _LONGEST_ESCAPE :].strip()
        cut = self._ended and (at_end or message.startswith("Unterminated"))
        return DataError(
            f"{where}: not JSON: {message}", hint="is the file truncated?" if cut else None
        )
