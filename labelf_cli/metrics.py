"""How good answers are, measured against labels that people gave: arrays in, figures out.

The arithmetic is scikit-learn's, but for the calibration error, which it does not have, and the
resamples, which it can't do at once.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
    precision_score,
)

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Interval = tuple[float, float]

NO_ANSWER = -1
"""Stands for no label where a text has one at most."""

BINS = 15
RESAMPLES = 1000

_SEED = 0
_CELLS = 1 << 22


@dataclass(frozen=True)
class Judged:
    """What one model says of texts, beside what people say.

    Attributes:
        labels: first those that a score stands for, then what else was answered or is gold.
        gold: which labels are right, [texts × labels].
        answers: which labels were answered, [texts × labels]; none where nothing was accepted.
        covered: whether a prediction was accepted, [texts].
        scores: [texts × the first labels] float32, NaN where there is no answer; None where only
            some of them are known.
        multi_label: whether several labels may hold for one text.
    """

    labels: tuple[str, ...]
    gold: Booleans
    answers: Booleans
    covered: Booleans
    scores: Floats | None
    multi_label: bool

    def take(self, rows: Ints) -> "Judged":
        """Some of the texts, by their positions."""
        return replace(
            self,
            gold=self.gold[rows],
            answers=self.answers[rows],
            covered=self.covered[rows],
            scores=None if self.scores is None else self.scores[rows],
        )


@dataclass(frozen=True)
class LabelFigures:
    """How well one label is found.

    Attributes:
        label: its name.
        precision, recall, f1: 0 where there is nothing to divide by.
        support: texts that have it by gold.
        answered: texts that have it by the model.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    answered: int


@dataclass(frozen=True)
class Figures:
    """How good a model is.

    Attributes:
        rows: texts that were judged.
        accuracy: share whose answer is right; where several labels may hold, whose answers are
            just the gold ones (subset accuracy).
        macro_f1: mean over the labels that are gold or answered somewhere; "no answer" is none.
        micro_f1: of all labels together.
        precision: of all labels together, the share of answers that are right.
        coverage: share with an accepted prediction.
        covered_accuracy: accuracy among them; None where there are none.
        log_loss, calibration_error: see the functions; None where not all scores are known.
        per_label: in the order of the labels; those that are neither gold nor answered left out.
        confusion: rows by gold, columns by answer, [labels × labels + 1], the last column for no
            answer; where several may hold, [labels × 2 × 2] as scikit-learn's
            ``multilabel_confusion_matrix``. In the order of ``per_label``.
        intervals: 95% by figure, of resampled texts; empty where none were asked for.
    """

    rows: int
    accuracy: float
    macro_f1: float
    micro_f1: float
    precision: float
    coverage: float
    covered_accuracy: float | None
    log_loss: float | None
    calibration_error: float | None
    per_label: tuple[LabelFigures, ...]
    confusion: Ints
    intervals: dict[str, Interval]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **vars(self),
            "per_label": {
                figures.label: {k: v for k, v in asdict(figures).items() if k != "label"}
                for figures in self.per_label
            },
            "confusion": {
                "labels": [figures.label for figures in self.per_label],
                "counts": self.confusion.tolist(),
            },
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
        }


def figures(judged: Judged, resamples: int = RESAMPLES) -> Figures:
    """All that is measured.

    Args:
        judged: at least one text.
        resamples: for the intervals; 0 for none.
    """
    gold, answers = targets(judged)
    present = np.flatnonzero((judged.gold | judged.answers).any(axis=0))
    right = (judged.gold == judged.answers).all(axis=1)
    return Figures(
        rows=len(judged.gold),
        accuracy=float(accuracy_score(gold, answers)),
        macro_f1=_f1(gold, answers, present, "macro"),
        micro_f1=_f1(gold, answers, present, "micro"),
        precision=_precision(gold, answers, present),
        coverage=float(judged.covered.mean()),
        covered_accuracy=float(right[judged.covered].mean()) if judged.covered.any() else None,
        log_loss=loss(judged),
        calibration_error=calibration_error(judged),
        per_label=tuple(_per_label(judged, present)),
        confusion=_confusion(judged, present),
        intervals=intervals(judged, resamples) if resamples else {},
    )


