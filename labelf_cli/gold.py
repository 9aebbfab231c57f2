"""Labels that people gave: from the cells of a column to the labels of each row."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelf_cli.errors import InputError, UsageError, did_you_mean

SEPARATOR = ";"

Labels = tuple[str, ...]
"""Labels of one row, each once."""


def parse_gold(given: Sequence[str]) -> dict[str, str]:
    """Column by model, from ``model=column``.

    Raises:
        UsageError: one is something else, or a model stands there twice.
    """
    columns: dict[str, str] = {}
    for one in given:
        model, equals, column = one.partition("=")
        if not (model and equals and column):
            raise UsageError(f"--gold {one} names no column", todo="Say --gold model=column")
        if model in columns:
            raise UsageError(f"--gold names model '{model}' twice", todo="Leave one of them out")
        columns[model] = column
    return columns


def require_gold(names: Sequence[str], columns: Iterable[str], where: str) -> None:
    """Refuse a table that lacks a gold column.

    Raises:
        InputError: it tells the nearest name.
    """
    for column in columns:
        if column not in names:
            raise InputError(
                f"no column '{column}'", where=where, todo=did_you_mean(column, list(names))
            )


def one_label(column: pa.Array) -> list[Labels | None]:
    """The label of each row as it stands; None where there is none.

    Raises:
        InputError: the cells are lists.
    """
    if pa.types.is_nested(column.type):
        raise InputError(
            f"a gold column of {column.type}, but the model gives one label",
            todo="Name a column of text with --gold",
        )
    return [(cell,) if cell else None for cell in column.cast(pa.string()).to_pylist()]


def several_labels(column: pa.Array, separator: str = SEPARATOR) -> list[Labels | None]:
    """The labels of each row: a list, a JSON array, or text that a separator cuts.

    None where the cell is null or blank, which says nothing; ``[]`` says that no label holds.

    Raises:
        InputError: a cell seems to be a JSON array and is none.
    """
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return [None if cell is None else _distinct(cell) for cell in column.to_pylist()]
    return [_cut(cell, separator) for cell in column.cast(pa.string()).to_pylist()]


def _cut(cell: str | None, separator: str) -> Labels | None:
    if cell is None or not cell.strip():
        return None
    if not cell.lstrip().startswith("["):
        return _distinct(part.strip() for part in cell.split(separator))
    try:
        found = json.loads(cell)
    except json.JSONDecodeError as error:
        raise InputError(
            f"'{cell}' is no JSON array of labels ({error.msg})", todo="Correct the cell"
        ) from None
    return _distinct(found)


def _distinct(labels: Iterable[Any]) -> Labels:
    return tuple(dict.fromkeys(str(label) for label in labels if label not in (None, "")))


def indicators(rows: Sequence[Labels], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which of some labels each row has, [rows × names]."""
    place = {name: at for at, name in enumerate(names)}
    found = np.zeros((len(rows), len(names)), bool)
    for row, labels in enumerate(rows):
        found[row, [place[label] for label in labels]] = True
    return found


def unknown(rows: Iterable[Labels], names: Iterable[str]) -> Counter[str]:
    """Rows by gold label that is not among the names, the commonest first."""
    known = set(names)
    return Counter(label for labels in rows for label in labels if label not in known)
