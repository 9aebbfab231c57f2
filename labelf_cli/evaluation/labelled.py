"""A table with labels that people gave, on its way in."""

from dataclasses import dataclass

import pyarrow as pa

from labelf_cli.errors import InputError
from labelf_cli.formats import Format
from labelf_cli.gold import SEPARATOR, Labels, one_label, require_gold, several_labels
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.table import Inputs, input_format


@dataclass(frozen=True)
class LabelledTable:
    """A table with labels that people gave.

    Attributes:
        inputs: files, globs or ``-``.
        gold: column by model.
        text_columns: what is classified; empty for what the config says.
        format: of the inputs; None for what their names say.
        delimiter, encoding: of them; None for the format's own, and what a byte order mark says.
        gold_separator: between several labels in a cell that is no JSON array.
    """

    inputs: tuple[str, ...]
    gold: dict[str, str]
    text_columns: tuple[str, ...] = ()
    format: Format | None = None
    gold_separator: str = SEPARATOR
    delimiter: str | None = None
    encoding: str | None = None

    def open(self, text_columns: tuple[str, ...]) -> tuple[Inputs, str]:
        """Open the inputs; the second is the name of the first.

        Args:
            text_columns: what is classified; empty for nothing.

        Raises:
            InputError: one can't be read, or lacks a column.
        """
        names, format_ = input_format(self.inputs, self.format)
        # As towards CSV: every value is text.
        options = ReadOptions(text_columns, Format.CSV, self.delimiter, self.encoding)
        source = Inputs(names, format_, options)
        require_gold(source.names, self.gold.values(), names[0])
        return source, names[0]

    def labels(self, batch: pa.RecordBatch, name: str, *, several: bool) -> list[Labels | None]:
        """What people say of the rows for a model.

        Raises:
            InputError: a cell is no label.
        """
        column = batch.column(self.gold[name])
        try:
            return several_labels(column, self.gold_separator) if several else one_label(column)
        except InputError as error:
            where = f"column '{self.gold[name]}'"
            raise InputError(error.what, where=where, todo=error.todo) from None


def no_gold(column: str, where: str) -> InputError:
    """That a column has nothing to compare with."""
    return InputError(
        f"column '{column}' has no label", where=where, todo="Name another with --gold"
    )
