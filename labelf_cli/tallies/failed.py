"""The first rows that could not be classified."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.tallies.chosen import Lowest, Shown
from labelf_cli.tallies.interface import RowBatch, Tally

_FAILED = "failed"


class FailedTally(Tally):
    """Keeps the first rows that failed."""

    def __init__(self, shown: Shown, limit: int) -> None:
        """Keep at most so many."""
        self._shown = shown
        self.lowest = Lowest(limit)

    def add(self, batch: RowBatch) -> None:
        """See ``Tally.add``."""
        if self._shown.status not in batch.columns.schema.names:
            return
        statuses = batch.columns.column(self._shown.status).cast(pa.string())
        has_failed = np.asarray(pc.equal(statuses, _FAILED).fill_null(False))
        ranks = np.where(has_failed, batch.first_row, np.nan)
        describe = self._shown.describe
        places = self.lowest.wanted(ranks).tolist()
        self.lowest.take([describe(batch, at, float(batch.first_row), None) for at in places])
