"""Label × label: how often two answers come together, and how closely they are tied."""

import numpy as np
import numpy.typing as npt

from labelf_cli.tallies.codes import NONE
from labelf_cli.tallies.interface import Ints, RowBatch, Tally

Reals = npt.NDArray[np.float64]


class Counts:
    """Counts pairs of numbers; it grows with the largest of them.

    Attributes:
        counts: [first × second] int64.
    """

    def __init__(self) -> None:
        self.counts = np.zeros((1, 1), np.int64)

    def add(self, first: Ints, second: Ints) -> None:
        """Count some pairs, [pairs] each."""
        if not len(first):
            return
        most = int(first.max()) + 1, int(second.max()) + 1
        missing = [max(new - old, 0) for new, old in zip(most, self.counts.shape, strict=True)]
        if any(missing):
            self.counts = np.pad(self.counts, [(0, more) for more in missing])
        np.add.at(self.counts, (first, second), 1)


class PairTally(Tally):
    """Counts how often an accepted label of one model comes with one of another.

    Attributes:
        counts: [labels of the first × labels of the second] int64, by ``LabelCodes``.
    """

    def __init__(self, first: int, second: int) -> None:
        """Count for the models of these numbers."""
        self._first, self._second = first, second
        self._counts = Counts()

    def add(self, batch: RowBatch) -> None:
        """See ``Tally.add``."""
        first, second = batch.models[self._first], batch.models[self._second]
        ones, others = joined(first.places, second.places, len(batch))
        self._counts.add(first.accepted[ones], second.accepted[others])

    @property
    def counts(self) -> Ints:
        """See the class."""
        return self._counts.counts


def joined(first: Ints, second: Ints, rows: int) -> tuple[Ints, Ints]:
    """All pairs of entries that belong to the same row.

    Args:
        first: row of each entry, in order, [entries] int64.
        second: likewise, [other entries] int64.
        rows: how many there are.

    Returns:
        Positions of entries among the first and among the second, [pairs] int64.
    """
    counts = np.bincount(second, minlength=rows)
    starts = np.cumsum(counts) - counts
    times = counts[first]
    ones = np.arange(len(first)).repeat(times)
    within = np.arange(len(ones)) - (np.cumsum(times) - times).repeat(times)
    return ones, starts[first].repeat(times) + within


def cramers_v(counts: Ints) -> float | None:
    """How closely two labels are tied, from 0, not at all, to 1: one tells the other.

    The square root of chi-squared over its largest value for so many rows (Cramér, Mathematical
    Methods of Statistics, 1946, section 21.9), without a correction. Of two labels each it is the
    absolute phi coefficient.

    Args:
        counts: [first × second] int64; empty rows and columns count for nothing.

    Returns:
        None where one of both has fewer than two labels.
    """
    counts = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    if min(counts.shape) < 2:
        return None
    total = int(counts.sum())
    expected: Reals = counts.sum(axis=1, keepdims=True) * (counts.sum(axis=0) / total)
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    return min(float(np.sqrt(chi_squared / (total * (min(counts.shape) - 1)))), 1.0)


def labelled(counts: Ints) -> Ints:
    """The part of a table in which both have a label."""
    return counts[NONE + 1 :, NONE + 1 :]
