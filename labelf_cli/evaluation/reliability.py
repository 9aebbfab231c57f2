"""How sure a model is against how right it is.

scikit-learn does not have the calibration error, and its curve only of one label that may hold.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labelf_cli.evaluation.judged import Booleans, Floats, Ints, Judged

BINS = 15


def probabilities(judged: Judged) -> tuple[Floats, Booleans] | None:
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


def calibration_error(judged: Judged) -> float | None:
    """Expected calibration error, over 15 bins of equal width (Guo et al. 2017, equation 3).

    Where one label holds, of the best label's score against whether it is right, threshold or not;
    where several may, of every score against whether its label holds. Texts without an answer are
    left out.
    """
    found = _confidence(judged)
    return None if found is None else expected_calibration_error(*found)


def _confidence(judged: Judged) -> tuple[Floats, Booleans] | None:
    """Scores and whether they are right, [n] each, as ``calibration_error`` takes them."""
    found = probabilities(judged)
    if found is None:
        return None
    scores, gold = found
    if judged.multi_label:
        return scores.ravel(), gold[:, : scores.shape[1]].ravel()
    best = scores.argmax(axis=1)
    return scores.max(axis=1), gold[np.arange(len(best)), best]


@dataclass(frozen=True)
class Reliability:
    """How sure a model is, and how right, over those bins of ``calibration_error`` with answers.

    Attributes:
        confidence: mean score, [bins] float64.
        right: share of right ones, [bins] float64.
        counts: of scores, [bins] int64.
    """

    confidence: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]
    counts: Ints


def reliability(judged: Judged) -> Reliability | None:
    """What a reliability diagram shows (Guo et al. 2017, section 2); None without scores."""
    found = _confidence(judged)
    if found is None:
        return None
    confidence, right = found
    bins = _bins(confidence)
    counts = np.bincount(bins, minlength=BINS)
    kept = counts > 0
    sums = (np.bincount(bins, its, BINS)[kept] for its in (confidence, right))
    means = [its / counts[kept] for its in sums]
    return Reliability(means[0], means[1], counts[kept])


def _bins(confidence: Floats) -> Ints:
    """The bin of each: open to the left and closed to the right, as there; 0 is in the first."""
    bins = np.ceil(confidence.astype(np.float64) * BINS).astype(np.int64) - 1
    return np.clip(bins, 0, BINS - 1)


def expected_calibration_error(confidence: Floats, right: Booleans) -> float:
    """Mean over bins of the distance between confidence and share of right ones, by their size.

    Args:
        confidence: from 0 to 1, [n] float32.
        right: [n].
    """
    bins = _bins(confidence)
    distance = confidence.astype(np.float64) - right
    return float(np.abs(np.bincount(bins, distance, BINS)).sum() / len(confidence))
