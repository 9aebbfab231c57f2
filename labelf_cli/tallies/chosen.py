"""Rows that somebody should look at, so many of each kind."""

from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.chunk import TEXT
from labelf_cli.errors import InputError
from labelf_cli.tallies.interface import Ints, RowBatch, Said

SHOWN_CHARACTERS = 3000
"""So much of a text is kept."""

_SHOWN_KEY = 200


@dataclass(frozen=True)
class ChosenRow:
    """One of them.

    Attributes:
        rank: what it is chosen by, the lowest first.
        row: number, from 1.
        keys: values of the key columns.
        status: of the row; None where the output has none.
        error: why it failed.
        text: its beginning; None where there is none.
        characters: of all of it.
        labels: what the model answers.
        score: of the best of them; None where there is none.
        gold: what people say; None where they are not asked.
    """

    rank: float
    row: int
    keys: tuple[str, ...]
    status: str | None
    error: str | None
    text: str | None
    characters: int
    labels: tuple[str, ...]
    score: float | None
    gold: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Shown:
    """Which columns are shown of a row, by their names.

    Attributes:
        keys: that tell it from others.
        status, error: of labelf.
    """

    keys: tuple[str, ...]
    status: str
    error: str

    def describe(self, batch: RowBatch, place: int, rank: float, said: Said | None) -> ChosenRow:
        """A row of a batch.

        Args:
            batch: of the output.
            place: of the row in it.
            rank: see ``ChosenRow``.
            said: by the model that it is chosen for, if any.
        """
        text = batch.columns.column(TEXT)[place : place + 1]
        score = np.nan if said is None else float(said.score[place])
        return ChosenRow(
            rank,
            batch.first_row + place + 1,
            tuple(_cell(batch, key, place) or "" for key in self.keys),
            _cell(batch, self.status, place),
            _cell(batch, self.error, place),
            pc.utf8_slice_codeunits(text, 0, SHOWN_CHARACTERS)[0].as_py(),
            pc.utf8_length(text)[0].as_py() or 0,
            () if said is None else _labels(said, place),
            None if np.isnan(score) else score,
        )


def _cell(batch: RowBatch, name: str, place: int) -> str | None:
    if name not in batch.columns.schema.names:
        return None
    try:
        cell = batch.columns.column(name)[place : place + 1].cast(pa.string())
    except pa.ArrowException as error:
        raise InputError(f"can't be shown ({error})", where=f"column '{name}'") from None
    value = cell[0].as_py()
    return None if value is None else str(value)[:_SHOWN_KEY]


def _labels(said: Said, place: int) -> tuple[str, ...]:
    if said.labels is not None:
        return tuple(said.labels[place].as_py() or ())
    name = said.names[place].as_py()
    return (name,) if name else ()


class Lowest:
    """The rows with the lowest ranks, the earlier ones of equals."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.rows: list[ChosenRow] = []

    def wanted(self, ranks: npt.NDArray[np.floating]) -> Ints:
        """Which of some rows could be among them, [n] int64.

        Args:
            ranks: [rows]; a row of NaN is not wanted.
        """
        if not self._limit:
            return np.empty(0, np.int64)
        most = self.rows[-1].rank if len(self.rows) == self._limit else np.inf
        places = np.flatnonzero(ranks < most)
        if len(places) <= self._limit:
            return places
        return np.sort(places[np.argsort(ranks[places], kind="stable")[: self._limit]])

    def take(self, rows: list[ChosenRow]) -> None:
        """Take rows that come after those that were taken before."""
        self.rows = sorted([*self.rows, *rows], key=attrgetter("rank"))[: self._limit]
