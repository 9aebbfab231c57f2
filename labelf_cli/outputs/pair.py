"""Two outputs of ``labelf classify`` in the wide layout, side by side: whose rows are the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.chunk import TEXT
from labelf_cli.errors import InputError
from labelf_cli.formats import Format
from labelf_cli.gold import several_labels
from labelf_cli.outputs.wide import WideColumns, score_numbers
from labelf_cli.sources.files import STDIN
from labelf_cli.sources.interface import ReadOptions, require_columns
from labelf_cli.sources.rejects import FailOnBadRows
from labelf_cli.sources.table import Inputs, input_format

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Output:
    """One output; it is read from its beginning as often as it is asked.

    Attributes:
        name: of the file.
        columns: names.
    """

    def __init__(self, name: str, format_: Format | None, text_column: str | None) -> None:
        """Open it.

        Raises:
            InputError: it can't be read, or has no such text column.
        """
        if name == STDIN:
            raise InputError("is read twice, which stdin can't be", where=name, todo="Name a file")
        names, its_format = input_format([name], format_)
        texts = () if text_column is None else (text_column,)
        self._options, self._format = ReadOptions(texts, Format.CSV), its_format
        self._names, self.name = names, name
        self.columns = self._open().names

    def _open(self) -> Inputs:
        return Inputs(self._names, self._format, self._options)

    def read(self, keys: Sequence[str], models: Sequence[WideColumns]) -> pa.Table:
        """Keys and answers of all rows, the latter in little memory (see ``WideColumns.packed``).

        Raises:
            BadRowError: a row can't be read.
            InputError: a score is no number.
        """

        def packed(batch: pa.RecordBatch) -> pa.RecordBatch:
            columns = {name: batch.column(name) for name in keys}
            for its in models:
                columns |= its.packed(batch)
            return pa.record_batch(columns)

        source = self._open()
        no_rows = pa.RecordBatch.from_pylist([], source.schema)
        batches = chain([no_rows], source.batches(FailOnBadRows(or_else="")))
        return pa.Table.from_batches(map(packed, batches))

    def texts(self, rows: Ints) -> dict[int, str | None]:
        """The text of some rows, by their positions."""
        found: dict[int, str | None] = {}
        begin = 0
        for batch in self._open().batches(FailOnBadRows(or_else="")):
            here = rows[(rows >= begin) & (rows < begin + batch.num_rows)]
            texts = batch.column(TEXT).take(pa.array(here - begin)).to_pylist()
            found.update(zip(here.tolist(), texts, strict=True))
            begin += batch.num_rows
        return found


@dataclass(frozen=True)
class Pairs:
    """Which rows belong together, by their positions.

    Attributes:
        before, after: of the rows in both, in the order of the second output, [pairs] int64.
        only_before, only_after: of the others, in order.
    """

    before: Ints
    after: Ints
    only_before: Ints
    only_after: Ints


def by_position(before: tuple[str, int], after: tuple[str, int]) -> Pairs:
    """The n-th row of one and the n-th of the other.

    Args:
        before: name of an output, and how many rows it has.
        after: the other one, likewise.

    Raises:
        InputError: one has more rows.
    """
    if before[1] != after[1]:
        raise InputError(
            f"{after[1]:,} rows, but {before[0]} has {before[1]:,}",
            where=after[0],
            todo="Name a column that tells which belong together with --key",
        )
    rows, none = np.arange(before[1]), np.empty(0, np.int64)
    return Pairs(rows, rows, none, none)


def by_key(before: tuple[str, pa.Table], after: tuple[str, pa.Table]) -> Pairs:
    """Rows with the same key.

    Args:
        before: name of an output, and its key columns.
        after: the other one, likewise.

    Raises:
        InputError: a key is null, or stands twice.
    """
    sides = [_numbered(*side, number) for side, number in ((before, "b"), (after, "a"))]
    joined = sides[0].join(sides[1], before[1].column_names, join_type="full outer")
    rows = [pc.fill_null(joined[number], -1).to_numpy() for number in ("b", "a")]
    in_both = (rows[0] >= 0) & (rows[1] >= 0)
    order = np.flatnonzero(in_both)[np.argsort(rows[1][in_both])]
    return Pairs(
        rows[0][order],
        rows[1][order],
        np.sort(rows[0][rows[1] < 0]),
        np.sort(rows[1][rows[0] < 0]),
    )


def _numbered(name: str, keys: pa.Table, number: str) -> pa.Table:
    """Keys as text, with the positions of their rows.

    Raises:
        InputError: a key is null, or stands twice.
    """
    names = keys.column_names
    text = pa.table({column: keys[column].cast(pa.string()) for column in names})
    shown = ", ".join(names)
    if any(text[column].null_count for column in names):
        raise InputError(f"a row has no value in {shown}", where=name, todo="Name another --key")
    counts = text.group_by(names).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1))
    if len(twice):
        values = ", ".join(str(twice[column][0]) for column in names)
        raise InputError(
            f"{len(twice):,} keys stand more than once, such as {values}",
            where=f"{name}, {shown}",
            todo="Name more columns with --key",
        )
    return text.append_column(number, pa.array(np.arange(len(keys))))


@dataclass(frozen=True)
class Answers:
    """What both outputs say of the rows that stand in both.

    Attributes:
        names: of labels; where several may hold, of sets of them.
        before, after: positions among them, -1 for no label, [pairs] int64.
        scored: the labels whose scores stand in both; None for the score of the best one.
        scores_before, scores_after: [pairs × scored] float32, NaN where there is none.
    """

    names: list[str]
    before: Ints
    after: Ints
    scored: tuple[str | None, ...]
    scores_before: Floats
    scores_after: Floats


NO_LABEL = ""
"""The name of a set of no labels."""


def answers(
    sides: tuple[pa.Table, pa.Table], columns: tuple[WideColumns, WideColumns], pairs: Pairs
) -> Answers:
    """Lay the answers of one model side by side.

    Args:
        sides: both outputs, with the columns of the model.
        columns: their names.
        pairs: which rows belong together.
    """
    several = all(its.labels is not None for its in columns)
    labels = [_labels(side, its, several) for side, its in zip(sides, columns, strict=True)]
    codes = pa.chunked_array([*labels[0].chunks, *labels[1].chunks], pa.string())
    encoded = codes.combine_chunks().dictionary_encode()
    places = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    scored = _scored(*columns)
    first, second = (
        _scores(side, its, scored)[rows]
        for side, its, rows in zip(sides, columns, (pairs.before, pairs.after), strict=True)
    )
    return Answers(
        encoded.dictionary.to_pylist(),
        places[: len(sides[0])][pairs.before],
        places[len(sides[0]) :][pairs.after],
        scored,
        first,
        second,
    )


def _labels(side: pa.Table, columns: WideColumns, several: bool) -> pa.ChunkedArray:
    """The label of each row; of several, their sorted names."""
    if not several or columns.labels is None:
        return side[columns.label].cast(pa.string())
    rows = several_labels(side[columns.labels])
    names = [None if row is None else "; ".join(sorted(row)) or NO_LABEL for row in rows]
    return pa.chunked_array([pa.array(names, pa.string())])


def _scored(before: WideColumns, after: WideColumns) -> tuple[str | None, ...]:
    both = tuple(label for label in before.scores if label in after.scores)
    return both or (None,)


def _scores(side: pa.Table, columns: WideColumns, scored: Sequence[str | None]) -> Floats:
    found = np.empty((len(side), len(scored)), np.float32)
    for place, label in enumerate(scored):
        column = columns.score if label is None else columns.scores[label]
        assert column is not None  # a model has a score
        found[:, place] = score_numbers(side[column], column)
    return found


def require_keys(output: Output, keys: Sequence[str]) -> None:
    """Refuse an output that lacks a key column.

    Raises:
        InputError: it names the columns that there are.
    """
    require_columns(output.columns, keys, output.name, "--key")


def cells(table: pa.Table, rows: Ints) -> Iterator[tuple[str, ...]]:
    """Some rows as text; nothing of a table without columns."""
    if not table.num_columns:
        yield from [()] * len(rows)
        return
    taken = table.take(pa.array(rows))
    columns = [column.cast(pa.string()).to_pylist() for column in taken.columns]
    yield from zip(*columns, strict=True)