def targets(judged: Judged) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Gold and answers as scikit-learn takes them: positions of labels, or a column for each."""
    if judged.multi_label:  # of one column scikit-learn would take it for one label
        missing = max(2 - len(judged.labels), 0)
        gold, answers = (np.pad(a, ((0, 0), (0, missing))) for a in (judged.gold, judged.answers))
        return gold, answers
    return _positions(judged.gold), _positions(judged.answers)


def _positions(chosen: Booleans) -> Ints:
    return np.where(chosen.any(axis=1), chosen.argmax(axis=1), NO_ANSWER)


def _f1(gold: npt.NDArray[Any], answers: npt.NDArray[Any], labels: Ints, average: str) -> float:
    if not len(labels):
        return 0.0
    return float(f1_score(gold, answers, labels=labels, average=average, zero_division=0))


def _precision(gold: npt.NDArray[Any], answers: npt.NDArray[Any], labels: Ints) -> float:
    if not len(labels):
        return 0.0
    options = {"labels": labels, "average": "micro", "zero_division": 0}
    return float(precision_score(gold, answers, **options))


def _per_label(judged: Judged, present: Ints) -> Iterator[LabelFigures]:
    if not len(present):
        return
    gold, answers = targets(judged)
    columns = precision_recall_fscore_support(gold, answers, labels=present, zero_division=0)
    answered = judged.answers.sum(axis=0)
    for label, precision, recall, f1, support in zip(present, *columns, strict=True):
        yield LabelFigures(
            judged.labels[label],
            float(precision),
            float(recall),
            float(f1),
            int(support),
            int(answered[label]),
        )


def _confusion(judged: Judged, present: Ints) -> Ints:
    gold, answers = targets(judged)
    if not len(present):
        return np.zeros((0, 2, 2) if judged.multi_label else (0, 1), np.int64)
    if judged.multi_label:
        return np.asarray(multilabel_confusion_matrix(gold, answers, labels=present))
    matrix = confusion_matrix(gold, answers, labels=[*present, NO_ANSWER])
    return np.asarray(matrix[:-1])  # gold always has a label


def _scored(judged: Judged) -> tuple[Floats, Booleans] | None:
    """Scores of the texts that have an answer, and which labels are gold; None without scores.

    Only probabilities count: where one label holds, those of a text add up to 1.
    """
    if judged.scores is None or not judged.scores.shape[1]:
        return None
    unknown = np.isnan(judged.scores)
    answered = ~unknown.any(axis=1)
    scores = judged.scores[answered]
    if (unknown.any(axis=1) & ~unknown.all(axis=1)).any():
        return None
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        return None
    if not judged.multi_label and not np.allclose(scores.sum(axis=1), 1, atol=1e-4):
        return None
    return scores, judged.gold[answered]


def loss(judged: Judged) -> float | None:
    """Log loss; where several labels may hold, the mean of the labels' own.

    Texts without an answer, and those whose gold label no score stands for, are left out.
    """
    found = _scored(judged)
    if found is None:
        return None
    scores, gold = found
    width = scores.shape[1]
    if judged.multi_label:
        return float(log_loss(gold[:, :width].ravel(), scores.ravel(), labels=[False, True]))
    known = gold[:, :width].any(axis=1)
    if width < 2 or not known.any():
        return None
    positions = gold[known].argmax(axis=1)
    return float(log_loss(positions, scores[known], labels=list(range(width))))


def calibration_error(judged: Judged) -> float | None:
    """Expected calibration error, over 15 bins of equal width (Guo et al. 2017, equation 3).

    Where one label holds, of the best label's score against whether it is right, threshold or not;
    where several may, of every score against whether its label holds. Texts without an answer are
    left out.
    """
    found = _scored(judged)
    if found is None:
        return None
    scores, gold = found
    if judged.multi_label:
        return expected_calibration_error(scores.ravel(), gold[:, : scores.shape[1]].ravel())
    best = scores.argmax(axis=1)
    return expected_calibration_error(scores.max(axis=1), gold[np.arange(len(best)), best])


def expected_calibration_error(confidence: Floats, right: Booleans) -> float:
    """Mean over bins of the distance between confidence and share of right ones, by their size.

    Bins are open to the left and closed to the right, as there; 0 belongs to the first.

    Args:
        confidence: from 0 to 1, [n] float32.
        right: [n].
    """
    bins = np.clip(np.ceil(confidence.astype(np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)
    distance = confidence.astype(np.float64) - right
    return float(np.abs(np.bincount(bins, distance, BINS)).sum() / len(confidence))


def intervals(judged: Judged, resamples: int) -> dict[str, Interval]:
    """95% percentile intervals of the figures that counts decide (Efron's bootstrap over texts).

    To draw texts with replacement is to draw how often each distinct pair of gold and answer
    occurs, which is multinomial; so it costs what distinct pairs cost. In each resample a figure is
    what scikit-learn would say of it: macro F1 is the mean over labels that occur there.

    Args:
        judged: at least one text.
        resamples: at least one.
    """
    random = np.random.default_rng(_SEED)
    pairs = np.hstack([judged.gold, judged.answers, judged.covered[:, None]])
    _, first, counts = np.unique(
        np.packbits(pairs, axis=1), axis=0, return_index=True, return_counts=True
    )
    chosen = judged.take(first)
    step = max(_CELLS // len(first), 1)
    drawn: list[dict[str, npt.NDArray[np.float64]]] = []
    for begin in range(0, resamples, step):
        size = min(step, resamples - begin)
        drawn.append(resampled(chosen, random.multinomial(len(pairs), counts / len(pairs), size)))
    values = {name: np.concatenate([one[name] for one in drawn]) for name in drawn[0]}
    return {name: _percentiles(its) for name, its in values.items() if not np.isnan(its).all()}


def resampled(judged: Judged, weights: Ints) -> dict[str, npt.NDArray[np.float64]]:
    """Figures of resamples, [resamples] each; weights are [resamples × texts]."""
    counts = weights.astype(np.float64)
    hits = counts @ (judged.gold & judged.answers)
    sums = counts @ judged.gold + counts @ judged.answers  # 2 TP + FP + FN
    right = (judged.gold == judged.answers).all(axis=1)
    total, covered = counts.sum(axis=1), counts @ judged.covered
    with np.errstate(invalid="ignore"):  # nothing over nothing
        f1 = np.where(sums > 0, 2 * hits / sums, 0)
        return {
            "accuracy": counts @ right / total,
            "macro_f1": f1.sum(axis=1) / np.maximum((sums > 0).sum(axis=1), 1),
            "micro_f1": 2 * hits.sum(axis=1) / np.maximum(sums.sum(axis=1), 1),
            "coverage": covered / total,
            "covered_accuracy": counts @ (right & judged.covered) / covered,
        }


def _percentiles(values: npt.NDArray[np.float64]) -> Interval:
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
