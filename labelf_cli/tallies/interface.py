"""What every tally takes: a batch of an output's rows, model by model."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelf_cli.predictions import Floats
from labelf_cli.tallies.codes import NONE

Ints = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Said:
    """What one model says of the rows of a batch.

    Attributes:
        names: labels as they stand, null where there is none, [rows] string.
        best: their numbers (see ``LabelCodes``), [rows] int64.
        score: of the best label, [rows] float32, NaN where there is none.
        scores: of each label, [rows × labels] float32, NaN where there is none; None where not
            all of them are there.
        labels: all accepted labels, [rows] list of string; None for a model of one label.
        places: the row of each accepted label, in order, [accepted] int64; a row without a label
            stands there once.
        accepted: their numbers, ``NONE`` for no label, [accepted] int64.
    """

    names: pa.Array
    best: Ints
    score: Floats
    scores: Floats | None
    labels: pa.Array | None
    places: Ints
    accepted: Ints

    @property
    def is_fallback(self) -> Booleans:
        """Rows with a ``none_label``, the answer when nothing passes: it has no score, [rows].

        Where no label has a score, as of some language models, there is none as far as one can see.
        """
        unscored = np.isnan(self.score)
        if self.scores is None and unscored.all():
            return np.zeros(len(unscored), bool)
        return np.asarray((self.best != NONE) & unscored)


@dataclass(frozen=True)
class RowBatch:
    """Some rows of an output.

    Attributes:
        first_row: position of the first of them, from 0.
        columns: all that is there of them, and the text (see ``chunk.with_text``).
        models: what each model says, in their order.
    """

    first_row: int
    columns: pa.RecordBatch
    models: tuple[Said, ...]

    def __len__(self) -> int:
        """Number of rows."""
        return int(self.columns.num_rows)


class Tally(ABC):
    """Counts the rows of an output, a batch at a time, in memory that does not grow with them."""

    @abstractmethod
    def add(self, batch: RowBatch) -> None:
        """Count some more rows."""
