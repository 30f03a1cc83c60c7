"""What touches a file: frozen records, JSON Lines, files that are whole or absent."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from memla.errors import DataError

_GZIP = b"\x1f\x8b"

RecordType = TypeVar("RecordType", bound="Record")


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


Text = Annotated[str, AfterValidator(_nfc)]
"""A string in Unicode normalisation form C, whatever form it came in."""


class Record(BaseModel):
    """Immutable base of everything that is read from or written to a file.

    Unknown keys are errors, so a misspelt key never goes unnoticed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def to_json(self) -> str:
        """One line of JSON with the keys in their declared order; text stays readable."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False)


def parse_record(kind: type[RecordType], value: object, where: str) -> RecordType:
    """Check ``value`` against ``kind``; name the place and the key that are wrong.

    Args:
        kind: The record's class.
        value: What was read: usually a dictionary.
        where: File and position, for the message.

    Raises:
        DataError: The value does not fit.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise DataError(f"{where}: {describe_validation(error)}") from None


def describe_validation(error: ValidationError) -> str:
    """The first complaint of a validation in one line: key, what is wrong, value."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"]) or "value"
    if first["type"] == "value_error":
        key = f"{key}: " if first["loc"] else ""
        return f"{key}{first['ctx']['error']}"
    shown = repr(first.get("input"))
    if len(shown) > 80:
        shown = shown[:77] + "..."
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {first['msg']}, got {shown}{more}"


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Read a file inside the ``with`` block; what is wrong with it is told by its name.

    Raises:
        DataError: The file is absent, a folder, damaged, or cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"there is no file {str(path)!r}", hint="check the path") from None
    except IsADirectoryError:
        raise DataError(f"{str(path)!r} is a folder, not a file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}") from None


def read_text(path: Path) -> str:
    """Text of a UTF-8 file, compressed with gzip or not; a BOM is dropped.

    Raises:
        DataError: The file cannot be read or is not UTF-8.
    """
    with readable(path):
        content = path.read_bytes()
        if path.suffix == ".gz" or content.startswith(_GZIP):
            content = gzip.decompress(content)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error.start) from None


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Pairs of line number, from 1, and object of a JSON Lines file; blank lines are skipped.

    Raises:
        DataError: A line is not a JSON object.
    """
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON: {error.msg}") from None
        except RecursionError:
            raise DataError(f"{path}, line {number}: is nested too deeply") from None
        if not isinstance(value, dict):
            raise DataError(f"{path}, line {number}: expected an object, got {line[:40]!r}")
        yield number, value


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A new file beside ``path`` that takes its place when the block ends, and not before.

    Raises:
        DataError: A file cannot be written; what stood there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not with tempfile, whose files nobody but their owner may read.
        temporary.touch(exist_ok=False)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DataError(
            f"{str(path)!r} cannot be written: {error.strerror or error}",
            hint="check the disk's free space and the folder's permissions",
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def _lines(path: Path) -> Iterator[str]:
    """Lines of a text file, as `read_text` has them; only the one that is wanted is in memory."""
    if path.suffix == ".gz" or not path.is_file():
        yield from read_text(path).split("\n")
        return
    try:
        with path.open("rb") as stream:
            packed = stream.peek(2).startswith(_GZIP)
            yield from read_text(path).split("\n") if packed else _decoded(stream, path)
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}") from None


def _decoded(stream: Iterable[bytes], path: Path) -> Iterator[str]:
    at = 0
    for line in stream:
        content = line.removeprefix(codecs.BOM_UTF8) if at == 0 else line
        try:
            yield content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _not_utf8(path, at + len(line) - len(content) + error.start) from None
        at += len(line)


def _not_utf8(path: Path, place: int) -> DataError:
    return DataError(f"{str(path)!r} is not UTF-8: byte {place}", hint="convert it to UTF-8")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that it is either whole or absent, also when the disk is full.

    Raises:
        DataError: The file cannot be written; what stood there before is untouched.
    """
    with written_whole(path) as new:
        new.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def json_lines(records: Iterable[Record]) -> str:
    """JSON Lines of the records, one a line, newline at the end."""
    return "".join(record.to_json() + "\n" for record in records)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table over the other; tables in both are merged too."""
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            both[key] = merged(under, value)
        else:
            both[key] = value
    return both
