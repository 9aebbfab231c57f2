"""Where output bytes go: a file that appears whole or not at all, or stdout."""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import IO

import pyarrow as pa

from labelf_cli.errors import OutputError, write_errors
from labelf_cli.formats import compression_of
from labelf_cli.storage.interface import Storage
from labelf_cli.storage.local import Disk
from labelf_cli.storage.location import STDOUT, Location, names_no_file


class Output(ABC):
    """A stream of bytes and what becomes of it in the end."""

    stream: IO[bytes]

    @abstractmethod
    def publish(self) -> None:
        """All is written: let it be seen."""

    @abstractmethod
    def discard(self) -> None:
        """Leave nothing half behind; what is published stays."""


class FileOutput(Output):
    """A file that takes its name by one rename at the end."""

    def __init__(self, path: PurePath, disk: Storage, draft_in: PurePath | None = None) -> None:
        """Create a file beside the final one, or in a folder of the same file system.

        Raises:
            OSError: its folder is absent or can't be written to.
        """
        self._path, self._disk, self._is_published = path, disk, False
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._draft = beside if draft_in is None else draft_in / f"{path.name}.tmp"
        self._file = disk.create(self._draft)
        compression = compression_of(path.name)
        self.stream = (
            pa.CompressedOutputStream(self._file, compression) if compression else self._file
        )

    def publish(self) -> None:
        """Make the bytes durable, then rename."""
        self.stream.close()
        self._file.close()
        self._disk.sync(self._draft)
        self._disk.publish(self._draft, self._path)
        self._is_published = True

    def discard(self) -> None:
        """Remove the draft."""
        if self._is_published:
            return
        with suppress(OSError, ValueError):  # it may be closed, or its disk be full
            self.stream.close()
        self._file.close()
        self._disk.remove(self._draft)


class StreamOutput(Output):
    """Stdout, a pipe or a device: what is written can't be taken back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream

    def publish(self) -> None:
        """Flush."""
        self.stream.flush()

    def discard(self) -> None:
        """Nothing to do."""


class DeviceOutput(StreamOutput):
    """A pipe or a device that was opened by its name."""

    def discard(self) -> None:
        """Close it."""
        with suppress(OSError):  # what was published is flushed already
            self.stream.close()


@contextmanager
def written_whole(output: Output) -> Iterator[Callable[[bytes], None]]:
    """What writes to it; published when the block ends, discarded when it breaks off.

    Raises:
        WriteError: it can't be written to its end.
    """

    def write(content: bytes) -> None:
        with write_errors("the output"):
            output.stream.write(content)

    try:
        yield write
        with write_errors("the output"):
            output.publish()
    except BaseException:
        output.discard()
        raise


def is_device(path: Path) -> bool:
    """Whether something stands there that is neither a file nor a folder."""
    return path.exists() and not (path.is_file() or path.is_dir())


def is_stream(place: Location | None) -> bool:
    """Whether bytes go straight on from there: stdout for None, a pipe, a device."""
    return place is None or (place.uri is None and is_device(place.local))


def open_output(
    path: Path | None, option: str = "-o", *, draft_in: PurePath | None = None
) -> Output:
    """Where the bytes go: a file, what is no regular file as it is, or stdout for None.

    Args:
        path: of the file.
        option: that named it.
        draft_in: folder in which the file is written before it gets its name; None for its own.

    Raises:
        OutputError: it can't be written to.
    """
    if path is None:
        return StreamOutput(_stdout(option))
    if path == Path(STDOUT):
        raise names_no_file(option)
    try:
        if is_device(path):
            return DeviceOutput(path.open("wb"))
        if path.is_dir():
            raise OutputError("a folder", where=path, todo=f"Name a file with {option}")
        return FileOutput(path.resolve(), Disk(), draft_in)
    except OSError as error:
        raise OutputError(
            f"can't be written ({error.strerror})", where=path, todo=f"Choose another {option}"
        ) from None


def _stdout(option: str) -> IO[bytes]:
    if sys.stdout is None:  # as Python has it where a shell says >&-
        raise OutputError("it is closed", where="stdout", todo=f"Name a file with {option}")
    return sys.stdout.buffer


def open_place(place: Location, disk: Storage, option: str = "-o") -> Output:
    """The same for a file of the local disk or of a store.

    Args:
        place: of the file.
        disk: where it stands.
        option: that named it.

    Raises:
        OutputError: it can't be written to.
    """
    if place.uri is None:
        return open_output(place.local, option)
    path = place.path
    draft = path.with_name(f"{path.name}.tmp")
    try:
        disk.write(draft, b"")  # that it can't be is known before all is put together
        disk.remove(draft)
        # Without a pid, which tells nothing among machines: what a kill leaves, the next replaces.
        return FileOutput(path, disk, draft_in=path.parent)
    except OSError as error:
        raise OutputError(
            f"can't be written ({error.strerror})", where=place, todo=f"Choose another {option}"
        ) from None


def check_place(place: Location, option: str) -> None:
    """Find out before the run whether a file can be written there; what stands there stays.

    Raises:
        OutputError: it can't.
    """
    if not is_stream(place):
        open_place(place, place.open(option), option).discard()


def open_rejects(place: Location, disk: Storage, work: PurePath | None) -> Output:
    """The file of rejected rows.

    Args:
        place: of the file.
        disk: where it stands.
        work: the run's work folder, if that stands on the same disk.

    Raises:
        OutputError: it can't be written to.
    """
    is_beside = work is not None and place.path.parent == work.parent
    if place.uri is None:
        return open_output(place.local, "--rejects", draft_in=work if is_beside else None)
    if work is None:
        return open_place(place, disk, "--rejects")
    return FileOutput(place.path, disk, work)


def remove_output(place: Location, disk: Storage) -> None:
    """Remove what an earlier run has written there; a pipe or a device stays."""
    if not is_stream(place):
        disk.remove(place.path)
