"""Which rows of an input are a run's own: all, or every Nth unit of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import pyarrow as pa

from labelf_cli.chunk import Recutter
from labelf_cli.shard import Shard

UNIT_ROWS, UNIT_BYTES = 4096, 4 << 20
"""Where a unit ends, rows or bytes of text. It is no setting: all shards cut alike."""


class Share(ABC):
    """Which of the rows that come in are a run's own."""

    @abstractmethod
    def own(self, batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Its rows of the next batch, each piece with where it begins there."""


class AllRows(Share):
    """All of them."""

    def own(self, batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
        """See ``Share.own``."""
        yield 0, batch


class Units:
    """Cuts rows, as they come in, into units, by the rows alone.

    Attributes:
        first_row: position of the first row of the unit that is open.
        number: of this unit, from 0.
    """

    def __init__(self, rows: int = UNIT_ROWS, num_bytes: int = UNIT_BYTES) -> None:
        self._cutter = Recutter(rows, num_bytes)
        self._rows = 0
        self.first_row = self.number = 0

    def cut(self, batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows of a batch, each piece with the number of its unit."""
        for piece, is_last in self._cutter.pieces(batch):
            number = self.number
            self._rows += piece.num_rows
            if is_last:
                self.number, self.first_row = number + 1, self._rows
            yield number, piece


class ShardRows(Share):
    """Every Nth unit."""

    def __init__(self, shard: Shard) -> None:
        self._shard, self._units = shard, Units()

    @property
    def open_unit(self) -> int | None:
        """Position of the first row of the unit that is open, if that is one of the shard's."""
        return self._units.first_row if self._owns(self._units.number) else None

    def own(self, batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
        """See ``Share.own``."""
        begin = 0
        for number, piece in self._units.cut(batch):
            if self._owns(number):
                yield begin, piece
            begin += piece.num_rows

    def _owns(self, number: int) -> bool:
        return number % self._shard.count == self._shard.number - 1
