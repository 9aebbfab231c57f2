"""Parquet: row groups of a size that the rows alone decide."""

from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from labelf_cli.chunk import Recutter
from labelf_cli.sinks.interface import Sink

ROW_GROUP_ROWS = 1 << 16
ROW_GROUP_BYTES = 32 << 20


class ParquetSink(Sink):
    """Writes Parquet, compressed with Zstandard; labels stay dictionary-encoded."""

    def __init__(self, stream: IO[bytes], schema: pa.Schema) -> None:
        self._valve = _Valve(stream)
        # With checksums, a reader can tell damage from data.
        self._writer = pq.ParquetWriter(
            self._valve, schema, compression="zstd", write_page_checksum=True
        )
        self._recutter = Recutter(ROW_GROUP_ROWS, ROW_GROUP_BYTES)

    def write(self, batch: pa.RecordBatch) -> None:
        """See ``Sink.write``."""
        for group in self._recutter.push(batch):
            self._write_group(group)

    def finish(self) -> None:
        """See ``Sink.finish``."""
        for group in self._recutter.flush():
            self._write_group(group)
        self._writer.close()

    def abandon(self) -> None:
        """See ``Sink.abandon``; the writer adds a footer even when it is collected."""
        self._valve.shut = True
        self._writer.close()

    def _write_group(self, batch: pa.RecordBatch) -> None:
        columns = [_own_dictionary(column) for column in batch.columns]
        table = pa.Table.from_arrays(columns, schema=batch.schema)
        self._writer.write_table(table, row_group_size=batch.num_rows)


class _Valve:
    """A stream of bytes that can be shut off from its writer."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.shut = False

    def write(self, content: bytes) -> int:
        """Pass the bytes on, or drop them."""
        return len(content) if self.shut else self._stream.write(content)

    def flush(self) -> None:
        """Pass it on, or don't."""
        if not self.shut:
            self._stream.flush()


def _own_dictionary(column: pa.Array) -> pa.Array:
    """Give a dictionary-encoded column the dictionary that its rows make, in their order."""
    kind = column.type
    if not pa.types.is_dictionary(kind):
        return column
    encoded = column.dictionary_decode().dictionary_encode()
    indices = encoded.indices.cast(kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary, ordered=kind.ordered)
