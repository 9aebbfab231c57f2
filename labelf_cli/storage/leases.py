"""Locks on work folders in object stores, which have none that Arrow can use.

On this machine a lock of the operating system tells whether another run is at work on the same
output. For other machines an object says who holds it, and is written again every
``BEAT_SECONDS``: one that is not for ``STALE_SECONDS`` is of a run that has died. Between two
machines that begin in the same second, and after one that was stopped for longer and goes on, two
runs can be at work at once.
"""

import json
import logging
import os
import socket
import threading
import time
import uuid
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

from labelf_cli.locks import Lock
from labelf_cli.storage.interface import HeldError, Lease
from labelf_cli.storage.local import LOCK

BEAT_SECONDS = 30.0
STALE_SECONDS = 180.0
_LOOK_SECONDS = 5.0

_log = logging.getLogger(__name__)

_HOLDER = "holder"


def local_folder(key: str) -> Path:
    """A folder of the user's cache, by the hash of an output's URI."""
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "labelf" / "runs" / key


class LockObject(ABC):
    """The object that says who holds a work folder."""

    @abstractmethod
    def read(self) -> bytes:
        """What it says.

        Raises:
            FileNotFoundError: it is not there.
        """

    @abstractmethod
    def write(self, content: bytes) -> None:
        """Let it say something else."""

    @abstractmethod
    def remove(self) -> None:
        """Let it say nothing."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


class ObjectLease(Lease):
    """A lock of the operating system for this machine, an object for others."""

    def __init__(self, lock: Lock, token: str, its: LockObject) -> None:
        self._lock, self._token, self._object = lock, token, its
        self._stopped = threading.Event()
        self._beat = threading.Thread(target=self._go_on, name="labelf-lease", daemon=True)

    @classmethod
    def acquire(cls, folder: Path, its: LockObject) -> Self:
        """Hold it, taking it over from a run that has died.

        If that was on another machine, this takes until it is sure.

        Args:
            folder: of this machine, made if it is not there.
            its: says who holds it.

        Raises:
            HeldError: another run holds it.
            OSError: the folder or the object can't be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock.acquire(folder / LOCK)
        if lock is None:
            raise HeldError(f"pid {Lock.holder(folder / LOCK)}")
        try:
            token = _own_token(folder)
            _outwait(its, token)
            lease = cls(lock, token, its)
            its.write(lease._content())
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
                self._object.write(self._content())

    def stop(self) -> None:
        """Write it no more."""
        self._stopped.set()
        self._beat.join()

    def release(self) -> None:
        """See ``Lease.release``; an object that can't be removed is known to be of a dead run."""
        self.stop()
        with suppress(OSError):
            self._object.remove()
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


class _Holder(NamedTuple):
    """A run, as the object tells."""

    token: str
    time: float
    who: str

    @classmethod
    def read(cls, its: LockObject) -> Self | None:
        """What can't be read is nobody's."""
        try:
            found = json.loads(its.read())
            token, since = str(found["token"]), float(found["time"])
            seen = datetime.fromtimestamp(since, UTC).strftime("%H:%M:%S UTC")
        except (FileNotFoundError, ValueError, LookupError, TypeError, OverflowError):
            return None
        who = f"pid {found.get('pid')} on {found.get('host')}, last seen {seen}"
        return cls(token, since, who)


def _outwait(its: LockObject, own: str) -> None:
    """Find out whether a run of another machine is alive: it is, if the object changes.

    Of this machine's, whose token is ``own``, the other lock tells.

    Raises:
        HeldError: it is.
    """
    first = holder = _Holder.read(its)
    waited = 0.0
    while holder is not None and holder.token != own:
        if holder != first:
            raise HeldError(holder.who)
        if waited >= STALE_SECONDS or abs(time.time() - holder.time) >= STALE_SECONDS:
            return
        if not waited:
            _log.warning("waiting to see whether another run is still at work (%s)", holder.who)
        its.wait(_LOOK_SECONDS)
        waited += _LOOK_SECONDS
        holder = _Holder.read(its)
