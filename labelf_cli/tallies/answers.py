"""What one model answers: its labels, and how sure it is of them."""

from collections import Counter

import numpy as np

from labelf_cli.predictions import Floats
from labelf_cli.tallies.codes import NONE, LabelCodes
from labelf_cli.tallies.interface import Ints, RowBatch, Tally

SHARE_EDGES = np.linspace(0, 1, 21, dtype=np.float32)
"""Twenty bins for scores that are shares."""

WIDE_EDGES = np.linspace(-20, 20, 41, dtype=np.float32)
"""Forty bins for scores that are not; those beyond belong to the outermost."""


class AnswerTally(Tally):
    """Counts labels and scores of one model.

    Attributes:
        rows: that were counted.
        scored: rows whose best label has a score.
    """

    def __init__(self, number: int, codes: LabelCodes) -> None:
        """Count what the model of this number says, whose labels have these codes."""
        self._number, self._codes = number, codes
        self._labels = np.zeros(1, np.int64)
        self._shares = np.zeros(len(SHARE_EDGES) - 1, np.int64)
        self._wide = np.zeros(len(WIDE_EDGES) - 1, np.int64)
        self._sum = 0.0
        self._all_shares = True
        self.rows = self.scored = 0

    def add(self, batch: RowBatch) -> None:
        """See ``Tally.add``."""
        said = batch.models[self._number]
        self.rows += len(batch)
        counts = np.bincount(said.accepted, minlength=len(self._codes.names))
        counts[: len(self._labels)] += self._labels
        self._labels = counts
        scores = said.score[~np.isnan(said.score)]
        self.scored += len(scores)
        self._sum += float(scores.sum(dtype=np.float64))
        self._all_shares &= bool(((scores >= 0) & (scores <= 1)).all())
        self._shares += _binned(scores, SHARE_EDGES)
        self._wide += _binned(scores, WIDE_EDGES)

    @property
    def labels(self) -> Counter[str]:
        """Rows by accepted label, the commonest first."""
        names = self._codes.names
        found = {names[at]: int(n) for at, n in enumerate(self._labels) if n and at != NONE}
        ordered = sorted(found.items(), key=lambda one: (-one[1], str(one[0])))
        return Counter({str(name): count for name, count in ordered})

    @property
    def unlabelled(self) -> int:
        """Rows without an accepted label."""
        return int(self._labels[NONE])

    @property
    def mean_score(self) -> float | None:
        """Of the best labels; None where there is none."""
        return self._sum / self.scored if self.scored else None

    @property
    def histogram(self) -> tuple[Floats, Ints]:
        """Edges of bins, [bins + 1], and the best labels' scores in each, [bins].

        A bin holds its lower edge, the last one its upper, too. The bins are ``SHARE_EDGES`` where
        all scores are from 0 to 1.
        """
        return (SHARE_EDGES, self._shares) if self._all_shares else (WIDE_EDGES, self._wide)


def _binned(scores: Floats, edges: Floats) -> Ints:
    places = np.searchsorted(edges, scores, side="right") - 1
    return np.bincount(np.clip(places, 0, len(edges) - 2), minlength=len(edges) - 1)
