"""Parts: consecutive rows of an output on their way to the disk."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import IO

import pyarrow as pa

from labelf_cli.journal import Entry
from labelf_cli.summary import Summary


class Part:
    """A part that is being written.

    Attributes:
        path: where its bytes are.
        end: position after its last row.
    """

    def __init__(self, file: IO[bytes], path: Path, first_row: int) -> None:
        self._file, self.path, self.end = file, path, first_row
        self._bytes = Hashed(file)
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._begun = time.monotonic()
        self._entry = Entry(first_row, 0, 0, 0, "", Summary())

    @property
    def age(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self._begun

    def write(self, rows: range, batch: pa.RecordBatch, summary: Summary) -> None:
        """Add rows."""
        if self._writer is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_stream(self._bytes, batch.schema, options=options)
        self._writer.write_batch(batch)
        self.end = rows.stop
        so_far = self._entry
        self._entry = replace(
            so_far,
            rows=so_far.rows + len(rows),
            written=so_far.written + batch.num_rows,
            summary=so_far.summary + summary,
        )

    def drop(self) -> None:
        """Write no more."""
        self._file.close()

    def finish(self) -> Entry:
        """Close it, and tell what it is."""
        assert self._writer is not None
        with self._file:
            self._writer.close()
        return replace(self._entry, size=self._bytes.size, sha256=self._bytes.digest.hexdigest())


class Hashed:
    """A stream that knows the hash of what went through it."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.size, self.digest = file, 0, hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Pass the bytes on."""
        self._file.write(content)
        self.digest.update(content)
        self.size += len(content)
        return len(content)

    def flush(self) -> None:
        """Nothing to do before the end."""
