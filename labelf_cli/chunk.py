"""Chunks: the pieces in which a table goes through the kernel."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

TEXT = "labelf.text"
"""Name of the last column of a chunk's batch: what is classified."""

JSON_OBJECT = "labelf.object"
"""Name of the column that holds whole JSON objects, on their way from JSON Lines to JSON Lines."""

REST = "labelf.rest"
"""Name of the column of what a JSON object has beyond the columns of the file's beginning."""

_TEXT_ROWS, _TEXT_BYTES = 1024, 4 << 20

# Arrow takes long to make its own scalars of Python's.
_LINE_END, _ZERO = pa.scalar("\n"), pa.scalar(0)


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of the input.

    Attributes:
        number: position among the chunks of the run, from 0.
        first_row: position of the first row in the run, from 0.
        batch: the input's columns and, last, the text (string, named ``TEXT``).
    """

    number: int
    first_row: int
    batch: pa.RecordBatch

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return int(self.batch.num_rows)

    @property
    def positions(self) -> range:
        """Positions of the rows in the run."""
        return range(self.first_row, self.first_row + self.num_rows)

    @property
    def texts(self) -> pa.StringArray:
        """The texts that are classified; null where there is none."""
        return self.batch.column(self.batch.num_columns - 1)

    @property
    def rows(self) -> pa.RecordBatch:
        """The input's columns as they pass through."""
        return self.batch.select(range(self.batch.num_columns - 1))


def with_text(batch: pa.RecordBatch, columns: tuple[str, ...]) -> pa.RecordBatch:
    """Add the text column: one column as it is, or several joined by a newline, nulls left out.

    With no columns, where nothing is classified, it is null.
    """
    if not columns:
        return batch.append_column(TEXT, pa.nulls(batch.num_rows, pa.string()))
    text, *more = (_as_text(batch.column(name)) for name in columns)
    for part in more:
        both = pc.binary_join_element_wise(text, part, _LINE_END)
        text = pc.coalesce(both, text, part)
    return batch.append_column(TEXT, text)


def _as_text(column: pa.Array) -> pa.StringArray:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def chunks(batches: Iterable[pa.RecordBatch], max_rows: int, max_bytes: int) -> Iterator[Chunk]:
    """Number the rows of a table and cut them into chunks.

    Where a chunk ends depends on the rows alone, not on how they arrive in batches.
    """
    first_row = 0
    for number, batch in enumerate(recut(batches, max_rows, max_bytes)):
        yield Chunk(number, first_row, batch)
        first_row += batch.num_rows


def text_chunks(texts: Sequence[str]) -> Iterator[Chunk]:
    """Chunks of texts that come with no table."""
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    return chunks([batch], _TEXT_ROWS, _TEXT_BYTES)


def recut(
    batches: Iterable[pa.RecordBatch], max_rows: int, max_bytes: int
) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches that end at ``max_rows`` rows or ``max_bytes`` bytes of text.

    A batch ends with the row that reaches one of the two; the last batch may be shorter.
    """
    cutter = Recutter(max_rows, max_bytes)
    for batch in batches:
        yield from cutter.push(batch)
    yield from cutter.flush()


class Recutter:
    """Cuts rows that arrive in batches of any size; the cuts depend on the rows alone.

    Attributes:
        max_rows: most rows of a batch; another number holds from the next cut on.
    """

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self.max_rows, self._max_bytes = max_rows, max_bytes
        self._held: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def push(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Take rows; yield the batches that they complete."""
        for piece, is_last in self.pieces(batch):
            self._held.append(piece)
            if is_last:
                yield from self.flush()

    def pieces(self, batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, bool]]:
        """Take rows; yield them cut, each piece with whether a cut follows it."""
        cumulated = np.cumsum(_text_bytes(batch))
        start = before = 0
        while start < batch.num_rows:
            room = self._max_bytes - self._bytes
            reached = int(np.searchsorted(cumulated, before + room)) + 1
            end = min(start + max(self.max_rows - self._rows, 1), reached, batch.num_rows)
            self._rows += end - start
            self._bytes += int(cumulated[end - 1]) - before
            is_last = self._rows >= self.max_rows or self._bytes >= self._max_bytes
            if is_last:
                self._rows = self._bytes = 0
            yield batch.slice(start, end - start), is_last
            before, start = int(cumulated[end - 1]), end

    def flush(self) -> Iterator[pa.RecordBatch]:
        """Yield what is held, if anything."""
        if self._held:
            held = self._held[0] if len(self._held) == 1 else pa.concat_batches(self._held)
            self._held, self._rows, self._bytes = [], 0, 0
            yield held


def _text_bytes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Bytes in the string and binary columns, [rows] int64."""
    total = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
            lengths = pc.binary_length(column).cast(pa.int64())
            total += pc.fill_null(lengths, _ZERO).to_numpy(zero_copy_only=False)
    return total
