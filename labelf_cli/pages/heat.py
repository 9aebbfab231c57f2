"""Tables whose cells are shaded by their share of the row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

MOST_ROWS, MOST_COLUMNS = 16, 12
NO_LABEL = "(no label)"

_SHADES = 9


@dataclass(frozen=True)
class Cell:
    """How many, which share of the row, and how dark: from 0 to 9."""

    count: int
    share: float

    @property
    def shade(self) -> int:
        """Of the background; only what is nothing has none."""
        return 0 if not self.count else max(1, round(self.share * _SHADES))


@dataclass(frozen=True)
class HeatRow:
    """One row: its name, all that it counts, and its cells."""

    name: str
    total: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class HeatTable:
    """A table of counts.

    Attributes:
        columns: names.
        rows: the largest first, then what was left over.
        is_pooled: whether rare names share a row or a column.
    """

    columns: tuple[str, ...]
    rows: tuple[HeatRow, ...]
    is_pooled: bool


def heat_table(
    row_names: Sequence[str | None], column_names: Sequence[str | None], counts: Ints
) -> HeatTable:
    """Lay out counts, the rarest names pooled where there are many; those of nothing left out.

    Args:
        row_names: None for no label.
        column_names: likewise.
        counts: [rows × columns] int64 or fewer of both.
    """
    rows = _axis(row_names, counts.sum(axis=1), MOST_ROWS)
    columns = _axis(column_names, counts.sum(axis=0), MOST_COLUMNS)
    return _laid_out(rows, columns, counts)


def square_table(names: Sequence[str | None], counts: Ints) -> HeatTable:
    """Lay out counts of the same names twice, in the same order on both sides.

    Args:
        names: None for no label.
        counts: [names × names] int64 or fewer of both.
    """
    missing = [(0, len(names) - size) for size in counts.shape]
    counts = np.pad(counts, missing)
    axis = _axis(names, counts.sum(axis=0) + counts.sum(axis=1), MOST_COLUMNS)
    rows = [one for one in axis if counts[one[1]].any()]
    columns = [one for one in axis if counts[:, one[1]].any()]
    return _laid_out(rows, columns, counts)


def _laid_out(rows: "list[_Part]", columns: "list[_Part]", counts: Ints) -> HeatTable:
    laid_out = []
    for name, at in rows:
        row = counts[at].sum(axis=0)
        cells = [int(row[places].sum()) for _, places in columns]
        total = max(sum(cells), 1)
        laid_out.append(
            HeatRow(name, sum(cells), tuple(Cell(count, count / total) for count in cells))
        )
    is_pooled = any(len(places) > 1 for _, places in (*rows, *columns))
    return HeatTable(tuple(name for name, _ in columns), tuple(laid_out), is_pooled)


def _axis(names: Sequence[str | None], totals: Ints, most: int) -> "list[_Part]":
    """The largest names first, no label and the pooled ones last; those of nothing left out."""
    order = [int(at) for at in np.argsort(-totals, kind="stable") if totals[at]]
    named = [at for at in order if names[at] is not None]
    unnamed = [at for at in order if names[at] is None]
    keeps_all = len(named) <= most
    kept, pooled = (named, []) if keeps_all else (named[: most - 1], named[most - 1 :])
    axis = [(str(names[at]), np.array([at])) for at in kept]
    if pooled:
        axis.append((f"{len(pooled)} others", np.array(pooled)))
    if unnamed:
        axis.append((NO_LABEL, np.array(unnamed)))
    return axis


_Part = tuple[str, Ints]
"""A name and its places, several where names are pooled."""
