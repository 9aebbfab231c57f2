"""The writer for a format, and how a table begins and ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pyarrow as pa

from labelf_cli.formats import Format
from labelf_cli.sinks.csv import CsvSink
from labelf_cli.sinks.interface import Sink
from labelf_cli.sinks.jsonl import JsonlSink
from labelf_cli.sinks.parquet import ParquetSink


def open_sink(stream: IO[bytes], format_: Format, schema: pa.Schema) -> Sink:
    """Begin a table on a stream."""
    if format_ is Format.PARQUET:
        return ParquetSink(stream, schema)
    if format_ is Format.JSONL:
        return JsonlSink(stream)
    return CsvSink(stream, schema, format_.delimiter)


@contextmanager
def writing(sink: Sink) -> Iterator[Sink]:
    """Finish the table when the block ends, or abandon it when the block fails."""
    try:
        yield sink
        sink.finish()
    except BaseException:
        sink.abandon()
        raise
