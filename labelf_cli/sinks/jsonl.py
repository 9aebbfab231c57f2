"""JSON Lines: one object a row."""

from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.chunk import JSON_OBJECT
from labelf_cli.sinks.interface import Sink
from labelf_cli.sinks.text import EMPTY, json_members, write_lines

_OPEN, _CLOSE, _COMMA = pa.scalar("{"), pa.scalar("}"), pa.scalar(", ")


class JsonlSink(Sink):
    """Writes JSON Lines; objects that came from JSON Lines keep their text."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, batch: pa.RecordBatch) -> None:
        """See ``Sink.write``."""
        columns = list(zip(batch.schema.names, batch.columns, strict=True))
        if columns[0][0] == JSON_OBJECT:
            (_, objects), *columns = columns
            # All but the closing brace; a comma unless the object was empty.
            begun = pc.utf8_rtrim(pc.utf8_slice_codeunits(objects, 0, -1), " \t\r")
            more = pc.binary_join_element_wise(begun, _COMMA, EMPTY)
            begun = pc.if_else(pc.equal(begun, _OPEN), begun, more)
        else:
            begun = _OPEN
        members = json_members(columns, batch.num_rows)
        write_lines(self._stream, pc.binary_join_element_wise(begun, members, _CLOSE, EMPTY))

    def finish(self) -> None:
        """See ``Sink.finish``; nothing closes a JSON Lines file."""

    def abandon(self) -> None:
        """See ``Sink.abandon``; nothing is held."""
