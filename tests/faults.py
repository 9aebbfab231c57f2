"""Disks that fail, and disks that kill, at a file operation that is counted."""

import errno
import os
import signal
from pathlib import PurePath
from typing import IO, cast

from labelf_cli.storage.local import Disk


class CountingDisk(Disk):
    """Does something before each file operation."""

    def __init__(self, *, writes: bool = False) -> None:
        """Count operations on files, and the writes to them too if ``writes``."""
        self.count, self.writes = 0, writes

    def step(self) -> None:
        """Called before each operation."""
        self.count += 1

    def make_folder(self, path: PurePath) -> None:
        self.step()
        super().make_folder(path)

    def names(self, folder: PurePath) -> list[str]:
        self.step()
        return super().names(folder)

    def create(self, path: PurePath) -> IO[bytes]:
        self.step()
        return cast(IO[bytes], _File(super().create(path), self))

    def open(self, path: PurePath) -> IO[bytes]:
        self.step()
        return super().open(path)

    def sync(self, path: PurePath) -> None:
        self.step()
        super().sync(path)

    def replace(self, source: PurePath, target: PurePath) -> None:
        self.step()
        super().replace(source, target)
        self.step()

    def remove(self, path: PurePath) -> None:
        self.step()
        super().remove(path)

    def remove_folder(self, path: PurePath) -> None:
        self.step()
        super().remove_folder(path)


class _File:
    """A file whose writes are operations of a disk; half of what is written before one is there."""

    def __init__(self, file: IO[bytes], disk: CountingDisk) -> None:
        self._file, self._disk = file, disk

    def write(self, content: bytes) -> int:
        half = len(content) // 2 if self._disk.writes else 0
        self._file.write(content[:half])
        if half:
            self._file.flush()
            self._disk.step()
        self._file.write(content[half:])
        return len(content)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def close(self) -> None:
        self._file.close()

    def flush(self) -> None:
        self._file.flush()

    @property
    def closed(self) -> bool:
        return self._file.closed


class FailingDisk(CountingDisk):
    """Fails at one operation, or from one operation on."""

    def __init__(self, at: int, *, for_ever: bool = False) -> None:
        super().__init__(writes=True)
        self._at, self._for_ever = at, for_ever
        self.failed = False

    def step(self) -> None:
        super().step()
        if self.count == self._at or (self._for_ever and self.count > self._at):
            self.failed = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class KillingDisk(CountingDisk):
    """Ends its process at one operation, as kill -9 does."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = at

    def step(self) -> None:
        super().step()
        if self.count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
