"""How far answers are what people say, and the rows in which they are not."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.errors import InputError
from labelf_cli.gold import Labels, several_labels
from labelf_cli.tallies.chosen import Lowest, Shown
from labelf_cli.tallies.codes import LabelCodes
from labelf_cli.tallies.interface import Booleans, Ints, RowBatch, Said, Tally
from labelf_cli.tallies.table import Counts


@dataclass(frozen=True)
class GoldColumn:
    """Where people's labels for a model stand.

    Attributes:
        name: of the column.
        separator: between several labels in one cell that is no JSON array.
    """

    name: str
    separator: str

    def of_one(self, batch: RowBatch) -> pa.Array:
        """The gold label of each row, null where there is none, [rows] string.

        Raises:
            InputError: the cells are lists.
        """
        column = batch.columns.column(self.name)
        if pa.types.is_nested(column.type):
            raise InputError(
                f"a gold column of {column.type}, but the model gives one label",
                where=f"column '{self.name}'",
                todo="Name a column of text with --gold",
            )
        cells = column.cast(pa.string())
        return pc.if_else(pc.equal(cells, ""), _NULL, cells)

    def of_several(self, batch: RowBatch) -> list[Labels | None]:
        """The gold labels of each row, None where the cell says nothing.

        Raises:
            InputError: a cell is no label.
        """
        try:
            return several_labels(batch.columns.column(self.name), self.separator)
        except InputError as error:
            where = f"column '{self.name}'"
            raise InputError(error.what, where=where, todo=error.todo) from None


class GoldTally(Tally):
    """Compares the answers of one model with a gold column.

    A row without an answer is not right, as for ``labelf evaluate``. Of those that are not, the
    surest are kept.

    Attributes:
        rows: that have gold.
        right: how many of them have just the gold labels.
    """

    def __init__(
        self, number: int, column: GoldColumn, codes: LabelCodes, shown: Shown, limit: int
    ) -> None:
        """Compare the model of this number with a column, and keep at most so many rows.

        Labels of the column get numbers among the model's.
        """
        self._number, self._column, self._codes, self._shown = number, column, codes, shown
        self._counts = Counts()
        self.lowest = Lowest(limit)
        self.rows = self.right = 0

    @property
    def counts(self) -> Ints:
        """Rows by gold and by answer, [labels × labels]; empty where several labels may hold."""
        return self._counts.counts

    def add(self, batch: RowBatch) -> None:
        """See ``Tally.add``."""
        said = batch.models[self._number]
        if said.labels is None:
            self._add_one(batch, said)
        else:
            self._add_several(batch, said, said.labels)

    def _add_one(self, batch: RowBatch, said: Said) -> None:
        gold = self._column.of_one(batch)
        has_gold = np.asarray(gold.is_valid())
        right = has_gold & np.asarray(pc.equal(gold, said.names).fill_null(False))
        self._counts.add(self._codes.of(gold)[has_gold], said.best[has_gold])
        for at in self._count(has_gold, right, said):
            self._keep(batch, at, said, (gold[at].as_py(),))

    def _add_several(self, batch: RowBatch, said: Said, labels: pa.ListArray) -> None:
        gold = self._column.of_several(batch)
        has_gold = np.array([labels is not None for labels in gold], bool)
        right = np.zeros(len(gold), bool)
        for at in np.flatnonzero(has_gold).tolist():
            right[at] = _agrees(gold[at] or (), labels, said, at)
        for at in self._count(has_gold, right, said):
            self._keep(batch, at, said, gold[at] or ())

    def _count(self, has_gold: Booleans, right: Booleans, said: Said) -> Iterator[int]:
        """Count rows; the places of those that may be shown."""
        self.rows += int(has_gold.sum())
        self.right += int(right.sum())
        ranks = np.where(has_gold & ~right, -np.nan_to_num(said.score, nan=0.0), np.nan)
        yield from self.lowest.wanted(ranks).tolist()

    def _keep(self, batch: RowBatch, at: int, said: Said, gold: Labels) -> None:
        rank = -np.nan_to_num(said.score[at], nan=0.0)
        row = self._shown.describe(batch, at, float(rank), said)
        self.lowest.take([replace(row, gold=gold)])


def _agrees(gold: Labels, labels: pa.ListArray, said: Said, at: int) -> bool:
    """Whether just the gold labels are answered; a fallback says that none holds."""
    if not labels[at].is_valid:
        return False
    answers = set(labels[at].as_py())
    if said.is_fallback[at]:
        fallback = {said.names[at].as_py()}
        return not answers - fallback and not set(gold) - fallback
    return answers == set(gold)


_NULL = pa.scalar(None, pa.string())
