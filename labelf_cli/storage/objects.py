"""Object stores, by Arrow's file systems.

A stream to an object is completed when it is dropped: Arrow closes it in its destructor, so that an
exception in between would leave a short object under its name (``ObjectOutputStream`` of Arrow's
``s3fs.cc``, and those of Azure and Google alike). Hence:

- What is written goes to a local file first, and is uploaded when it is whole.
- Uploads run in a thread of their own, which no signal interrupts; a kill leaves them incomplete.
- The work folder's objects are checked by length and hash when they are read.
- A final name is given by the store's own copy of a draft whose length has been checked.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import IO, cast

import pyarrow as pa
import pyarrow.fs

from labelf_cli.storage.interface import DRAFT, Lease, R, Storage, T
from labelf_cli.storage.leases import LockObject, ObjectLease, local_folder
from labelf_cli.storage.local import LOCK
from labelf_cli.storage.reading import concurrently
from labelf_cli.storage.uri import StoreError, Uri, told

_BLOCK_BYTES = 32 << 20
_READ_BYTES = 4 << 20


class ObjectStore(Storage):
    """See ``Storage``; drafts are local files until they get a name.

    Attributes:
        copy_bytes: S3 copies no larger object in one request (CopyObject in its API reference).
    """

    copy_bytes = 5 << 30

    def __init__(self, uri: Uri) -> None:
        """Open the store of a place.

        Raises:
            OSError: it can't be opened.
        """
        self._uri, self._filesystem = uri, uri.filesystem
        self._uploads = ThreadPoolExecutor(1, "labelf-upload")
        self._drafts: dict[PurePath, Path] = {}
        self._drafts_in: Path | None = None  # of the system, until a lock gives one
        self._lease: ObjectLease | None = None
        self._held: PurePath | None = None

    def make_folder(self, path: PurePath) -> None:
        """See ``Storage.make_folder``; it comes with the first object in it."""

    def names(self, folder: PurePath) -> list[str]:
        """See ``Storage.names``."""
        selector = pa.fs.FileSelector(str(folder), allow_not_found=True)
        with self._told():
            found = self._filesystem.get_file_info(selector)
        return sorted(one.base_name for one in found)

    def create(self, path: PurePath) -> IO[bytes]:
        """See ``Storage.create``; a file on the local disk."""
        self._drop(path)
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115  # the caller closes it
            prefix=DRAFT, dir=self._drafts_in, delete=False
        )
        self._drafts[path] = Path(file.name)
        return cast(IO[bytes], file)

    def open(self, path: PurePath) -> IO[bytes]:
        """See ``Storage.open``."""
        with self._told():
            stream = self._filesystem.open_input_stream(
                str(path), compression=None, buffer_size=_READ_BYTES
            )
        return cast(IO[bytes], stream)

    def size(self, path: PurePath) -> int | None:
        """See ``Storage.size``."""
        with self._told():
            size: int | None = self._filesystem.get_file_info(str(path)).size
        return size

    def sync(self, path: PurePath) -> None:
        """See ``Storage.sync``; only what is uploaded is durable."""

    def replace(self, source: PurePath, target: PurePath) -> None:
        """See ``Storage.replace``; one completed upload."""
        self._in_order(lambda: self._upload(source, target))

    def publish(self, source: PurePath, target: PurePath) -> None:
        """See ``Storage.publish``; a draft is uploaded, and copied by the store."""
        self._in_order(lambda: self._publish(source, target))

    def remove(self, path: PurePath) -> None:
        """See ``Storage.remove``."""
        if path in self._drafts:
            self._drop(path)
            return
        with self._told(), suppress(FileNotFoundError):
            self._filesystem.delete_file(str(path))

    def remove_folder(self, path: PurePath) -> None:
        """See ``Storage.remove_folder``."""
        if self._lease is not None and path == self._held:
            self._lease.stop()
        with self._told(), suppress(FileNotFoundError):
            self._filesystem.delete_dir(str(path))
        # Last: while the object of the lock is there, this tells that it is of this machine.
        shutil.rmtree(self._local(path), ignore_errors=True)

    def write(self, path: PurePath, content: bytes) -> None:
        """See ``Storage.write``."""
        self._in_order(lambda: self._put(path, [content]))

    def lock(self, folder: PurePath) -> Lease:
        """See ``Storage.lock``; as good as can be, see ``ObjectLease``."""
        local = self._local(folder)
        self._lease = ObjectLease.acquire(local, _StoredLock(self, folder / LOCK))
        self._drafts_in, self._held = local, folder
        for draft in local.glob(f"{DRAFT}*"):  # of a run that was killed
            draft.unlink(missing_ok=True)
        return self._lease

    def scratch(self, folder: PurePath) -> Path:
        """See ``Storage.scratch``."""
        return self._local(folder)

    def shown(self, path: PurePath) -> str:
        """See ``Storage.shown``."""
        return str(self._uri.at(path.as_posix()))

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """See ``Storage.map``."""
        return concurrently(function, list(items))

    def _local(self, folder: PurePath) -> Path:
        return local_folder(hashlib.sha256(self.shown(folder).encode()).hexdigest()[:32])

    def _drop(self, path: PurePath) -> None:
        if draft := self._drafts.pop(path, None):
            draft.unlink(missing_ok=True)

    def _in_order(self, work: Callable[[], None]) -> None:
        """Do it in the thread of uploads, and wait; what interrupts the wait leaves it whole."""
        self._uploads.submit(work).result()

    def _publish(self, source: PurePath, target: PurePath) -> None:
        kind = self._filesystem.type_name.removeprefix("py::")
        if kind == "s3" and self._drafts[source].stat().st_size > self.copy_bytes:
            self._upload(source, target)  # an upload to S3 of which a request fails never completes
            return
        size = self._drafts[source].stat().st_size
        self._upload(source, source)
        with self._told():
            if kind == "hdfs":  # which has no copy, and whose rename replaces nothing
                with suppress(FileNotFoundError):
                    self._filesystem.delete_file(str(target))
                self._filesystem.move(str(source), str(target))
                return
            self._filesystem.copy_file(str(source), str(target))
        self._check(target, size)
        self.remove(source)

    def _upload(self, source: PurePath, target: PurePath) -> None:
        draft = self._drafts[source]
        self._put(target, _blocks(draft))
        self._check(target, draft.stat().st_size)
        self._drop(source)

    def _put(self, path: PurePath, blocks: Iterable[bytes | pa.Buffer]) -> None:
        with self._told():
            stream = self._filesystem.open_output_stream(str(path), compression=None)
            for block in blocks:
                stream.write(block)
                stream.flush()  # else all of it waits in memory to be sent
            stream.close()

    def _check(self, path: PurePath, size: int) -> None:
        if (found := self.size(path)) != size:
            raise StoreError(5, f"{found} bytes of {size} have arrived at {self.shown(path)}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Arrow's errors as those of a storage."""
        try:
            yield
        except StoreError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise told(error, self._uri) from None


def _blocks(draft: Path) -> Iterator[pa.Buffer]:
    """The bytes of a draft, mapped: that it can't be read would end the process, not the stream."""
    with pa.memory_map(str(draft)) as file:
        while (block := file.read_buffer(_BLOCK_BYTES)).size:
            yield block


class _StoredLock(LockObject):
    """An object of a store."""

    def __init__(self, store: ObjectStore, path: PurePath) -> None:
        self._store, self._path = store, path

    def read(self) -> bytes:
        with self._store.open(self._path) as file:
            return file.read()

    def write(self, content: bytes) -> None:
        self._store._put(self._path, [content])

    def remove(self) -> None:
        self._store.remove(self._path)
