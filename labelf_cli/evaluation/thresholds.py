"""Thresholds from scores and gold: where F1 is best, or where a precision is reached first."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labelf_cli.evaluation.judged import Booleans, Floats, Ints

ByLabel = npt.NDArray[np.float64]
"""Of each label, [labels]; NaN where there is none."""

Goal = Callable[[Floats, Booleans, Booleans, bool], ByLabel]
"""From scores, gold, which labels too few texts have, and whether several may hold (see ``curves``)
to thresholds.
"""


NEVER = 1.0
"""The threshold of a label that reaches no precision that was asked for."""


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
    texts whose best label it is.

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


def best_f1(scores: Floats, gold: Booleans, rare: Booleans, multi_label: bool) -> ByLabel:
    """The thresholds with the highest F1 of each label; a ``Goal``."""
    return np.where(rare, np.nan, _each(Curve.best_f1, scores, gold, multi_label))


def precise(
    scores: Floats, gold: Booleans, rare: Booleans, multi_label: bool, wanted: float
) -> ByLabel:
    """The lowest thresholds over which that share of each label's answers is right; a ``Goal``.

    Where one label holds, a text whose best label is under its threshold has the next one that is
    not as its answer; so thresholds are raised until those answers are right as often, too. A label
    that reaches no such precision gets a threshold of 1, and one that too few texts have one over
    which it is always the best.
    """
    found = _each(lambda curve: curve.precision(wanted), scores, gold, multi_label)
    if multi_label:
        return np.where(rare, np.nan, found)
    start = np.where(rare, _best_alone(scores), np.nan_to_num(found, nan=NEVER))
    return _raised(start, scores, gold, rare, wanted)


def _each(
    goal: Callable[[Curve], float | None], scores: Floats, gold: Booleans, multi_label: bool
) -> ByLabel:
    found = map(goal, curves(scores, gold, multi_label))
    return np.array([np.nan if one is None else one for one in found])


def _best_alone(scores: Floats) -> ByLabel:
    """Thresholds over which each label has no score that another one of the same text exceeds."""
    known = scores[~np.isnan(scores).any(axis=1)]
    is_best = known.argmax(axis=1)[:, None] == np.arange(scores.shape[1])
    highest = np.where(is_best, -np.inf, known).max(axis=0, initial=0.0)
    return np.array([_between(float(one), NEVER) if one < NEVER else NEVER for one in highest])


def _raised(
    thresholds: ByLabel, scores: Floats, gold: Booleans, rare: Booleans, wanted: float
) -> ByLabel:
    known = np.nan_to_num(scores, nan=-np.inf)
    while True:
        passing = np.where(known >= thresholds.astype(np.float32), known, -np.inf)
        answers = np.where(np.isinf(passing).all(axis=1), -1, passing.argmax(axis=1))
        higher = thresholds.copy()
        for label in np.flatnonzero(~rare):
            its = answers == label
            curve = Curve.of(scores[its, label], gold[its, label], 0)
            if its.any() and curve.hits[-1] < wanted * curve.answers[-1]:
                higher[label] = NEVER if (one := curve.precision(wanted)) is None else one
        if (higher == thresholds).all():
            return thresholds
        thresholds = higher
