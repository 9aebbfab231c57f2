"""A folder of Parquet files that is partitioned: folders ``key=value`` say values of columns."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from labelf_cli.chunk import recut
from labelf_cli.errors import OutputError, RunError, did_you_mean
from labelf_cli.sinks.whole import Folder, Whole
from labelf_cli.storage.interface import DRAFT
from labelf_cli.storage.names import NO_VALUE
from labelf_cli.summary import Summary

_ROWS, _BYTES = 1 << 16, 32 << 20
"""So much is shared out at a time."""

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")

_ESCAPED = re.compile(r"[\x00-\x1f\x7f\"#%'*/:=?\\{\[\]^]")
"""As Spark has it: ``ExternalCatalogUtils.charToEscape``."""


@dataclass(frozen=True)
class PartitionedFolder(Whole):
    """Parquet files in the folders of their partitions; the rows of each are in their order.

    They are shared out to files on this machine's disk first, one of which is open at a time, so
    that memory grows neither with the rows nor with the partitions.

    Attributes:
        folder: of the partitions; its files lack the columns that these tell.
        columns: which those are.
    """

    folder: Folder
    columns: tuple[str, ...]

    def publish(self, batches: Iterable[pa.RecordBatch], summary: Summary) -> None:
        """See ``Whole.publish``."""
        its = self.folder.folder
        its.begin()
        shares, rows = self._share_out(batches)
        written = []
        for below, share in sorted(shares.items()):
            its.make(below)
            written += self.folder.write(_read(share), f"{below}/")
            share.unlink()
        if sum(part.rows for part in written) != rows:  # law 2
            raise RunError(
                f"{rows} rows were shared out, but not all written", where=its.disk.shown(its.path)
            )
        its.succeed(written or self.folder.write_no_row(), summary)

    def _share_out(self, batches: Iterable[pa.RecordBatch]) -> tuple[dict[str, Path], int]:
        """The rows of each partition, in a file each, by its folder; and how many in all."""
        scratch = self.folder.folder.journal.scratch
        for left in scratch.glob(f"{DRAFT}partition-*"):  # by a run that ended here
            left.unlink()
        shares: dict[str, Path] = {}
        count = 0
        for batch in recut(batches, _ROWS, _BYTES):
            count += batch.num_rows
            for below, rows in split(batch, self.columns):
                share = shares.setdefault(below, scratch / f"{DRAFT}partition-{len(shares)}")
                with (
                    share.open("ab") as file,
                    pa.ipc.new_stream(file, rows.schema, options=_COMPRESSED) as stream,
                ):
                    stream.write_batch(rows)
        return shares, count


def require_partitions(schema: pa.Schema, columns: Sequence[str]) -> None:
    """Refuse to partition by what can't be.

    Raises:
        OutputError: there is no such column, or its values can't name a folder.
    """
    for column in columns:
        if column not in schema.names:
            raise OutputError(
                f"no column '{column}'",
                where="--partition-by",
                todo=did_you_mean(column, schema.names),
            )
        if columns.count(column) > 1:
            raise OutputError(f"'{column}' twice", where="--partition-by", todo="Name it once")
        kind = schema.field(column).type
        if not _names_folders(kind):
            raise OutputError(
                f"'{column}' is {kind}, which can't name folders",
                where="--partition-by",
                todo="Choose a column of text, whole numbers, dates or truth values",
            )


def without(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    """The schema of the files, whose folders tell some columns."""
    left = [field for field in schema if field.name not in columns]
    return pa.schema(left, metadata=schema.metadata)


def _names_folders(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer)
    return any(test(kind) for test in (*tests, pa.types.is_date, pa.types.is_boolean))


def split(batch: pa.RecordBatch, columns: Sequence[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Share rows out to partitions.

    Returns:
        The folder of each partition, and its rows without the columns that this tells.
    """
    names: list[list[str]] = []
    codes = np.zeros((len(columns), batch.num_rows), np.int64)
    places = np.zeros(batch.num_rows, np.int64)
    for at, column in enumerate(columns):
        encoded = batch.column(column).cast(pa.string()).dictionary_encode("encode")
        values = encoded.dictionary.to_pylist()
        names.append([f"{_escaped(column)}={_value(value)}" for value in values])
        codes[at] = encoded.indices.to_numpy()
        _, places = np.unique(places * len(values) + codes[at], return_inverse=True)
    rows = batch.drop_columns(list(columns))
    order = np.argsort(places, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(places[order])) + 1):
        below = "/".join(names[at][code] for at, code in enumerate(codes[:, own[0]]))
        yield below, rows.take(pa.array(own))


def _value(value: str | None) -> str:
    return _escaped(value) if value else NO_VALUE


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _read(share: Path) -> Iterator[pa.RecordBatch]:
    """The rows of streams that were written one after the other."""
    size = share.stat().st_size
    with share.open("rb") as file:
        while file.tell() < size:
            yield from pa.ipc.open_stream(file)
