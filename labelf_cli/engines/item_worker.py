"""Labels work items, wherever it runs: reads their rows, writes their parts, tells what is done."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import PurePath
from typing import IO, cast

import pyarrow as pa

from labelf_cli.chunk import Chunk, recut
from labelf_cli.engines.items import Item, ItemSettings
from labelf_cli.errors import RunError, write_errors
from labelf_cli.formats import Format
from labelf_cli.journal import Entry
from labelf_cli.labeller import Labeller
from labelf_cli.sinks.open import open_sink, writing
from labelf_cli.sinks.part import Hashed
from labelf_cli.sources.rejects import BadRows, Reject
from labelf_cli.summary import Summary

_TIMES = 4
"""An item is begun before it is given up; a node may be lost, but not at the same item for ever."""

_CHUNK_ROWS, _CHUNK_BYTES = 1024, 4 << 20


class KnownBadRows(BadRows):
    """Those that were told of already, when the inputs were looked through."""

    def add(self, reject: Reject) -> None:
        """See ``BadRows.add``."""


class FileRows:
    """Ranges of rows of the inputs; what comes later in the same input is read on to."""

    def __init__(self, settings: ItemSettings) -> None:
        self._settings = settings
        self._file, self._at = -1, -1
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._held: pa.RecordBatch | None = None

    def take(self, item: Item) -> Iterator[pa.RecordBatch]:
        """The rows of an item.

        Raises:
            RunError: the input has fewer.
        """
        if item.file != self._file:
            self._source = self._settings.open_input(item.file)
            self._file, self._at = item.file, -1
        if not item.before <= self._at <= item.start:
            self._batches = self._source.batches(KnownBadRows(), item.bookmark)
            self._held, self._at = None, item.before
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
            UsageError: they, or the place of the output, can't be used.
        """
        self._settings, self._files = settings, settings.files
        self._disk = settings.files.place.open()
        self._labeller = Labeller.open(settings.config, settings.threads).load()
        self._columns = settings.columns(self._labeller)
        self._rows = FileRows(settings)

    def label(self, item: Item) -> Entry:
        """Write the part of an item, then tell that it is done.

        Whoever else has been given the same item writes the same rows under the same name.

        Raises:
            RunError: it can't be labelled.
            WriteError: it can't be written.
        """
        with write_errors(self._files.place):
            return self._label(item)

    def _label(self, item: Item) -> Entry:
        begun = self._begin(item)
        with self._draft() as draft:
            entry = self._write(item, draft)
            self._disk.sync(draft)
            self._disk.replace(draft, self._files.part(item.name))
        with self._draft() as draft:
            with self._disk.create(draft) as file:
                file.write(entry.to_bytes())
            self._disk.sync(draft)
            self._disk.replace(draft, self._files.entry(item))
        self._remove(begun)
        return entry

    @contextmanager
    def _draft(self) -> Iterator[PurePath]:
        """The name of a draft, of which nothing is left when the block ends."""
        draft = self._files.draft()
        try:
            yield draft
        finally:
            self._remove([draft])

    def _remove(self, paths: Sequence[PurePath]) -> None:
        for path in paths:
            with suppress(OSError):
                self._disk.remove(path)

    def _begin(self, item: Item) -> list[PurePath]:
        """Count the times that an item is begun: what ends its process, ends it again.

        Engines give an item again for ever whose process died.

        Raises:
            RunError: it has been begun too often.
        """
        begun = [self._files.begun(item, times) for times in range(_TIMES)]
        for times, path in enumerate(begun):
            try:
                self._disk.open(path).close()
            except FileNotFoundError:
                with self._disk.create(draft := self._files.draft()):
                    pass
                self._disk.replace(draft, path)
                return begun[: times + 1]
        raise RunError(
            f"whatever labelled rows {item.first_row + 1} to {item.first_row + item.rows} died, "
            f"{_TIMES} times",
            where=self._settings.names[item.file],
            todo="Look for memory that ran out, and run the same command again",
        )

    def _write(self, item: Item, draft: PurePath) -> Entry:
        summary, written = Summary(), 0
        models = [(group.name, group.rules) for group in self._columns.groups]
        with self._disk.create(draft) as file:
            stream = Hashed(file)
            with writing(
                open_sink(cast(IO[bytes], stream), Format.PARQUET, self._settings.schema)
            ) as sink:
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
