"""The rows of a run on their way in."""

import time
from collections.abc import Iterator

import pyarrow as pa

from labelf_cli.chunk import Chunk, Recutter
from labelf_cli.sources.interface import Source
from labelf_cli.sources.rejects import BadRows
from labelf_cli.units import AllRows, Share

ALL_ROWS = AllRows()
CHUNK_BYTES = 4 << 20
_LEAST_ROWS, _CHUNK_SECONDS = 64, 2.0
"""A chunk is meant to take two seconds. Longer ones need less padding: at 400 rows, tweets need 5%
less than at 128 and transcripts 2% less than at 64. Shorter ones cost less when a run dies.
"""


class Rows:
    """The rows on their way in: counted, limited, those that are done left out, cut into chunks.

    Attributes:
        count: rows that were read.
        own: how many of them are the run's own.
        seconds: processor time that reading them took.
    """

    def __init__(
        self,
        source: Source,
        limit: int | None,
        done: tuple[range, ...],
        max_rows: int,
        share: Share = ALL_ROWS,
    ) -> None:
        """Read a source.

        Args:
            source: of the rows.
            limit: stop after so many; None for all.
            done: positions of those that are not asked for any more, in order.
            max_rows: most rows of a chunk.
            share: says which rows are the run's own.
        """
        self._source, self._limit, self._share = source, limit, share
        self._done, self._max_rows = done, max_rows
        self._cutter = Recutter(min(2 * _LEAST_ROWS, max_rows), CHUNK_BYTES)
        self._chunks = 0
        self._answered = time.monotonic()
        self.count = self.own = 0
        self.seconds = 0.0

    def chunks(self, bad_rows: BadRows) -> Iterator[Chunk]:
        """The own rows that are not done, in chunks of consecutive ones."""
        began = time.thread_time()
        for first_row, batch in self._cut(bad_rows):
            self.seconds += time.thread_time() - began
            yield Chunk(self._chunks, first_row, batch)
            self._chunks += 1
            began = time.thread_time()

    def _cut(self, bad_rows: BadRows) -> Iterator[tuple[int, pa.RecordBatch]]:
        first_row = end = 0
        for start, batch in self._missing(bad_rows):
            if start != end:
                for held in self._cutter.flush():
                    yield first_row, held
                first_row = start
            end = start + batch.num_rows
            for chunk in self._cutter.push(batch):
                yield first_row, chunk
                first_row += chunk.num_rows
        for held in self._cutter.flush():
            yield first_row, held

    def _missing(self, bad_rows: BadRows) -> Iterator[tuple[int, pa.RecordBatch]]:
        """What is not done of each batch, with the position of its first row."""
        for start, batch in self._own(bad_rows):
            begin, end = start, start + batch.num_rows
            for rows in self._done:
                if rows.stop > start and rows.start < end:
                    if begin < rows.start:
                        yield begin, batch.slice(begin - start, rows.start - begin)
                    begin = rows.stop
            if begin < end:
                yield begin, batch.slice(begin - start)

    def _own(self, bad_rows: BadRows) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The own rows of each batch, with the position of the first."""
        for batch in self._batches(bad_rows):
            start = self.count - batch.num_rows
            for begin, piece in self._share.own(batch):
                self.own += piece.num_rows
                yield start + begin, piece

    def _batches(self, bad_rows: BadRows) -> Iterator[pa.RecordBatch]:
        for batch in self._source.batches(bad_rows):
            room = batch.num_rows if self._limit is None else self._limit - self.count
            self.count += min(room, batch.num_rows)
            yield batch.slice(0, room)
            if self.count == self._limit:
                return

    def answered(self, chunk: Chunk) -> None:
        """Learn from how long a chunk took how large the next ones may be."""
        now = time.monotonic()
        rate = chunk.num_rows / max(now - self._answered, 1e-6)
        self._answered = now
        most = min(round(rate * _CHUNK_SECONDS), 8 * self._cutter.max_rows, self._max_rows)
        self._cutter.max_rows = max(most, min(_LEAST_ROWS, self._max_rows))

    @property
    def expected(self) -> int | None:
        """How many own rows there may be in all, judged by what was read so far."""
        size, position = self._source.size, self._source.position
        if not (size and position):
            return self._limit
        expected = round(self.count * size / position)
        expected = expected if self._limit is None else min(expected, self._limit)
        return round(expected * self.own / max(self.count, 1))
