"""What every format's writer takes: record batches of one schema, in order."""

from abc import ABC, abstractmethod

import pyarrow as pa


class Sink(ABC):
    """Writes a table to a stream of bytes.

    The bytes depend on the rows alone, not on the batches in which they come.
    """

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is held and what closes the format; the stream stays open."""

    @abstractmethod
    def abandon(self) -> None:
        """Write no more, so that what is there can't be taken for a whole table."""
