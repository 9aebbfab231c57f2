"""A lock that the operating system holds: it ends with its process, so it is never stale."""

import os
import sys
from pathlib import Path
from typing import Self

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            os.lseek(handle, _FAR, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


_FAR = 1 << 20
"""What Windows locks can't be read; so it is a byte far behind the pid."""


class Lock:
    """A locked file. Its content, the pid, only informs."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def acquire(cls, path: Path) -> Self | None:
        """Lock a file, which is made if it is not there; None if another process holds it.

        Raises:
            OSError: it can't be opened.
        """
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            if not _try_lock(handle):
                os.close(handle)
                return None
            if _is(path, handle):
                break
            os.close(handle)  # its holder removed it meanwhile
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        return cls(handle)

    @staticmethod
    def holder(path: Path) -> str:
        """The pid in a locked file, as far as it can be read."""
        try:
            return path.read_text("ascii") or "unknown"
        except (OSError, ValueError):
            return "unknown"

    def release(self) -> None:
        """Let others have it."""
        os.close(self._handle)


def _is(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
