"""An output of ``labelf classify`` in the wide or nested layout, read batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from labelf_cli.chunk import with_text
from labelf_cli.errors import InputError, did_you_mean
from labelf_cli.formats import Format, format_of
from labelf_cli.gold import several_labels
from labelf_cli.outputs.wide import WideColumns, model_names, score_numbers
from labelf_cli.predictions import Floats
from labelf_cli.sources.interface import ReadOptions, Source, require_columns
from labelf_cli.sources.rejects import FailOnBadRows
from labelf_cli.sources.table import Inputs, input_format
from labelf_cli.tallies.codes import NONE, LabelCodes
from labelf_cli.tallies.interface import Ints, RowBatch, Said

TEXT_COLUMN = "text"
"""Shown where no other column is asked for."""


@dataclass(frozen=True)
class OutputTable:
    """Where an output stands, and how it is read.

    Attributes:
        inputs: files, globs or ``-``.
        models: names; empty for all that are there.
        text_columns: whose text is shown; empty for ``TEXT_COLUMN`` if there is one.
        format: None for what the names say.
        separator: between the parts of a column name.
    """

    inputs: tuple[str, ...]
    models: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()
    format: Format | None = None
    separator: str = "."

    def earlier(self, name: str) -> "OutputTable":
        """Another output, whose models and columns need not be the same."""
        format_ = None if format_of(name) else self.format
        return replace(self, inputs=(name,), models=(), text_columns=(), format=format_)

    def open(self) -> "OutputRows":
        """Open it.

        Raises:
            InputError: it can't be read, has no model, or lacks a column.
        """
        names, format_ = input_format(self.inputs, self.format)
        # As towards CSV: every value is text.
        source = Inputs(names, format_, ReadOptions((), Format.CSV))
        return OutputRows(source, names[0], self)


class OutputRows:
    """The rows of an output, read once.

    Attributes:
        name: of its first file.
        columns: names, those of nested models as the wide layout has them.
        models: names.
        codes: of each model's labels.
        text_columns: whose text is shown; empty for none.
        multi_label: of each model, whether several labels may hold.
        has_all_scores: of each model, whether the scores of all labels are there.
    """

    def __init__(self, source: Source, name: str, table: OutputTable) -> None:
        """Find the models in a table.

        Raises:
            InputError: there is none, or not that one, or a text column is absent.
        """
        self._source, self._separator, self.name = source, table.separator, name
        require_columns(source.names, table.text_columns, name)
        self.columns = _wide_names(source.schema, table.separator)
        self.text_columns = table.text_columns
        if not self.text_columns and TEXT_COLUMN in source.names:
            self.text_columns = (TEXT_COLUMN,)
        for column in self.text_columns:
            kind = source.schema.field(column).type
            if pa.types.is_nested(kind):
                raise InputError(f"column '{column}' is {kind}, not text", where=name)
        self.models = _chosen(model_names(self.columns, table.separator), table.models, name)
        self.codes = tuple(LabelCodes() for _ in self.models)
        self._wide = [
            WideColumns.find(model, self.columns, table.separator, name) for model in self.models
        ]
        self.multi_label = tuple(its.labels is not None for its in self._wide)
        self.has_all_scores = tuple(bool(its.scores) for its in self._wide)

    def expected(self, rows: int) -> int | None:
        """How many rows there may be in all, judged by how far so many have led."""
        size, position = self._source.size, self._source.position
        return round(rows * size / position) if size and position else None

    def batches(self) -> Iterator[RowBatch]:
        """All rows, in order.

        Raises:
            BadRowError: a row can't be read.
            InputError: a cell is no score, or no list of labels.
        """
        first_row = 0
        for batch in self._source.batches(FailOnBadRows(or_else="")):
            rows = _wide_batch(batch.select(range(batch.num_columns - 1)), self._separator)
            rows = with_text(rows, self.text_columns)
            said = (
                _said(rows, wide, codes) for wide, codes in zip(self._wide, self.codes, strict=True)
            )
            yield RowBatch(first_row, rows, tuple(said))
            first_row += batch.num_rows


def _chosen(found: list[str], wanted: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The models that are wanted of those that there are."""
    if not found:
        raise InputError(
            "no model's labels and scores stand in it",
            where=where,
            todo="Give an output of labelf classify in the wide layout, or, in Parquet, in the "
            "nested one; or its --separator",
        )
    for model in wanted:
        if model not in found:
            raise InputError(f"no model '{model}'", where=where, todo=did_you_mean(model, found))
    return tuple(model for model in found if model in (wanted or found))


def _is_nested_model(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and [field.name for field in kind] == list(_NESTED)


def _wide_names(schema: pa.Schema, separator: str) -> list[str]:
    no_rows = pa.record_batch([pa.nulls(0, kind) for kind in schema.types], schema=schema)
    return list(_wide_batch(no_rows, separator).schema.names)


def _wide_batch(batch: pa.RecordBatch, separator: str) -> pa.RecordBatch:
    """The columns of nested models as the wide layout has them; the others as they are."""
    if not any(map(_is_nested_model, batch.schema.types)):
        return batch
    columns: dict[str, pa.Array] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if _is_nested_model(column.type):
            label, score, _ = column.flatten()
            columns |= {f"{name}{separator}label": label, f"{name}{separator}score": score}
        else:
            columns[name] = column
    return pa.record_batch(columns)


def _said(batch: pa.RecordBatch, wide: WideColumns, codes: LabelCodes) -> Said:
    """What one model says of some rows."""
    column, score = batch.column(wide.label), wide.score
    best = codes.of(column)
    labels = None if wide.labels is None else _lists(batch.column(wide.labels))
    places, accepted = np.arange(len(best)), best
    if labels is not None:
        places, accepted = _accepted(labels, codes)
    return Said(
        column.cast(pa.string()),
        best,
        np.full(len(best), np.nan, np.float32)
        if score is None
        else score_numbers(batch.column(score), score),
        _scores(batch, wide),
        labels,
        places,
        accepted,
    )


def _scores(batch: pa.RecordBatch, wide: WideColumns) -> Floats | None:
    """Scores of all labels, [rows × labels]; None where not all of them are there."""
    if not wide.scores:
        return None
    columns = [score_numbers(batch.column(name), name) for name in wide.scores.values()]
    return np.column_stack(columns)


def _lists(column: pa.Array) -> pa.ListArray:
    """Lists of labels, of which text has to be parsed, equal cells once."""
    if pa.types.is_list(column.type):
        return column
    cells = column.cast(pa.string()).dictionary_encode()
    parsed = pa.array(several_labels(cells.dictionary), _LISTS)
    return parsed.take(cells.indices)


def _accepted(labels: pa.ListArray, codes: LabelCodes) -> tuple[Ints, Ints]:
    """Row and number of each accepted label; a row without one stands there with ``NONE``."""
    counts = labels.value_lengths().fill_null(0).to_numpy().astype(np.int64)
    places = np.arange(len(labels)).repeat(np.maximum(counts, 1))
    accepted = np.full(len(places), NONE, np.int64)
    accepted[counts[places] > 0] = codes.of(labels.flatten())
    return places, accepted


_LISTS = pa.list_(pa.string())
_NESTED = ("label", "score", "predictions")
