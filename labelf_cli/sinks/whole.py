"""How a table is put together of a journal's parts: one file, or a folder of Parquet files."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, cast

import pyarrow as pa

from labelf_cli.formats import Format
from labelf_cli.sinks.files import FileOutput
from labelf_cli.sinks.open import open_sink, writing
from labelf_cli.sinks.parquet_folder import ParquetFolder, Written
from labelf_cli.sinks.part import Hashed
from labelf_cli.storage.interface import Storage
from labelf_cli.storage.location import part_name
from labelf_cli.summary import Summary


class Whole(ABC):
    """What a run publishes."""

    @abstractmethod
    def publish(self, batches: Iterable[pa.RecordBatch], summary: Summary) -> None:
        """Write all rows, and let them be seen.

        Args:
            batches: the rows in order.
            summary: what happened in the run.

        Raises:
            OSError: it can't be written.
        """


@dataclass(frozen=True)
class OneFile(Whole):
    """A file that appears whole.

    Attributes:
        path: of the file.
        format: of the file.
        schema: of the rows.
        disk: where it stands.
        draft_in: the work folder.
    """

    path: PurePath
    format: Format
    schema: pa.Schema
    disk: Storage
    draft_in: PurePath

    def publish(self, batches: Iterable[pa.RecordBatch], summary: Summary) -> None:  # noqa: ARG002
        """See ``Whole.publish``; in one pass and in the memory of a row group."""
        with _published(FileOutput(self.path, self.disk, self.draft_in)) as stream:
            _write(stream, batches, self.format, self.schema)


@dataclass(frozen=True)
class Folder(Whole):
    """Parquet files that each appear whole, and at last the file that says that all are there.

    Attributes:
        folder: where they stand.
        schema: of the rows.
        part_rows: rows of each file but the last.
    """

    folder: ParquetFolder
    schema: pa.Schema
    part_rows: int

    def publish(self, batches: Iterable[pa.RecordBatch], summary: Summary) -> None:
        """See ``Whole.publish``."""
        self.folder.begin()
        self.folder.succeed(self.write(batches) or self.write_no_row(), summary)

    def write(self, batches: Iterable[pa.RecordBatch], below: str = "") -> list[Written]:
        """Write rows.

        Args:
            batches: the rows in order.
            below: the folder in this one, with a slash at its end.
        """
        parts = enumerate(cut(batches, self.part_rows))
        return [self._write_part(f"{below}{part_name(number)}", part) for number, part in parts]

    def write_no_row(self) -> list[Written]:
        """Write a file without a row: a run without one has columns, too."""
        return [self._write_part(part_name(0), [])]

    def _write_part(self, name: str, batches: Iterable[pa.RecordBatch]) -> Written:
        rows = 0

        def counted() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for batch in batches:
                rows += batch.num_rows
                yield batch

        its = self.folder
        with _published(FileOutput(its.path / name, its.disk, its.journal.folder)) as stream:
            hashed = Hashed(stream)
            _write(cast(IO[bytes], hashed), counted(), Format.PARQUET, self.schema)
        return Written(name, rows, hashed.size, hashed.digest.hexdigest())


def cut(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[Iterator[pa.RecordBatch]]:
    """Cut a table into tables of so many rows, the last of fewer; each is read before the next."""
    held = iter(batches)
    rest: pa.RecordBatch | None = None

    def one() -> Iterator[pa.RecordBatch]:
        nonlocal rest
        room = rows
        while room:
            batch, rest = rest or next(held, None), None
            if batch is None:
                return
            if batch.num_rows > room:
                rest = batch.slice(room)
            room -= min(batch.num_rows, room)
            yield batch.slice(0, batch.num_rows - (rest.num_rows if rest else 0))

    while (rest := rest or next(held, None)) is not None:
        yield one()


def _write(
    stream: IO[bytes], batches: Iterable[pa.RecordBatch], format_: Format, schema: pa.Schema
) -> None:
    with writing(open_sink(stream, format_, schema)) as sink:
        for batch in batches:
            sink.write(batch)


@contextmanager
def _published(output: FileOutput) -> Iterator[IO[bytes]]:
    """A file that is published when the block ends, or discarded when the block fails."""
    try:
        yield output.stream
        output.publish()
    except BaseException:
        output.discard()
        raise
