"""The rows of which a model is least certain."""

import numpy as np

from labelf_cli.predictions import Floats
from labelf_cli.tallies.chosen import Lowest, Shown
from labelf_cli.tallies.interface import RowBatch, Said, Tally

MIDDLE = np.float32(0.5)


class LeastCertainTally(Tally):
    """Keeps the rows of which one model is least certain, see ``certainty``."""

    def __init__(self, number: int, shown: Shown, limit: int) -> None:
        """Keep at most so many rows for the model of this number."""
        self._number, self._shown = number, shown
        self.lowest = Lowest(limit)

    def add(self, batch: RowBatch) -> None:
        """See ``Tally.add``."""
        said = batch.models[self._number]
        ranks = certainty(said)
        places = self.lowest.wanted(ranks).tolist()
        if places:
            describe = self._shown.describe
            self.lowest.take([describe(batch, at, float(ranks[at]), said) for at in places])


def certainty(said: Said) -> Floats:
    """How certain a model is of each row, [rows] float32, NaN where it gives no score.

    Where one label holds and all scores are there, the margin between the best two (Scheffer et
    al. 2001, "Active hidden Markov models for information extraction", section 3.2); where several
    may hold, how far the nearest score is from 0.5; else the score of the best label.
    """
    if said.scores is None or not said.scores.shape[1]:
        return said.score
    if said.labels is not None:
        return np.asarray(np.abs(said.scores - MIDDLE).min(axis=1))
    if said.scores.shape[1] == 1:
        return np.asarray(said.scores[:, 0])
    best = np.partition(said.scores, -2, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0])
