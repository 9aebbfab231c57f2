"""Parquet: record batches with the file's own schema."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from labelf_cli.chunk import with_text
from labelf_cli.errors import BadRowError, InputError
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ReadOptions, Source, require_columns
from labelf_cli.sources.rejects import BadRows, Reject

_BATCH_ROWS = 1024
_AGAIN = "Mend that and run the same command again"
_BUFFER_BYTES = 1 << 20


class ParquetSource(Source):
    """A Parquet file, streamed; types, nested columns and metadata stay as they are."""

    def __init__(self, data: ByteInput, options: ReadOptions) -> None:
        """Read the footer.

        Raises:
            InputError: it is no Parquet file, or lacks a text column.
        """
        self._data, self._name, self._options = data, data.name, options
        self._bytes = data.seekable()
        try:
            self._metadata = pq.read_metadata(self._bytes)
            self.schema = self._metadata.schema.to_arrow_schema()
        except (OSError, pa.ArrowException) as error:
            if data.lost:
                raise InputError(f"can't be read ({data.lost})", where=data.name) from None
            raise InputError(f"not a Parquet file ({error})", where=data.name) from None
        self._rows_read = 0
        self.names = tuple(self.schema.names)
        require_columns(self.names, options.text_columns, data.name)
        for column in options.text_columns:
            kind = self.schema.field(column).type
            if pa.types.is_nested(kind):
                raise InputError(f"column '{column}' is {kind}, not text", where=data.name)

    @property
    def size(self) -> int | None:
        """Rows."""
        return int(self._metadata.num_rows)

    @property
    def position(self) -> int:
        """Rows that were read."""
        return self._rows_read

    def batches(self, bad_rows: BadRows, bookmark: int | None = None) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``; behind a damaged page all rows of the row group are bad.

        A bookmark stands before each row group: its number.
        """
        for group in range(bookmark or 0, self._metadata.num_row_groups):
            self.bookmark = group
            left = self._metadata.row_group(group).num_rows
            try:
                for batch in self._row_group(group):
                    rows = with_text(batch, self._options.text_columns)
                    left -= rows.num_rows  # only now: rows whose text can't be read are left, too
                    self._rows_read += rows.num_rows
                    yield rows
            except (OSError, pa.ArrowException) as error:
                if self._data.lost:  # the store has failed, not the file
                    raise BadRowError(
                        f"can't be read further ({self._data.lost})", where=self._name, todo=_AGAIN
                    ) from None
                self._reject(
                    group, left, f"its row group can't be read further ({error})", bad_rows
                )

    def _row_group(self, group: int) -> Iterator[pa.RecordBatch]:
        # Streamed by pages: a row group may be larger than memory.
        file = pq.ParquetFile(
            self._bytes,
            metadata=self._metadata,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            page_checksum_verification=True,
        )
        yield from file.iter_batches(_BATCH_ROWS, row_groups=[group], use_threads=False)

    def _reject(self, group: int, rows: int, reason: str, bad_rows: BadRows) -> None:
        column = self._metadata.row_group(group).column(0)
        offset = column.dictionary_page_offset or column.data_page_offset
        for _ in range(rows):
            self._rows_read += 1
            bad_rows.add(
                Reject(self._name, self._rows_read, offset, reason, b"", "Restore the file", "row")
            )
