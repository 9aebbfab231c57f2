"""Parquet: record batches with the file's own schema."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from labelf_cli.chunk import with_text
from labelf_cli.errors import BadRowError, InputError
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ReadOptions, Source, require_columns
from labelf_cli.sources.rejects import BadRows

_BATCH_ROWS = 1024
_BUFFER_BYTES = 1 << 20


class ParquetSource(Source):
    """A Parquet file, streamed; types, nested columns and metadata stay as they are."""

    def __init__(self, data: ByteInput, options: ReadOptions) -> None:
        """Read the footer.

        Raises:
            InputError: it is no Parquet file, or lacks a text column.
        """
        self._name, self._options = data.name, options
        self._bytes = data.seekable()
        try:
            metadata = pq.read_metadata(self._bytes)
            self.schema = metadata.schema.to_arrow_schema()
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"not a Parquet file ({error})", where=data.name) from None
        self._num_rows, self._rows_read = int(metadata.num_rows), 0
        self.names = tuple(self.schema.names)
        require_columns(self.names, options.text_columns, data.name)
        for column in options.text_columns:
            kind = self.schema.field(column).type
            if pa.types.is_nested(kind):
                raise InputError(f"column '{column}' is {kind}, not text", where=data.name)

    @property
    def size(self) -> int | None:
        """Rows."""
        return self._num_rows

    @property
    def position(self) -> int:
        """Rows that were read."""
        return self._rows_read

    def batches(self, bad_rows: BadRows) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """See ``Source.batches``; what is damaged here can't be told row from row."""
        try:
            # Streamed by pages: a row group may be larger than memory.
            file = pq.ParquetFile(self._bytes, buffer_size=_BUFFER_BYTES, pre_buffer=False)
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                self._rows_read += batch.num_rows
                yield with_text(batch, self._options.text_columns)
        except (OSError, pa.ArrowException) as error:
            where = f"{self._name}, after row {self._rows_read}"
            raise BadRowError(f"can't be read further ({error})", where=where) from None
