"""The folder of a build: one writer at a time, and stages that are there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memla.errors import DataError

STAGES = {
    "triples": "1-triples",
    "chains": "2-chains",
    "targets": "3-targets",
    "drafts": "4-drafts",
    "filter": "5-filter",
    "translate": "6-translate",
    "check": "7-check",
    "release": "8-release",
}
"""Folders of the stages, in their order."""
CORRECTIONS = "corrections.jsonl"
"""What reviewers have corrected; the release reads it."""
MANIFEST = "manifest.json"
_LOCK = ".lock"
_WORK = ".work"
_OLD = ".old"


class BuildFolder:
    """Where a build is.

    Args:
        root: The folder; it may not exist yet.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._hashes: dict[Path, tuple[tuple[int, int], str]] = {}

    def stage(self, name: str) -> Path:
        """The folder of a stage."""
        return self.root / STAGES[name]

    @property
    def corrections(self) -> Path:
        """What reviewers have corrected; it may not exist."""
        return self.root / CORRECTIONS

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out, and put right what one that was killed left behind.

        The system lets go of the lock when a process ends, however it ends.

        Raises:
            DataError: Another process is at work there, or the folder cannot be written.
        """
        with _as_data_error(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _lock(descriptor):
                raise DataError(
                    f"another process is building in {str(self.root)!r}",
                    hint="wait for it, or give another folder with --out",
                )
            with _as_data_error(self.root):
                self._recover()
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A root in which a stage can write its folder; it takes the old one's place at the end.

        After an exception, or a kill at any moment, the old one is what it was.

        Raises:
            DataError: The folder cannot be written.
        """
        work, folder = self.root / _WORK, self.stage(name)
        with _as_data_error(work):
            shutil.rmtree(work, ignore_errors=True)
            (work / folder.name).mkdir(parents=True)
        try:
            yield work
            with _as_data_error(folder):
                self._swap(work / folder.name, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _swap(self, new: Path, folder: Path) -> None:
        old = self.root / f".{folder.name}{_OLD}"
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)

    def _recover(self) -> None:
        """Put back a stage that was moved away before a kill; drop what is half done."""
        shutil.rmtree(self.root / _WORK, ignore_errors=True)
        for folder in STAGES.values():
            old = self.root / f".{folder}{_OLD}"
            if old.exists() and not (self.root / folder).exists():
                old.rename(self.root / folder)
            shutil.rmtree(old, ignore_errors=True)
        answers = ("ledger/*/.*.json.*", "ledger/*/.*.sent.*")
        for pattern in (*answers, f".{MANIFEST}.*", f".{CORRECTIONS}.*"):
            for leftover in self.root.glob(pattern):
                leftover.unlink(missing_ok=True)

    def sha256(self, path: Path) -> str:
        """Hash of a file; the empty text if there is none. It is computed once."""
        try:
            stat = path.stat()
            key = stat.st_mtime_ns, stat.st_size
            if self._hashes.get(path, (None, ""))[0] != key:
                with path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                self._hashes[path] = key, digest
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None
        return self._hashes[path][1]


@contextmanager
def _as_data_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{str(path)!r} cannot be written: {error.strerror or error}",
            hint="give another folder with --out, or make room",
        ) from None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
