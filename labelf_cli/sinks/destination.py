"""Where the rows of a run go: straight on, or into parts that outlive the run."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa

from labelf_cli.disk import Disk
from labelf_cli.errors import OutputError, RunError
from labelf_cli.formats import Format
from labelf_cli.journal import Entry, Fingerprint, Journal
from labelf_cli.sinks.files import FileOutput, Output, is_device, open_output
from labelf_cli.sinks.open import open_sink, writing
from labelf_cli.sinks.part import Part
from labelf_cli.summary import Summary

_log = logging.getLogger(__name__)


class Table(NamedTuple):
    """What is to be written.

    Attributes:
        path: of the file; None for stdout.
        format: of the file.
        schema: of the rows.
        has_gaps: whether some of the input's rows are for others, as of a shard.
    """

    path: Path | None
    format: Format
    schema: pa.Schema
    has_gaps: bool = False


class Durable(NamedTuple):
    """How what is done outlives the run.

    Attributes:
        fingerprint: all that decides the bytes that are written.
        restart: whether to throw away what a run of another fingerprint has left.
        disk: where the output and its work folder stand.
        part_seconds: a part closes with the first answers that come so long after it was begun.
    """

    fingerprint: Fingerprint
    restart: bool
    disk: Disk
    part_seconds: float


Seal = Callable[[], None]
"""What is to be done once a table has its name, before what it was made of is thrown away."""


def unsealed() -> None:
    """Nothing is to be done."""


class Destination(ABC):
    """A table that is written from its beginning to its end.

    What is not published when it is closed is left so that it can't be taken for a whole table.

    Attributes:
        done: positions of the input's rows that an earlier run has answered, in order.
        summary: what happened to them.
        folder: the work folder; None where there is none.
        answers: where what services say can be kept until it is published; None for nowhere.
        entries: of the parts that are durable.
    """

    done: tuple[range, ...] = ()
    summary = Summary()
    folder: Path | None = None
    answers: Path | None = None
    entries: Sequence[Entry] = ()

    @abstractmethod
    def write(self, rows: range, batch: pa.RecordBatch, summary: Summary) -> None:
        """Take the answers to some rows.

        Args:
            rows: their positions; later than those that came before, and never among ``done``.
            batch: what is written for them.
            summary: what happened to them.
        """

    @abstractmethod
    def publish(self, seal: Seal = unsealed) -> None:
        """All is written: let it be seen, then seal it.

        A run that ends before the seal is set goes on from there when it is given again.
        """

    @abstractmethod
    def close(self) -> None:
        """Keep what can be gone on with; write no more of the rest."""


class Straight(Destination):
    """Stdout, a pipe or a device: what is written can't be taken back, or gone on with."""

    def __init__(self, output: Output, table: Table) -> None:
        self._output, self._is_published = output, False
        self._sink = open_sink(output.stream, table.format, table.schema)

    def write(self, rows: range, batch: pa.RecordBatch, summary: Summary) -> None:  # noqa: ARG002
        """See ``Destination.write``."""
        self._sink.write(batch)

    def publish(self, seal: Seal = unsealed) -> None:
        """See ``Destination.publish``."""
        self._sink.finish()
        self._output.publish()
        seal()
        self._is_published = True

    def close(self) -> None:
        """See ``Destination.close``."""
        if not self._is_published:
            self._sink.abandon()
        self._output.discard()


class Journalled(Destination):
    """A file: parts in a work folder beside it, put together at the end."""

    def __init__(self, journal: Journal, path: Path, table: Table, durable: Durable) -> None:
        """Go on with a journal that was resumed.

        Args:
            journal: of the parts.
            path: of the table, links followed.
            table: what is written.
            durable: how it outlives the run.
        """
        self._journal, self._path, self._table = journal, path, table
        self.folder, self.answers = journal.folder, journal.answers
        self._disk, self._part_seconds = durable.disk, durable.part_seconds
        self._part: Part | None = None
        self._is_open = True
        self.done = journal.done
        self.entries = journal.entries  # which grow
        self.summary = sum((entry.summary for entry in journal.entries), Summary())

    def write(self, rows: range, batch: pa.RecordBatch, summary: Summary) -> None:
        """See ``Destination.write``."""
        if self._part is not None and self._part.end != rows.start:
            self._close_part()
        if self._part is None:
            draft = self._journal.folder / "part.tmp"
            self._part = Part(self._disk.create(draft), draft, rows.start)
        try:
            self._part.write(rows, batch, summary)
        except BaseException:  # a part that can't be written to is none
            self._part.drop()
            self._part = None
            raise
        if self._part.age >= self._part_seconds:
            self._close_part()

    def _close_part(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            entry = part.finish()
            self._disk.sync(part.path)
            self._journal.add(part.path, entry)

    def publish(self, seal: Seal = unsealed) -> None:
        """See ``Destination.publish``."""
        self._close_part()
        whole = FileOutput(self._path, self._disk, draft_in=self.folder)
        try:
            self._write_parts(whole.stream)
            whole.publish()
        except BaseException:
            whole.discard()
            raise
        seal()
        self._is_open = False
        try:
            self._journal.remove()
        except OSError as error:
            _log.warning("%s: can't be removed (%s)", self.folder, error.strerror)

    def _write_parts(self, stream: IO[bytes]) -> None:
        """Put the table together, in one pass and in the memory of a row group."""
        end = 0
        with writing(open_sink(stream, self._table.format, self._table.schema)) as sink:
            for entry in sorted(self._journal.entries, key=lambda entry: entry.first_row):
                written = 0
                with self._disk.open(self._journal.part(entry)) as part:
                    for batch in pa.ipc.open_stream(part):
                        sink.write(batch)
                        written += batch.num_rows
                begins = max(end, entry.first_row) if self._table.has_gaps else end
                if (entry.first_row, entry.written) != (begins, written):  # law 2
                    raise RunError(f"the part of row {end} is not as it was written")
                end = begins + entry.rows

    def close(self) -> None:
        """See ``Destination.close``."""
        if self._is_open:
            self._is_open = False
            try:
                self._close_part()
            finally:
                self._journal.close()


def open_destination(table: Table, durable: Durable) -> Destination:
    """Where the rows go: a file, what is no regular file as it is, or stdout for None.

    Raises:
        OutputError: it can't be written to, another run is at work on it, or what is left of an
            earlier one has another fingerprint.
    """
    path = table.path
    if path is None or is_device(path):
        return Straight(open_output(path), table)
    if path.is_dir():
        raise OutputError("a folder", where=path, todo="Name a file with -o")
    final = path.resolve()
    try:
        journal = Journal(final, durable.disk)
        try:
            journal.resume(durable.fingerprint, restart=durable.restart)
        except BaseException:
            journal.release()
            raise
    except OSError as error:
        raise OutputError(
            f"can't be written ({error.strerror})", where=path, todo="Choose another -o"
        ) from None
    return Journalled(journal, final, table, durable)
