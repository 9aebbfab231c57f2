"""The outputs of shards, joined to the bytes that one run would have written."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from labelf_cli.errors import BadRowError, RunError
from labelf_cli.formats import Format
from labelf_cli.sinks.open import open_sink, writing
from labelf_cli.sources.files import ByteInput

_BATCH_ROWS, _BUFFER_BYTES = 4096, 1 << 20
_LINE = re.compile(rb"[^\n]*+\n")
_RECORD = re.compile(rb'(?:[^"\n]++|"[^"]*+")*+\n')
"""Of CSV as it is written here: what holds a quote or a line end is quoted."""


class Turn(NamedTuple):
    """Whose rows come next, and how many."""

    shard: int
    rows: int


class Outputs(ABC):
    """The outputs of all shards, which are read in turns."""

    @abstractmethod
    def join(self, turns: Iterable[Turn], stream: IO[bytes]) -> None:
        """Write all rows.

        Raises:
            RunError: an output has more or fewer rows than its turns tell.
            BadRowError: one can't be read to its end.
        """


class TextOutputs(Outputs):
    """Text, of which every row is some bytes, whatever stands around it."""

    def __init__(self, paths: Sequence[str], record: re.Pattern[bytes], headers: int) -> None:
        """Open them.

        Args:
            paths: of the files.
            record: matches one record from its beginning to its end.
            headers: how many records each file begins with that are no rows.
        """
        self._files = [_Records(path, record) for path in paths]
        self._headers = headers

    def join(self, turns: Iterable[Turn], stream: IO[bytes]) -> None:
        """See ``Outputs.join``."""
        headers = {b"".join(file.take(self._headers)) for file in self._files}
        stream.write(headers.pop())
        if headers:
            raise RunError("the shards have different columns")
        for shard, rows in turns:
            for content in self._files[shard].take(rows):
                stream.write(content)
        for file in self._files:
            file.require_end()


class _Records:
    """The records of one file, read from the first to the last."""

    def __init__(self, path: str, record: re.Pattern[bytes]) -> None:
        self._path, self._record = path, record
        self._blocks = ByteInput(path).raw_blocks()
        self._held = b""

    def take(self, count: int) -> Iterator[bytes]:
        """The bytes of the next so many records."""
        while True:
            end = 0
            while count and (found := self._record.match(self._held, end)):
                end, count = found.end(), count - 1
            yield self._held[:end]
            self._held = self._held[end:]
            if not count:
                return
            block = next(self._blocks, b"")
            if not block:
                raise _other_rows(self._path)
            self._held += block

    def require_end(self) -> None:
        """Refuse a record that is left."""
        if self._held or next(self._blocks, b""):
            raise _other_rows(self._path)


class ParquetOutputs(Outputs):
    """Parquet, whose row groups are cut anew."""

    def __init__(self, paths: Sequence[str], schema: pa.Schema) -> None:
        """Open them; ``schema`` is the one that they were written with."""
        self._paths, self._schema = paths, schema
        self._batches = [_batches(path) for path in paths]
        self._held = [pa.RecordBatch.from_pylist([], schema) for _ in paths]

    def join(self, turns: Iterable[Turn], stream: IO[bytes]) -> None:
        """See ``Outputs.join``."""
        with writing(open_sink(stream, Format.PARQUET, self._schema)) as sink:
            for turn in turns:
                for batch in self._take(turn):
                    sink.write(batch)
            for shard, path in enumerate(self._paths):
                if self._held[shard].num_rows or next(self._batches[shard], None):
                    raise _other_rows(path)

    def _take(self, turn: Turn) -> Iterator[pa.RecordBatch]:
        shard, left = turn
        while left:
            held = self._held[shard]
            if not held.num_rows:
                batch = next(self._batches[shard], None)
                if batch is None:
                    raise _other_rows(self._paths[shard])
                held = batch.cast(self._schema)  # names within lists are others in a file
            yield held.slice(0, left)
            self._held[shard] = held.slice(left)
            left -= min(left, held.num_rows)


def _batches(path: str) -> Iterator[pa.RecordBatch]:
    data = ByteInput(path)
    try:
        with closing(
            pq.ParquetFile(data.seekable(), buffer_size=_BUFFER_BYTES, pre_buffer=False)
        ) as file:
            yield from file.iter_batches(_BATCH_ROWS, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise BadRowError(
            f"can't be read further ({data.lost or error})",
            where=path,
            todo="Mend that and run the same command again",
        ) from None


def _other_rows(path: str) -> RunError:
    return RunError(
        "it has not the rows that its manifest tells",
        where=path,
        todo="Run the command that makes it again",
    )


def outputs_of(paths: Sequence[str], format_: Format, schema: pa.Schema) -> Outputs:
    """The outputs of shards."""
    if format_ is Format.PARQUET:
        return ParquetOutputs(paths, schema)
    if format_ is Format.JSONL:
        return TextOutputs(paths, _LINE, 0)
    return TextOutputs(paths, _RECORD, 1)


def rejects_of(paths: Sequence[str]) -> Outputs:
    """The files of rejected rows of shards."""
    return TextOutputs(paths, _LINE, 0)
