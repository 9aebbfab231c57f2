"""Where the rows of a run go: straight on, or into parts that outlive the run."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

import pyarrow as pa

from labelf_cli.errors import OutputError, RunError
from labelf_cli.formats import Format
from labelf_cli.journal import Entry, Fingerprint, Journal
from labelf_cli.sinks.files import Output, is_device, open_output
from labelf_cli.sinks.open import open_sink
from labelf_cli.sinks.parquet_folder import ParquetFolder
from labelf_cli.sinks.part import Part
from labelf_cli.sinks.partitioned import PartitionedFolder, require_partitions, without
from labelf_cli.sinks.whole import Folder, OneFile, Whole
from labelf_cli.storage.interface import Storage
from labelf_cli.storage.location import Location
from labelf_cli.summary import Summary

PART_ROWS = 1 << 20

NOTHING = Summary()


class Table(NamedTuple):
    """What is to be written.

    Attributes:
        path: of the file or the folder; None for stdout.
        format: of the file.
        schema: of the rows.
        part_rows: of a folder, rows of each file but the last.
        has_gaps: whether some of the input's rows are for others, as of a shard.
        partition_by: of a folder, columns that the names of folders in it tell.
    """

    path: Path | Location | None
    format: Format
    schema: pa.Schema
    part_rows: int = PART_ROWS
    has_gaps: bool = False
    partition_by: tuple[str, ...] = ()


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
    disk: Storage
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
    folder: PurePath | None = None
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
    def publish(self, rest: Summary = NOTHING, seal: Seal = unsealed) -> None:
        """All is written: let it be seen, then seal it.

        A run that ends before the seal is set goes on from there when it is given again.

        Args:
            rest: what is known of the run beside what ``write`` was told.
            seal: what is to be done then.
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

    def publish(self, rest: Summary = NOTHING, seal: Seal = unsealed) -> None:  # noqa: ARG002
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
    """A table whose parts lie in a work folder beside it, and are put together at the end."""

    def __init__(self, journal: Journal, whole: Whole, durable: Durable, *, has_gaps: bool) -> None:
        """Go on with a journal that was resumed.

        Args:
            journal: of the parts.
            whole: what becomes of them.
            durable: how they outlive the run.
            has_gaps: whether some of the input's rows are for others.
        """
        self._has_gaps = has_gaps
        self._journal, self._whole = journal, whole
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

    def publish(self, rest: Summary = NOTHING, seal: Seal = unsealed) -> None:
        """See ``Destination.publish``."""
        self._close_part()
        told = sum((entry.summary for entry in self._journal.entries), rest)
        self._whole.publish(self._batches(), told)
        seal()
        self._is_open = False
        self._journal.end()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of all parts in order."""
        end = 0
        for entry in sorted(self._journal.entries, key=lambda entry: entry.first_row):
            written = 0
            with self._disk.open(self._journal.part(entry)) as part:
                for batch in pa.ipc.open_stream(part):
                    yield batch
                    written += batch.num_rows
            begins = max(end, entry.first_row) if self._has_gaps else end
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
    """Where the rows go: a file or a folder, what is neither as it is, or stdout for None.

    Raises:
        OutputError: it can't be written to, another run is at work on it, what is left of an
            earlier one has another fingerprint, or a folder holds what is not of this run.
    """
    if table.path is None:
        return Straight(open_output(None), table)
    place = Location.of(table.path)
    if place.uri is None and not place.is_folder:
        if is_device(place.local):
            return Straight(open_output(place.local), table)
        if place.local.is_dir():
            raise OutputError("a folder", where=place, todo="Name a file with -o")
    try:
        return _journalled(place, table, durable)
    except OSError as error:
        raise OutputError(
            f"can't be written ({error.strerror})", where=place, todo="Choose another -o"
        ) from None


def _journalled(place: Location, table: Table, durable: Durable) -> Journalled:
    require_partitions(table.schema, table.partition_by)
    journal = Journal(place.path, durable.disk)
    try:
        whole = _resumed(place, table, durable, journal)
    except BaseException:
        journal.leave()
        raise
    return Journalled(journal, whole, durable, has_gaps=table.has_gaps)


def _resumed(place: Location, table: Table, durable: Durable, journal: Journal) -> Whole:
    """Go on with what the same run has left; what becomes of its parts."""
    if not place.is_folder:
        journal.resume(durable.fingerprint, restart=durable.restart)
        return OneFile(place.path, table.format, table.schema, durable.disk, journal.folder)
    its = ParquetFolder(place.path, durable.disk, journal)
    its.resume(durable.fingerprint, restart=durable.restart)
    folder = Folder(its, without(table.schema, table.partition_by), table.part_rows)
    return PartitionedFolder(folder, table.partition_by) if table.partition_by else folder
