"""Work items: a range of one input's rows each, and all that it takes to label one."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from labelf_cli.chunk import Chunk
from labelf_cli.columns import ColumnGroup, Columns
from labelf_cli.config import Config
from labelf_cli.errors import InputError
from labelf_cli.formats import Format, Layout
from labelf_cli.labeller import Labeller
from labelf_cli.sources.interface import ReadOptions, Source
from labelf_cli.sources.table import open_input
from labelf_cli.storage.location import Location, marked_part_name
from labelf_cli.storage.names import InputName

ROW = ("labelf", "row")
"""Parts of the name of the column that tells where a row stands in the inputs, from 1."""

PLAN = "plan.json"
_REJECTS = "rejects-"


class Item(NamedTuple):
    """Consecutive rows of one input.

    Attributes:
        number: of the item, from 0, in the order of the rows.
        file: number of the input.
        start: position of the first row among the good ones of the input.
        rows: how many there are.
        first_row: position of the first among the good rows of all inputs.
        bookmark: from where the input is read, see ``Source.bookmark``.
        before: position of the row there among the good ones of the input.
    """

    number: int
    file: int
    start: int
    rows: int
    first_row: int
    bookmark: int | None = None
    before: int = 0

    @property
    def name(self) -> str:
        """Of its files, in part; the name of its entry in the journal."""
        return f"{self.first_row:012}"


@dataclass(frozen=True)
class ItemFiles:
    """Where the files of a run in items stand, on the disk that all workers have or in a store.

        out/part-000000000000-1f2e3d4c.parquet  the answers to an item
        out/_SUCCESS                            the manifest, last of all
        out.labelf/                             the journal, see ``labelf_cli.journal``, and:
        out.labelf/plan.json                    all items
        out.labelf/rejects-00000.jsonl          bad rows of an input
        out.labelf/000000000000.begun-0         an item that has been begun

    Attributes:
        place: the folder, absolute.
        mark: of the run. What a worker of a run that was thrown away still writes is told by it.
    """

    place: Location
    mark: str

    @property
    def folder(self) -> PurePath:
        """Of the parts."""
        return self.place.path

    @property
    def work(self) -> PurePath:
        """The journal's folder."""
        return self.folder.with_name(f"{self.folder.name}.labelf")

    def part(self, name: str) -> PurePath:
        """The answers to the item of that name."""
        return self.folder / marked_part_name(int(name), self.mark)

    def entry(self, item: Item) -> PurePath:
        """What tells that an item is done."""
        return self.work / f"{item.name}.json"

    def begun(self, item: Item, times: int) -> PurePath:
        """What tells that an item has been begun for so many times."""
        return self.work / f"{item.name}.begun-{times}"

    def rejects(self, file: int) -> PurePath:
        """The bad rows of one input."""
        return self.work / f"{_REJECTS}{file:05}.jsonl"

    def draft(self) -> PurePath:
        """A file that nobody else writes."""
        return self.work / f"{uuid.uuid4().hex}.tmp"

    @staticmethod
    def is_of_the_plan(name: str) -> bool:
        """Whether a file of the journal's folder is the plan, or was found when that was made."""
        return name == PLAN or name.startswith(_REJECTS)


@dataclass(frozen=True)
class ItemSettings:
    """All that whoever labels items has to know; plain values, so that it can be sent.

    Attributes:
        config: the models.
        names: of the inputs, absolute.
        format: of the inputs.
        options: how they are read.
        inferred: see ``Inputs.inferred``.
        schema: of the output.
        layout, separator: of the columns.
        threads: size of the pool.
        files: where the answers go.
    """

    config: Config
    names: tuple[InputName, ...]
    format: Format
    options: ReadOptions
    inferred: pa.Schema | None
    schema: pa.Schema
    layout: Layout
    separator: str
    threads: int
    files: ItemFiles

    def open_input(self, file: int) -> Source:
        """One of the inputs."""
        return open_input(self.names[file], self.format, self.options, self.inferred)

    def columns(self, labeller: Labeller) -> "NumberedColumns":
        """How answers become columns."""
        return numbered_columns(labeller, self.layout, self.separator)


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


def numbered_columns(labeller: Labeller, layout: Layout, separator: str) -> NumberedColumns:
    """The columns of a labeller's models."""
    groups = tuple(ColumnGroup(model.name, model.rules) for model in labeller.models)
    return NumberedColumns(groups, layout, separator)
