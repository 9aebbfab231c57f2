"""Objects as inputs."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, TypeVar, cast

import pyarrow as pa
import pyarrow.fs

from labelf_cli.errors import InputError
from labelf_cli.storage.names import InputName
from labelf_cli.storage.uri import Uri, told

T = TypeVar("T")
R = TypeVar("R")

_REQUESTS = 16
_READ_BYTES = 4 << 20


def concurrently(function: Callable[[T], R], items: Collection[T]) -> Iterator[R]:
    """Apply a function that reads to each item, in their order.

    Many at a time, since each takes long to begin where files are objects; never all of them, since
    what was read may be large. One alone is read here, where a signal interrupts it, as of stdin.
    """
    if len(items) < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(_REQUESTS) as pool:
        asked: deque[Future[R]] = deque()
        for item in items:
            asked.append(pool.submit(function, item))
            if len(asked) == _REQUESTS:
                yield asked.popleft().result()
        while asked:
            yield asked.popleft().result()


class State(NamedTuple):
    """What a store tells of an object.

    Attributes:
        size: in bytes.
        modified: when it was written, in nanoseconds since 1970; 0 where that is not told.
        etag: the store's own mark of this content; empty where it gives none.
    """

    size: int
    modified: int
    etag: str


def open_object(uri: Uri) -> pa.NativeFile:
    """Open an object to be read by ranges.

    Raises:
        OSError: it can't be read; ``strerror`` says why.
    """
    try:
        return uri.filesystem.open_input_file(uri.path)
    except (OSError, pa.ArrowException) as error:
        raise told(error, uri) from None


@contextmanager
def read_through(name: InputName) -> Iterator[IO[bytes]]:
    """A file or an object to be read in the block from its beginning to its end, as it is.

    Raises:
        OSError: it can't be read; ``strerror`` says why.
    """
    if name.uri is None:
        with Path(name).open("rb") as file:
            yield file
        return
    try:
        with name.uri.filesystem.open_input_stream(
            name.uri.path, compression=None, buffer_size=_READ_BYTES
        ) as stream:
            yield cast(IO[bytes], stream)
    except (OSError, pa.ArrowException) as error:
        raise told(error, name.uri) from None


@contextmanager
def read_before_the_run(uri: Uri) -> Iterator[None]:
    """What can't be read is an input that can't be used.

    Raises:
        InputError: the block could not read.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        why = told(error, uri).strerror
        raise InputError(f"can't be read ({why})", where=uri, todo="Check the path") from None


def state_of(uri: Uri) -> State:
    """What the store tells of an object.

    Raises:
        InputError: it is not there, or can't be read.
    """
    with read_before_the_run(uri):
        info = uri.filesystem.get_file_info(uri.path)
        if info.type != pa.fs.FileType.File:
            raise FileNotFoundError
        with uri.filesystem.open_input_stream(uri.path, compression=None) as stream:
            marks = stream.metadata() or {}
    etag = marks.get("ETag", b"").decode(errors="replace")
    return State(info.size, info.mtime_ns or 0, etag)


def size_of(name: InputName) -> int:
    """Bytes of a file or an object.

    Raises:
        OSError: a file is not there.
        InputError: an object is not there.
    """
    if name.uri is None:
        return Path(name).stat().st_size
    with read_before_the_run(name.uri):
        info = name.uri.filesystem.get_file_info(name.uri.path)
        if info.type != pa.fs.FileType.File:
            raise FileNotFoundError
    return int(info.size)
