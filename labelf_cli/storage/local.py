"""The local file system."""

import os
import shutil
from pathlib import Path, PurePath
from typing import IO

from labelf_cli.locks import Lock
from labelf_cli.storage.interface import HeldError, Lease, Storage

LOCK = "lock"


class Disk(Storage):
    """See ``Storage``; a name is given by one rename."""

    def make_folder(self, path: PurePath) -> None:
        """See ``Storage.make_folder``."""
        Path(path).mkdir(exist_ok=True)

    def names(self, folder: PurePath) -> list[str]:
        """See ``Storage.names``."""
        return sorted(path.name for path in Path(folder).iterdir())

    def create(self, path: PurePath) -> IO[bytes]:
        """See ``Storage.create``."""
        return Path(path).open("wb")

    def open(self, path: PurePath) -> IO[bytes]:
        """See ``Storage.open``."""
        return Path(path).open("rb")

    def size(self, path: PurePath) -> int | None:
        """See ``Storage.size``."""
        try:
            return Path(path).stat().st_size
        except FileNotFoundError:
            return None

    def sync(self, path: PurePath) -> None:
        """See ``Storage.sync``."""
        with Path(path).open("rb+") as file:
            os.fsync(file.fileno())

    def replace(self, source: PurePath, target: PurePath) -> None:
        """See ``Storage.replace``."""
        Path(source).replace(target)
        self._sync_folder(target.parent)

    def publish(self, source: PurePath, target: PurePath) -> None:
        """See ``Storage.publish``."""
        self.replace(source, target)

    def remove(self, path: PurePath) -> None:
        """See ``Storage.remove``."""
        Path(path).unlink(missing_ok=True)

    def remove_folder(self, path: PurePath) -> None:
        """See ``Storage.remove_folder``."""
        shutil.rmtree(path)

    def write(self, path: PurePath, content: bytes) -> None:
        """See ``Storage.write``."""
        self.write_whole(path, content)

    def lock(self, folder: PurePath) -> Lease:
        """See ``Storage.lock``; the operating system ends it with its process."""
        path = Path(folder) / LOCK
        lock = Lock.acquire(path)
        if lock is None:
            raise HeldError(f"pid {Lock.holder(path)}")
        return LocalLease(lock)

    def scratch(self, folder: PurePath) -> Path:
        """See ``Storage.scratch``: the folder itself."""
        return Path(folder)

    def shown(self, path: PurePath) -> str:
        """See ``Storage.shown``."""
        return str(path)

    def _sync_folder(self, path: PurePath) -> None:
        if os.name == "nt":  # where a folder can't be opened, and need not be
            return
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class LocalLease(Lease):
    """A lock of the operating system."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def release(self) -> None:
        """See ``Lease.release``."""
        self._lock.release()
