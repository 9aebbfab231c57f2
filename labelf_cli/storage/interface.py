"""The file operations that a run's safety rests on: in one place, so that tests can fail them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import IO, TypeVar

T = TypeVar("T")
R = TypeVar("R")

DRAFT = "draft-"
"""What begins so on this machine's disk is of no use to another run."""


class HeldError(Exception):
    """Another run holds a work folder; the message says who."""


class Lease(ABC):
    """A work folder that is held by this run."""

    @abstractmethod
    def release(self) -> None:
        """Let others have it."""


class Storage(ABC):
    """A file system or an object store, as a run uses it for what has to outlive it.

    What fails raises ``OSError``, with a ``strerror`` that can be shown.
    """

    @abstractmethod
    def make_folder(self, path: PurePath) -> None:
        """Create a folder if it is not there."""

    @abstractmethod
    def names(self, folder: PurePath) -> list[str]:
        """What is in a folder, sorted."""

    @abstractmethod
    def create(self, path: PurePath) -> IO[bytes]:
        """Open an empty draft for writing; another run does not go on with it."""

    @abstractmethod
    def open(self, path: PurePath) -> IO[bytes]:
        """Open a file for reading.

        Raises:
            FileNotFoundError: it is not there.
        """

    @abstractmethod
    def size(self, path: PurePath) -> int | None:
        """Bytes of a file; None if it is not there."""

    @abstractmethod
    def sync(self, path: PurePath) -> None:
        """Make durable what was written to a draft that is closed."""

    @abstractmethod
    def replace(self, source: PurePath, target: PurePath) -> None:
        """Give a draft its name within the work folder, durably; what has that name is gone.

        Whoever reads it checks its length and its hash.
        """

    @abstractmethod
    def publish(self, source: PurePath, target: PurePath) -> None:
        """Give a draft its final name: what has that name is the old one or the whole new one."""

    @abstractmethod
    def remove(self, path: PurePath) -> None:
        """Remove a file, or a draft, if it is there."""

    @abstractmethod
    def remove_folder(self, path: PurePath) -> None:
        """Remove a folder with all that is in it."""

    @abstractmethod
    def write(self, path: PurePath, content: bytes) -> None:
        """Write a small file of the work folder durably.

        Whoever reads it finds out whether it is whole.
        """

    def write_whole(self, path: PurePath, content: bytes) -> None:
        """Write a small file durably: it is there with all its bytes, or as it was."""
        draft = path.with_name(f"{path.name}.tmp")
        with self.create(draft) as file:
            file.write(content)
        self.sync(draft)
        self.publish(draft, path)

    @abstractmethod
    def lock(self, folder: PurePath) -> Lease:
        """Hold a work folder.

        Raises:
            HeldError: another run does.
        """

    @abstractmethod
    def scratch(self, folder: PurePath) -> Path:
        """Where on this machine's disk files lie that belong to a work folder, which is held."""

    @abstractmethod
    def shown(self, path: PurePath) -> str:
        """A path as messages give it."""

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Apply a function that reads to each item, in their order."""
        return map(function, items)
