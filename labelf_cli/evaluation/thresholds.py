"""Thresholds from scores and gold: where F1 is best, or where a precision is reached first."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labelf_cli.evaluation.judged import Booleans, Floats, Ints


@dataclass(frozen=True)
class Curve:
    """What becomes of one label's answers as its threshold falls.

    Attributes:
        scores: distinct ones, the highest first, [n] float64.
        hits: right answers with that score or a higher one, [n].
        answers: all answers with that score or a higher one, [n].
        support: texts that have the label by gold, answered or not.
    """

    scores: npt.NDArray[np.float64]
    hits: Ints
    answers: Ints
    support: int

    @classmethod
    def of(cls, scores: Floats, right: Booleans, support: int) -> "Curve":
        """The curve of some answers.

        Args:
            scores: of the label, [answers] float32.
            right: whether gold says so, [answers].
            support: see above.
        """
        values, place = np.unique(-scores.astype(np.float64), return_inverse=True)
        answers = np.bincount(place, minlength=len(values))
        hits = np.bincount(place, weights=right, minlength=len(values)).astype(np.int64)
        return cls(-values, np.cumsum(hits), np.cumsum(answers), support)

    def best_f1(self) -> float | None:
        """The threshold with the highest F1, the highest of several; None without an answer."""
        if not len(self.scores):
            return None
        return self._at(int(np.argmax(2 * self.hits / (self.answers + max(self.support, 1)))))

    def precision(self, wanted: float) -> float | None:
        """The lowest threshold over which that share of the answers is right; None for none."""
        reached = np.flatnonzero(self.hits / np.maximum(self.answers, 1) >= wanted)
        return self._at(int(reached[-1])) if len(reached) else None

    def _at(self, place: int) -> float:
        """A threshold with few digits that lets this score pass and the next lower one not."""
        passes = float(self.scores[place])
        lower = self.scores[place + 1 :]
        return _between(float(lower[0]) if len(lower) else min(0.0, passes), passes)


def _between(low: float, high: float) -> float:
    """A number in (low, high] with few digits; half way, as far as they allow.

    Scores are compared in float32, so it has to lie there as a float32, too.
    """
    if low == high:
        return high
    for digits in range(2, 9):
        rounded = round((low + high) / 2, digits)
        if low < float(np.float32(rounded)) <= high:
            return rounded
    return high


def curves(scores: Floats, gold: Booleans, multi_label: bool) -> list[Curve]:
    """The curve of each label.

    Where several labels may hold, over the scores of all texts; where one does, over those of the
    texts whose best label it is. That leaves out that a text gets its second best label where the
    best is under its threshold and it is not.

    Args:
        scores: [texts × labels] float32, NaN where there is no answer.
        gold: which labels are right, [texts × labels].
        multi_label: whether several may hold for one text.
    """
    answered = ~np.isnan(scores).any(axis=1)
    best = np.nan_to_num(scores, nan=-np.inf).argmax(axis=1)
    found = []
    for label in range(scores.shape[1]):
        counts = answered & (scores[:, label] != -np.inf)  # which is a label that was not given
        its = np.flatnonzero(counts if multi_label else counts & (best == label))
        support = int(gold[:, label].sum())
        found.append(Curve.of(scores[its, label], gold[its, label], support))
    return found
