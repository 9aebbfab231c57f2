"""One run: a table is read, every text goes through every model, and the table is written."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Any, NamedTuple

import pyarrow as pa

from labelf_cli import fingerprint
from labelf_cli.chunk import Chunk
from labelf_cli.columns import ColumnGroup, Columns
from labelf_cli.errors import OutputError, RunError, write_errors
from labelf_cli.formats import Format
from labelf_cli.labeller import Labeller
from labelf_cli.manifest import MANIFEST_SUFFIX, Digest, Manifest, Rejected, of_run, stretches_of
from labelf_cli.predictions import Answers
from labelf_cli.rows import ALL_ROWS, Rows
from labelf_cli.run_settings import (
    RunSettings,
    check_files,
    check_settings,
    format_written,
)
from labelf_cli.sinks.destination import (
    Destination,
    Durable,
    Table,
    open_destination,
)
from labelf_cli.sinks.files import open_rejects, remove_output
from labelf_cli.sources.files import STDIN
from labelf_cli.sources.interface import ReadOptions, Source
from labelf_cli.sources.rejects import (
    BadRowPolicy,
    BadRows,
    FailOnBadRows,
    RejectBadRows,
)
from labelf_cli.sources.shard_rejects import RejectInShard
from labelf_cli.sources.table import Inputs, input_format
from labelf_cli.spent import Spent
from labelf_cli.storage.interface import Storage
from labelf_cli.storage.local import Disk
from labelf_cli.summary import Summary
from labelf_cli.units import ShardRows, Share


@dataclass(frozen=True)
class Progress:
    """Where a run stands: rows that are written, and how many there may be in all."""

    rows: int
    expected: int | None


def run(
    settings: RunSettings, progress: Callable[[Progress], None], disk: Storage | None = None
) -> Summary:
    """Classify the inputs and write the output, going on from where an earlier run ended.

    Args:
        settings: all that decides the run.
        progress: told after each chunk.
        disk: what the output and its work folder stand on; what its name says for None.

    Raises:
        UsageError: something can't be used; no text was classified.
        RunError: something broke on the way; the output is as it was before.
    """
    began = time.monotonic()
    check_settings(settings)
    source, names, format_ = _open_source(settings)
    check_files(settings, names)
    with Labeller.open(
        settings.config, settings.threads, settings.cache, settings.max_requests
    ) as labeller:
        groups = tuple(ColumnGroup(model.name, model.rules) for model in labeller.models)
        columns = Columns(groups, settings.layout, settings.separator)
        table = _table(settings, format_, columns.schema(source.schema, source.names))
        disk = disk or (Disk() if settings.place is None else settings.place.open())
        durable = _durable(settings, names, labeller, disk)
        with (
            write_errors(settings.place or "stdout"),
            closing(open_destination(table, durable)) as destination,
        ):
            if destination.answers is not None:
                labeller.keep_what_services_say(destination.answers)
            labeller.load()
            share = ALL_ROWS if settings.shard is None else ShardRows(settings.shard)
            rows = Rows(source, settings.limit, destination.done, settings.chunk_rows, share)
            loading = Summary(loading=time.monotonic() - began)
            summary = destination.summary + loading
            with _bad_rows(settings, destination.folder, disk, share) as bad_rows:
                for chunk, answers in labeller.label(rows.chunks(bad_rows)):
                    summary += _write(chunk, answers, columns, destination)
                    rows.answered(chunk)
                    progress(Progress(summary.rows, rows.expected))
                if summary.rows != rows.own:  # law 2
                    raise RunError(f"{rows.own} rows were read but {summary.rows} written")
                bad_rows.finish(rows.count)
            labeller.close()  # before the folder goes where it may keep answers
            done = _Done(began, rows, bad_rows, summary)
            seal = partial(_tell_of_shard, settings, table, durable, destination, done)
            destination.publish(loading + done.took, seal)
    return done.summary


class _Done(NamedTuple):
    """What a run has done, once all is written."""

    began: float
    rows: Rows
    bad_rows: BadRows
    counted: Summary

    @property
    def took(self) -> Summary:
        """What it took beside what the answers cost, up to now."""
        return Summary(
            seconds=time.monotonic() - self.began,
            rejected=self.bad_rows.told,
            spent=Spent(reading=self.rows.seconds),
        )

    @property
    def summary(self) -> Summary:
        """What happened, up to now."""
        return self.counted + self.took


def _tell_of_shard(
    settings: RunSettings, table: Table, durable: Durable, destination: Destination, done: _Done
) -> None:
    """Put a manifest beside the output of a shard."""
    if settings.shard is None or settings.place is None:
        return
    place, disk, bad_rows, rejected = settings.place, durable.disk, done.bad_rows, None
    if isinstance(bad_rows, RejectInShard):
        rejects, by_unit = settings.rejects_file, bad_rows.by_unit
        rejected = Rejected.of(rejects, place, disk, by_unit, bad_rows.count)
    with disk.open(place.path) as file:
        output = Digest.of(file)
    manifest = Manifest(
        settings.shard,
        of_run(durable.fingerprint),
        table.format,
        table.schema,
        stretches_of(destination.entries),
        done.rows.count,
        output,
        rejected,
        done.summary,
    )
    disk.write_whole(place.suffixed(MANIFEST_SUFFIX).path, manifest.to_bytes())


def _table(settings: RunSettings, format_: Format, schema: pa.Schema) -> Table:
    """What is to be written."""
    has_gaps = settings.shard is not None
    part_rows, partition_by = settings.part_rows, settings.partition_by
    return Table(settings.place, format_, schema, part_rows, has_gaps, partition_by)


def _write(chunk: Chunk, answers: Answers, columns: Columns, destination: Destination) -> Summary:
    """Write the answers to a chunk, and count them."""
    began = time.thread_time()
    batch = columns.build(chunk.first_row, chunk.rows, answers)
    summary = Summary.of(answers, [(group.name, group.rules) for group in columns.groups])
    destination.write(chunk.positions, batch, summary)
    return summary + Summary(spent=Spent(writing=time.thread_time() - began))


@contextmanager
def _bad_rows(
    settings: RunSettings, folder: PurePath | None, disk: Storage, share: Share
) -> Iterator[BadRows]:
    """What becomes of bad rows; the file of rejected ones appears when the block has ended well.

    Without any there is none, not even that of an earlier run. Until then it lies in the work
    folder, if there is one beside it.
    """
    if settings.bad_rows is BadRowPolicy.FAIL:
        yield FailOnBadRows()
        return
    place = settings.rejects_file
    is_near = place.is_on_disk_of(settings.place)
    store = disk if is_near else place.open("--rejects")
    output = open_rejects(place, store, folder if is_near else None)
    try:
        bad_rows = RejectBadRows(output.stream, settings.max_rejects)
        if isinstance(share, ShardRows):
            bad_rows = RejectInShard(output.stream, settings.max_rejects, share)
        yield bad_rows
        with write_errors(place):
            if bad_rows.told:
                output.publish()
            else:
                remove_output(place, store)
    finally:
        output.discard()


def _open_source(settings: RunSettings) -> tuple[Source, list[str], Format]:
    """The inputs as one table, their names, and the format of the output."""
    names, format_ = input_format(settings.inputs, settings.input_format)
    output_format = format_written(settings) or format_
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


def _durable(settings: RunSettings, names: list[str], labeller: Labeller, disk: Storage) -> Durable:
    """How the run is gone on with, and all that decides the bytes of its output."""
    decides: dict[str, Any] = {}
    place = settings.place
    if STDIN not in names and place is not None:
        decides = fingerprint.of_run(settings, names, labeller) | {
            "output format": settings.output_format,
            "limit": settings.limit,
            "rows of a file": settings.part_rows if place.is_folder else None,
            "partitions": settings.partition_by,
        }
        if settings.shard is not None:
            decides["shard"] = str(settings.shard)
    return Durable(decides, settings.restart, disk, settings.part_seconds)
