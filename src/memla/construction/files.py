"""Where the files of a build are, and how they are read and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from memla.errors import DataError
from memla.records import Record, RecordType, parse_record, read_json_lines, written_whole

LEDGER = Path("ledger")
"""Folder of the answers to requests."""
TRIPLES = Path("1-triples/triples.jsonl")
"""Facts, each the only one of its subject and relation."""
STATEMENTS = Path("1-triples/statements.jsonl")
"""Whatever else is stated, at any rank, of the facts' subjects and relations."""
ENTITIES = Path("1-triples/entities.jsonl")
"""Names and classes of all that the facts are about."""
PATHS = Path("2-chains/paths.jsonl")
"""Facts that lead to and from each fact."""
EDITS = Path("3-targets/edits.jsonl")
"""What is to be edited, and what is asked about it."""
REJECTED = "rejected.jsonl"
"""In each stage's folder: what was left out, by reason."""


class Rejected(Record):
    """How often something was left out for one reason."""

    reason: str
    count: int
    example: str = ""
    """The first one, such as ``P36:Q142``."""


class Rejections:
    """Counts what is left out, by reason."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, reason: str, example: str) -> None:
        """Count one."""
        self._counts[reason] += 1
        self._examples.setdefault(reason, example)

    @property
    def counts(self) -> Mapping[str, int]:
        """How often, by reason."""
        return dict(self._counts)

    def records(self) -> Iterator[Rejected]:
        """One for each reason, the most frequent first."""
        for reason, count in sorted(self._counts.items(), key=lambda item: (-item[1], item[0])):
            yield Rejected(reason=reason, count=count, example=self._examples[reason])


def read_records(path: Path, kind: type[RecordType]) -> Iterator[RecordType]:
    """Records of a JSON Lines file, one at a time.

    Raises:
        DataError: The file is missing, or a line is no such record.
    """
    for number, value in read_json_lines(path):
        yield parse_record(kind, value, f"{path}, line {number}")


def count_lines(path: Path) -> int:
    """How many lines a file has.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return sum(1 for _ in stream)
    except OSError as error:
        raise DataError(
            f"{str(path)!r} cannot be read: {error.strerror}",
            hint="run the build again from the stage that writes it",
        ) from None


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write JSON Lines, whole or not at all."""
    with writing(path.parent, path.name) as (write,):
        for record in records:
            write(record)


@contextmanager
def writing(folder: Path, *names: str) -> Iterator[list[Callable[[Record], None]]]:
    """Functions that each add a record to the file of a name; the files are there at the end.

    Raises:
        DataError: A file cannot be written.
    """
    with ExitStack() as stack:
        yield [_writer(stack, folder / name) for name in names]


def _writer(stack: ExitStack, path: Path) -> Callable[[Record], None]:
    new = stack.enter_context(written_whole(path))
    stream = stack.enter_context(new.open("w", encoding="utf-8", newline="\n"))

    def write(record: Record) -> None:
        stream.write(record.to_json() + "\n")

    return write
