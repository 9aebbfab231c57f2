"""Partitioned tables: the folders that a file lies in say values of columns that are not in it."""

from collections.abc import Iterator

import pyarrow as pa

from labelf_cli.errors import InputError
from labelf_cli.sources.interface import Source
from labelf_cli.sources.rejects import BadRows
from labelf_cli.storage.names import Partitions


class Partitioned(Source):
    """A source with columns of one value each behind its own; they are text."""

    def __init__(self, source: Source, partitions: Partitions, name: str) -> None:
        """Add columns.

        Args:
            source: of the file's own columns.
            partitions: names and values.
            name: of the file.

        Raises:
            InputError: a name is that of another column.
        """
        self._source, self._partitions = source, partitions
        self.schema, self.names = source.schema, source.names
        for key, _ in partitions:
            if key in self.names:
                raise InputError(
                    f"'{key}' is a column of it and a folder that it lies in",
                    where=name,
                    todo="Rename one of them, or name the files one by one",
                )
            self.schema = self.schema.append(pa.field(key, pa.string()))
            self.names = (*self.names, key)

    @property
    def size(self) -> int | None:
        """See ``Source.size``."""
        return self._source.size

    @property
    def position(self) -> int:
        """See ``Source.position``."""
        return self._source.position

    def batches(self, bad_rows: BadRows, bookmark: int | None = None) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        for batch in self._source.batches(bad_rows, bookmark):
            self.bookmark = self._source.bookmark
            for key, value in self._partitions:
                column = pa.repeat(pa.scalar(value, pa.string()), batch.num_rows)
                text_at = batch.num_columns - 1
                batch = batch.add_column(text_at, pa.field(key, pa.string()), column)  # noqa: PLW2901
            yield batch
