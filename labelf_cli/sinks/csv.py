"""CSV and TSV: fields quoted only where they need it, null apart from the empty text."""

import re
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.sinks.interface import Sink
from labelf_cli.sinks.text import EMPTY, QUOTE, plain_text, write_lines


class CsvSink(Sink):
    """Writes RFC 4180 with a header; a line ends with a line feed."""

    def __init__(self, stream: IO[bytes], schema: pa.Schema, delimiter: str) -> None:
        """Write the header."""
        self._stream, self._separator = stream, pa.scalar(delimiter)
        self._special = '[\r\n"' + re.escape(delimiter) + "]"
        names = self._quoted(pa.array(schema.names, pa.string())).to_pylist()
        stream.write((delimiter.join(names) + "\n").encode())

    def write(self, batch: pa.RecordBatch) -> None:
        """See ``Sink.write``."""
        fields = [self._quoted(plain_text(column)) for column in batch.columns]
        lines = pc.binary_join_element_wise(
            *fields, self._separator, null_handling="replace", null_replacement=""
        )
        write_lines(self._stream, lines)

    def _quoted(self, text: pa.StringArray) -> pa.StringArray:
        """Quote what would be read as something else; null stays null."""
        needs = pc.or_(pc.match_substring_regex(text, self._special), pc.equal(text, EMPTY))
        if not pc.any(needs).as_py():
            return text
        doubled = pc.replace_substring(text, '"', '""')
        return pc.if_else(needs, pc.binary_join_element_wise(QUOTE, doubled, QUOTE, EMPTY), text)

    def finish(self) -> None:
        """See ``Sink.finish``; nothing closes a CSV file."""

    def abandon(self) -> None:
        """See ``Sink.abandon``; nothing is held."""
