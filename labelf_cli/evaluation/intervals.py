"""How far figures would be off on other texts of the same kind: intervals by a bootstrap.

scikit-learn has none, and its figures can't be had of many resamples at once.
"""

import numpy as np
import numpy.typing as npt

from labelf_cli.evaluation.judged import Ints, Judged

Interval = tuple[float, float]

RESAMPLES = 1000

_SEED = 0
_CELLS = 1 << 22


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
    pairs = np.hstack(
        [judged.gold, judged.answers, judged.covered[:, None], judged.answered[:, None]]
    )
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
    right = judged.right
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
