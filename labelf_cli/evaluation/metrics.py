"""How good answers are, measured against labels that people gave: arrays in, figures out.

The arithmetic is scikit-learn's.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
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

from labelf_cli.evaluation.intervals import RESAMPLES, Interval, intervals
from labelf_cli.evaluation.judged import Booleans, Ints, Judged
from labelf_cli.evaluation.reliability import calibration_error, probabilities

NO_ANSWER = -1
"""Stands for no label where a text has one at most."""


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


_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "precision": "precision",
    "coverage": "coverage",
    "covered_accuracy": "accuracy where covered",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}


def figure_names(*, multi_label: bool = False) -> dict[str, str]:
    """The plain numbers among the attributes of ``Figures``, and how people call them."""
    return _NAMES | ({"accuracy": "all labels right"} if multi_label else {})


def figures(judged: Judged, resamples: int = RESAMPLES) -> Figures:
    """All that is measured.

    Args:
        judged: at least one text.
        resamples: for the intervals; 0 for none.
    """
    gold, answers = targets(judged)
    present = np.flatnonzero((judged.gold | judged.answers).any(axis=0))
    right = judged.right
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


@dataclass(frozen=True)
class Mistake:
    """How many texts have one label by gold and another answer; None for no answer."""

    gold: str
    answer: str | None
    rows: int


def mistakes(its: Figures, most: int) -> list[Mistake]:
    """The commonest ones, where one label holds."""
    labels = [label.label for label in its.per_label]
    answers = [*labels, None]
    wrong = [
        Mistake(labels[gold], answers[answer], rows)
        for gold, counts in enumerate(its.confusion.tolist())
        for answer, rows in enumerate(counts)
        if rows and answer != gold
    ]
    return sorted(wrong, key=lambda one: -one.rows)[:most]


def targets(judged: Judged) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Gold and answers as scikit-learn takes them: positions of labels, or a column for each.

    Of those a last one tells whether there is an answer: without one, none of the labels is right
    even where none holds. (A single column scikit-learn would take for one label a text.)
    """
    if judged.multi_label:
        sides = (judged.gold, np.ones_like(judged.answered)), (judged.answers, judged.answered)
        gold, answers = (np.column_stack(side) for side in sides)
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


def loss(judged: Judged) -> float | None:
    """Log loss; where several labels may hold, the mean of the labels' own.

    Texts without an answer, and those whose gold label no score stands for, are left out.
    """
    found = probabilities(judged)
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
