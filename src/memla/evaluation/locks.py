"""Locks between processes, which end with the process that holds them, however it ends."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from memla.errors import DataError

HELD = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK})
"""What systems say of a lock that another process holds."""


class HeldElsewhereError(DataError):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, *, wait: bool = False, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a file inside the ``with`` block; the empty file stays.

    Args:
        path: The file; it is made if it is not there.
        wait: Wait for a process that holds it.
        shared: Let others hold it too that share it.

    Raises:
        HeldElsewhereError: Another process holds it, and this one is not to wait.
        DataError: The file cannot be made, or its disk has no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be written: {error.strerror or error}") from None
    with stream:
        try:
            _take(stream, wait=wait, shared=shared)
        except OSError as error:
            where = str(path.parent)
            if error.errno in HELD:
                raise HeldElsewhereError(f"another process is at work in {where!r}") from None
            raise DataError(
                f"{where!r} has no locks that keep other processes away: {error.strerror}",
                hint="name a folder on another disk, or mount this one so that it has locks",
            ) from None
        yield


if sys.platform == "win32":
    import msvcrt

    def _take(stream: IO[bytes], *, wait: bool, shared: bool) -> None:
        if not shared:  # Windows has no lock of a file's bytes that can be shared
            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(stream: IO[bytes], *, wait: bool, shared: bool) -> None:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(stream.fileno(), kind if wait else kind | fcntl.LOCK_NB)
