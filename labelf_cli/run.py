"""One run: a table is read, every text goes through every model, and the table is written."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from labelf_cli import fingerprint
from labelf_cli.chunk import Chunk, Recutter
from labelf_cli.columns import ColumnGroup, Columns
from labelf_cli.config import Config
from labelf_cli.disk import Disk
from labelf_cli.errors import OutputError, RunError, WriteError
from labelf_cli.formats import Format, Layout, format_of
from labelf_cli.labeller import Labeller
from labelf_cli.sinks.destination import Durable, Table, open_destination
from labelf_cli.sources.files import STDIN
from labelf_cli.sources.interface import ReadOptions, Source
from labelf_cli.sources.table import Inputs, input_format
from labelf_cli.spent import Spent
from labelf_cli.summary import Summary

CHUNK_ROWS = 4096
CHUNK_BYTES = 4 << 20
_LEAST_ROWS, _CHUNK_SECONDS = 32, 1.0
"""A chunk is meant to take about a second, so that no more is lost when the run dies."""


@dataclass(frozen=True)
class RunSettings:
    """All that decides a run.

    Attributes:
        config: the models.
        inputs: files, globs or ``-``.
        output: a file, None for stdout.
        text_columns: what is classified; empty for what the config says.
        input_format, output_format: None for what the names say.
        delimiter: of CSV inputs; None for the format's own.
        encoding: of text inputs.
        header: whether the first record of a CSV input names its columns.
        layout, separator: of the output's columns.
        threads: size of the pool.
        chunk_rows: most rows that are classified together.
        limit: stop after this many rows; None for all.
        cache: file that keeps logits across runs; None for none.
        restart: whether to throw away what an earlier run with other settings has left.
        part_seconds: about how much work a crash may cost.
    """

    config: Config
    inputs: tuple[str, ...]
    threads: int
    output: Path | None = None
    text_columns: tuple[str, ...] = ()
    input_format: Format | None = None
    output_format: Format | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    header: bool = True
    layout: Layout = Layout.WIDE
    separator: str = "."
    chunk_rows: int = CHUNK_ROWS
    limit: int | None = None
    cache: Path | None = None
    restart: bool = False
    part_seconds: float = 1.0


@dataclass(frozen=True)
class Progress:
    """Where a run stands: rows that are written, and how many there may be in all."""

    rows: int
    expected: int | None


def run(
    settings: RunSettings, progress: Callable[[Progress], None], disk: Disk | None = None
) -> Summary:
    """Classify the inputs and write the output, going on from where an earlier run ended.

    Args:
        settings: all that decides the run.
        progress: told after each chunk.
        disk: what the output and its work folder stand on; the file system for None.

    Raises:
        UsageError: something can't be used; no text was classified.
        RunError: something broke on the way; the output is as it was before.
    """
    began = time.monotonic()
    source, names, format_ = _open_source(settings)
    with Labeller.open(settings.config, settings.threads, settings.cache) as labeller:
        groups = tuple(ColumnGroup(model.name, model.rules) for model in labeller.models)
        columns = Columns(groups, settings.layout, settings.separator)
        try:
            schema = columns.schema(source.schema, source.names)
            durable = Durable(
                _fingerprint(settings, names, labeller),
                settings.restart,
                disk or Disk(),
                settings.part_seconds,
            )
            with open_destination(Table(settings.output, format_, schema), durable) as destination:
                labeller.load()
                rows = _Rows(source, settings.limit, destination.done, settings.chunk_rows)
                summary = destination.summary + Summary(loading=time.monotonic() - began)
                for chunk, answers in labeller.label(rows.chunks()):
                    started = time.thread_time()
                    batch = columns.build(chunk.first_row, chunk.rows, answers)
                    its = Summary.of(answers, [(group.name, group.rules) for group in groups])
                    destination.write(chunk.positions, batch, its)
                    wrote = Spent(writing=time.thread_time() - started)
                    summary += its + Summary(spent=wrote)
                    rows.answered(chunk)
                    progress(Progress(summary.rows, rows.expected))
                if summary.rows != rows.count:  # law 2
                    raise RunError(f"{rows.count} rows were read but {summary.rows} written")
                destination.publish()
        except BrokenPipeError:
            raise
        except OSError as error:  # the sources name their own
            raise WriteError(
                f"can't be written ({error.strerror or error})",
                where=settings.output or "stdout",
                todo="Mend that and run the same command again",
            ) from error
    return summary + Summary(seconds=time.monotonic() - began, spent=Spent(reading=rows.seconds))


def _open_source(settings: RunSettings) -> tuple[Source, list[str], Format]:
    """The inputs as one table, their names, and the format of the output."""
    names, format_ = input_format(settings.inputs, settings.input_format)
    suffix = None if settings.output is None else format_of(settings.output.name)
    output_format = settings.output_format or suffix or format_
    if output_format is Format.PARQUET and settings.output is None and sys.stdout.isatty():
        raise OutputError("Parquet is not for a terminal", todo="Name a file with -o")
    options = ReadOptions(
        text_columns=settings.text_columns or settings.config.input.text_column,
        output_format=output_format,
        delimiter=settings.delimiter,
        encoding=settings.encoding,
        header=settings.header,
    )
    return Inputs(names, format_, options), names, output_format


def _fingerprint(settings: RunSettings, names: list[str], labeller: Labeller) -> dict[str, Any]:
    """All that decides the bytes of the output."""
    if STDIN in names or settings.output is None:
        return {}  # nothing is gone on with
    return {
        "versions": fingerprint.of_versions(),
        "inputs": [fingerprint.of_input(name) for name in names],
        "models": fingerprint.of_models(labeller.models, labeller.digests),
        "text columns": settings.text_columns or settings.config.input.text_column,
        "input format": settings.input_format,
        "output format": settings.output_format,
        "delimiter": settings.delimiter,
        "encoding": settings.encoding,
        "header": settings.header,
        "layout": settings.layout,
        "separator": settings.separator,
        "limit": settings.limit,
    }


class _Rows:
    """The rows on their way in: counted, limited, those that are done left out, cut into chunks.

    Attributes:
        count: rows that were read.
        seconds: processor time that reading them took.
    """

    def __init__(
        self, source: Source, limit: int | None, done: tuple[range, ...], max_rows: int
    ) -> None:
        self._source, self._limit = source, limit
        self._done, self._max_rows = done, max_rows
        self._cutter = Recutter(min(2 * _LEAST_ROWS, max_rows), CHUNK_BYTES)
        self._chunks = 0
        self._answered = time.monotonic()
        self.count = 0
        self.seconds = 0.0

    def chunks(self) -> Iterator[Chunk]:
        """The rows that are not done, in chunks of consecutive ones."""
        began = time.thread_time()
        for first_row, batch in self._cut():
            self.seconds += time.thread_time() - began
            yield Chunk(self._chunks, first_row, batch)
            self._chunks += 1
            began = time.thread_time()

    def _cut(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        first_row = end = 0
        for start, batch in self._missing():
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

    def _missing(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """What is not done of each batch, with the position of its first row."""
        for batch in self._batches():
            start, end = self.count - batch.num_rows, self.count
            begin = start
            for rows in self._done:
                if rows.stop > start and rows.start < end:
                    if begin < rows.start:
                        yield begin, batch.slice(begin - start, rows.start - begin)
                    begin = rows.stop
            if begin < end:
                yield begin, batch.slice(begin - start)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source.batches():
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
        """How many rows there may be in all, judged by what was read so far."""
        size, position = self._source.size, self._source.position
        if not (size and position):
            return self._limit
        expected = round(self.count * size / position)
        return expected if self._limit is None else min(expected, self._limit)
