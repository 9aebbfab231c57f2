"""The file operations that a run's safety rests on: in one place, so that tests can fail them."""

import os
import shutil
from pathlib import Path
from typing import IO


class Disk:
    """A file system as a run uses it for what has to outlive it."""

    def make_folder(self, path: Path) -> None:
        """Create a folder if it is not there."""
        path.mkdir(exist_ok=True)

    def names(self, folder: Path) -> list[str]:
        """What is in a folder, sorted."""
        return sorted(path.name for path in folder.iterdir())

    def create(self, path: Path) -> IO[bytes]:
        """Open an empty file for writing."""
        return path.open("wb")

    def open(self, path: Path) -> IO[bytes]:
        """Open a file for reading."""
        return path.open("rb")

    def sync(self, path: Path) -> None:
        """Make durable what was written to a file that is closed."""
        with path.open("rb+") as file:
            os.fsync(file.fileno())

    def replace(self, source: Path, target: Path) -> None:
        """Give a file another name, durably; what has that name is gone."""
        source.replace(target)
        self._sync_folder(target.parent)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        path.unlink(missing_ok=True)

    def remove_folder(self, path: Path) -> None:
        """Remove a folder with all that is in it."""
        shutil.rmtree(path)

    def write(self, path: Path, content: bytes) -> None:
        """Write a small file durably: it is there with all its bytes, or as it was."""
        draft = path.with_name(f"{path.name}.tmp")
        with self.create(draft) as file:
            file.write(content)
        self.sync(draft)
        self.replace(draft, path)

    def _sync_folder(self, path: Path) -> None:
        if os.name == "nt":  # where a folder can't be opened, and need not be
            return
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
