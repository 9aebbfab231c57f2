"""Work items: a range of one input's rows each, labelled by whoever has it, and known once done."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np
import pyarrow as pa

from labelf_cli.chunk import Chunk, recut
from labelf_cli.columns import ColumnGroup, Columns
from labelf_cli.config import Config
from labelf_cli.errors import InputError, RunError
from labelf_cli.formats import Format, Layout
from labelf_cli.journal import Entry
from labelf_cli.labeller import Labeller
from labelf_cli.sinks.open import open_sink, writing
from labelf_cli.sinks.part import Hashed
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.rejects import BadRows, Reject
from labelf_cli.sources.table import Inputs
from labelf_cli.storage.local import Disk
from labelf_cli.summary import Summary

ROW = ("labelf", "row")
"""Parts of the name of the column that tells where a row stands in the inputs, from 1."""

_TIMES = 4
"""An item is begun before it is given up; a node may be lost, but not at the same item for ever."""

_CHUNK_ROWS, _CHUNK_BYTES = 1024, 4 << 20


class Item(NamedTuple):
    """Consecutive rows of one input.

    Attributes:
        number: of the item, from 0, in the order of the rows.
        file: number of the input.
        start: position of the first row among the good ones of the input.
        rows: how many there are.
        first_row: position of the first among the good rows of all inputs.
    """

    number: int
    file: int
    start: int
    rows: int
    first_row: int

    @property
    def part(self) -> str:
        """Name of the file with its answers."""
        return f"part-{self.number:05}.parquet"

    @property
    def entry(self) -> str:
        """Name of the file that tells that it is done."""
        return f"item-{self.number:05}.json"


@dataclass(frozen=True)
class ItemSettings:
    """All that whoever labels items has to know; plain values, so that it can be sent.

    Attributes:
        config: the models.
        names: of the inputs.
        format: of the inputs.
        options: how they are read.
        layout, separator: of the columns.
        threads: size of the pool.
        output: folder of the parts.
        work: folder of what tells that they are done, and of drafts; on the same file system.
    """

    config: Config
    names: tuple[str, ...]
    format: Format
    options: ReadOptions
    layout: Layout
    separator: str
    threads: int
    output: Path
    work: Path

    def open_inputs(self) -> Inputs:
        """The inputs, from their beginning."""
        return Inputs(self.names, self.format, self.options)

    def columns(self, labeller: Labeller) -> "NumberedColumns":
        """How answers become columns."""
        groups = tuple(ColumnGroup(model.name, model.rules) for model in labeller.models)
        return NumberedColumns(groups, self.layout, self.separator)


@dataclass(frozen=True)
class NumberedColumns(Columns):
    """The columns of a run, and last the position of each row."""

    def schema(self, rows: pa.Schema, names: Sequence[str]) -> pa.Schema:
        """See ``Columns.schema``."""
        if self._row in names:
            raise InputError(
                f"the output would have two columns named '{self._row}'",
                todo="Rename the input's column, or choose another --separator",
            )
        schema = super().schema(rows, names)
        return schema.append(pa.field(self._row, pa.int64()))

    @property
    def _row(self) -> str:
        return self.separator.join(ROW)

    def number(self, batch: pa.RecordBatch, chunk: Chunk) -> pa.RecordBatch:
        """Add the positions to the output rows of a chunk."""
        if self.layout is Layout.LONG:
            return batch.append_column(self._row, batch.column("row"))
        positions = np.arange(chunk.first_row, chunk.first_row + chunk.num_rows) + 1
        return batch.append_column(self._row, pa.array(positions))


class KnownBadRows(BadRows):
    """Those that were told of already, when the inputs were looked through."""

    def add(self, reject: Reject) -> None:
        """See ``BadRows.add``."""


class FileRows:
    """Ranges of rows of the inputs; what comes later in the same input is read on to."""

    def __init__(self, settings: ItemSettings) -> None:
        self._settings = settings
        self._file, self._at = -1, 0
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._held: pa.RecordBatch | None = None

    def take(self, item: Item) -> Iterator[pa.RecordBatch]:
        """The rows of an item.

        Raises:
            RunError: the input has fewer.
        """
        if item.file != self._file or item.start < self._at:
            source = self._settings.open_inputs().sources[item.file]
            self._batches, self._held = source.batches(KnownBadRows()), None
            self._file, self._at = item.file, 0
        end = item.start + item.rows
        while self._at < end:
            batch = self._held if self._held is not None else next(self._batches, None)
            if batch is None:
                where = self._settings.names[item.file]
                raise RunError("it has fewer rows than when the run began", where=where)
            begin = max(item.start - self._at, 0)
            stop = min(end - self._at, batch.num_rows)
            self._held = batch.slice(stop) if stop < batch.num_rows else None
            self._at += stop
            if begin < stop:
                yield batch.slice(begin, stop - begin)


class ItemWorker:
    """Labels items, one after the other."""

    def __init__(self, settings: ItemSettings) -> None:
        """Load the models.

        Raises:
            UsageError: they can't be used.
        """
        self._settings, self._disk = settings, Disk()
        self._labeller = Labeller.open(settings.config, settings.threads).load()
        self._columns = settings.columns(self._labeller)
        source = settings.open_inputs()
        self._schema = self._columns.schema(source.schema, source.names)
        self._rows = FileRows(settings)

    def label(self, item: Item) -> Entry:
        """Write the part of an item, then tell that it is done.

        Whoever else has been given the same item writes the same bytes.

        Raises:
            RunError: it can't be labelled.
            OSError: it can't be written.
        """
        draft = self._settings.work / f"{item.part}.{uuid.uuid4().hex}.tmp"
        begun = self._begin(item)
        try:
            entry = self._write(item, draft)
            self._disk.sync(draft)
            self._disk.replace(draft, self._settings.output / item.part)
            with self._disk.create(draft) as file:
                file.write(entry.to_bytes())
            self._disk.sync(draft)
            self._disk.replace(draft, self._settings.work / item.entry)
        finally:
            for path in (draft, *begun):
                with suppress(OSError):
                    self._disk.remove(path)
        return entry

    def _begin(self, item: Item) -> list[Path]:
        """Count the times that an item is begun: what ends its process, ends it again.

        Engines give an item again for ever whose process died.

        Raises:
            RunError: it has been begun too often.
        """
        begun = [self._settings.work / f"{item.entry}.begun-{at}" for at in range(_TIMES)]
        for path in begun:
            with suppress(FileExistsError), path.open("xb"):
                return begun
        raise RunError(
            f"whatever labelled rows {item.first_row + 1} to {item.first_row + item.rows} died, "
            f"{_TIMES} times",
            where=self._settings.names[item.file],
            todo="Look for memory that ran out, and run the same command again",
        )

    def _write(self, item: Item, draft: Path) -> Entry:
        summary, written = Summary(), 0
        models = [(group.name, group.rules) for group in self._columns.groups]
        with self._disk.create(draft) as file:
            stream = Hashed(file)
            with writing(open_sink(cast(IO[bytes], stream), Format.PARQUET, self._schema)) as sink:
                for chunk, answers in self._labeller.label(self._chunks(item)):
                    batch = self._columns.build(chunk.first_row, chunk.rows, answers)
                    sink.write(self._columns.number(batch, chunk))
                    written += batch.num_rows
                    summary += Summary.of(answers, models)
        if summary.rows != item.rows:  # law 2
            raise RunError(f"{item.rows} rows were read but {summary.rows} written")
        digest = stream.digest.hexdigest()
        return Entry(item.first_row, item.rows, written, stream.size, digest, summary)

    def _chunks(self, item: Item) -> Iterator[Chunk]:
        first_row = item.first_row
        for number, batch in enumerate(recut(self._rows.take(item), _CHUNK_ROWS, _CHUNK_BYTES)):
            yield Chunk(number, first_row, batch)
            first_row += batch.num_rows
