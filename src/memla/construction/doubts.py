"""Requests for which a service may have charged although nobody has its answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from memla.construction.usage import Usage
from memla.errors import DataError, IncompleteAnswerError
from memla.records import Record, read_text, write_atomically

SUFFIX = ".sent"
"""Of notes; a note stands beside the answer that is to come."""


class Sent(Record):
    """A request that was sent to a service that may charge for it."""

    service: str
    usage: Usage
    """Most that one sending takes."""
    times: int = Field(ge=1)
    """How often it was sent without an answer being kept, with the sending that is under way."""


class Doubts:
    """Notes that are on disk before a request is sent, and until its answer is.

    Threads can share them.

    Args:
        folder: The folder of all answers, in whose folders the notes are, too.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._usage: dict[str, Usage] = {}
        for path in sorted(folder.glob(f"*/*{SUFFIX}")):
            sent = _read(path)
            # It may have been killed after the answer was kept, before the note was taken away.
            unanswered = sent.times - path.with_suffix(".json").exists()
            for _ in range(unanswered):
                self._add(sent)

    @property
    def usage(self) -> dict[str, Usage]:
        """Most that unanswered requests may have taken, by service."""
        with self._lock:
            return dict(sorted(self._usage.items()))

    @contextmanager
    def until_kept(self, answer: Path, service: str, most: Usage) -> Iterator[None]:
        """Note a request that is sent, and whose answer is written, in this block.

        Nobody charges for an answer that says no, so the note is taken back after an error. It
        stays after a kill, Ctrl-C, an answer that breaks off, or one that cannot be written.

        Args:
            answer: File of the answer.
            service: Name of the service.
            most: Most that the request takes; without characters and tokens it is free.
        """
        if not (most.characters or most.output_tokens):
            yield
            return
        note = answer.with_suffix(SUFFIX)
        before = _read(note).times if note.exists() else 0
        sent = Sent(service=service, usage=most, times=before + 1)
        write_atomically(note, sent.to_json() + "\n")
        try:
            yield
        except (IncompleteAnswerError, DataError):
            with self._lock:
                self._add(sent)
            raise
        except Exception:
            _take_back(note)
            raise
        _take_back(note)

    def sent_again(self, answer: Path) -> None:
        """A request that is under way is sent once more, as its answer broke off."""
        note = answer.with_suffix(SUFFIX)
        if not note.exists():
            return
        sent = _read(note)
        more = sent.model_copy(update={"times": sent.times + 1})
        write_atomically(note, more.to_json() + "\n")
        with self._lock:
            self._add(sent)

    def _add(self, sent: Sent) -> None:
        self._usage[sent.service] = self._usage.get(sent.service, Usage()) + sent.usage


def _take_back(note: Path) -> None:
    """The last sending of a request was answered."""
    sent = _read(note)
    if sent.times == 1:
        note.unlink(missing_ok=True)
    elif not note.with_suffix(".json").exists():
        fewer = sent.model_copy(update={"times": sent.times - 1})
        write_atomically(note, fewer.to_json() + "\n")


def _read(path: Path) -> Sent:
    try:
        return Sent.model_validate_json(read_text(path))
    except ValidationError:
        raise DataError(
            f"{str(path)!r} is no note of a request", hint="delete it; it only counts what is spent"
        ) from None
