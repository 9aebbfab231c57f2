"""Locks on work folders in object stores, which have none that Arrow can use.

On this machine a lock of the operating system tells whether another run is at work on the same
output. For other machines an object says who holds it, and is written again every
``BEAT_SECONDS``: one that is older than ``STALE_SECONDS`` is of a run that has died. Between two
machines that begin in the same second, and after one that was stopped for longer and goes on, two
runs can be at work at once.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from labelf_cli.locks import Lock
from labelf_cli.storage.interface import HeldError, Lease
from labelf_cli.storage.local import LOCK

BEAT_SECONDS = 30.0
STALE_SECONDS = 180.0

_HOLDER = "holder"


def local_folder(key: str) -> Path:
    """A folder of the user's cache, by the hash of an output's URI."""
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "labelf" / "runs" / key


class ObjectLease(Lease):
    """A lock of the operating system for this machine, an object for others."""

    def __init__(
        self, lock: Lock, token: str, put: Callable[[bytes], None], remove: Callable[[], None]
    ) -> None:
        self._lock, self._token = lock, token
        self._put, self._remove = put, remove
        self._stopped = threading.Event()
        self._beat = threading.Thread(target=self._go_on, name="labelf-lease", daemon=True)

    @classmethod
    def acquire(
        cls,
        folder: Path,
        read: Callable[[], bytes],
        put: Callable[[bytes], None],
        remove: Callable[[], None],
    ) -> Self:
        """Hold it, taking it over from a run that has died.

        Args:
            folder: of this machine, made if it is not there.
            read: the object, as bytes.
            put: writes it.
            remove: removes it.

        Raises:
            HeldError: another run holds it.
            OSError: the folder or the object can't be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock.acquire(folder / LOCK)
        if lock is None:
            raise HeldError(f"pid {Lock.holder(folder / LOCK)}")
        try:
            _refuse_others(folder, read)
            lease = cls(lock, _own_token(folder), put, remove)
            put(lease._content())
        except BaseException:
            lock.release()
            raise
        lease._beat.start()
        return lease

    def _content(self) -> bytes:
        holder = {
            "token": self._token,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "time": time.time(),
        }
        return json.dumps(holder).encode()

    def _go_on(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            with suppress(OSError):  # the run finds out by itself
                self._put(self._content())

    def stop(self) -> None:
        """Write it no more."""
        self._stopped.set()
        self._beat.join()

    def release(self) -> None:
        """See ``Lease.release``; an object that can't be removed is known to be of a dead run."""
        self.stop()
        with suppress(OSError):
            self._remove()
        self._lock.release()


def _own_token(folder: Path) -> str:
    """What tells the objects that this machine has written for an output from those of others."""
    try:
        if token := (folder / _HOLDER).read_text("ascii"):
            return token
    except (OSError, ValueError):
        pass
    token = uuid.uuid4().hex
    (folder / _HOLDER).write_text(token, "ascii")
    return token


def _refuse_others(folder: Path, read: Callable[[], bytes]) -> None:
    """Refuse what a run of another machine holds, as far as can be told."""
    try:
        holder = json.loads(read())
        token, since = str(holder["token"]), float(holder["time"])
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return
    if token == _own_token(folder):
        return  # one of this machine, whose lock would tell if it were alive
    if abs(time.time() - since) < STALE_SECONDS:
        seen = datetime.fromtimestamp(since, UTC).strftime("%H:%M:%S UTC")
        raise HeldError(f"pid {holder.get('pid')} on {holder.get('host')}, last seen {seen}")
