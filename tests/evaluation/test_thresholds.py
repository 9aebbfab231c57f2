"""Thresholds: the best of all that could be tried, by brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score, precision_score

from labelf_cli.evaluation.judged import Booleans, Floats
from labelf_cli.evaluation.thresholds import Curve, curves, precise

scores_ = st.integers(1, 25).flatmap(
    lambda n: hnp.arrays(np.float32, n, elements=st.floats(0, 1, width=32))
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[Floats, Booleans]:
    scores = draw(scores_)
    return scores, draw(hnp.arrays(np.bool_, len(scores)))


@given(answers())
def test_no_threshold_has_a_higher_f1(found: tuple[Floats, Booleans]) -> None:
    scores, right = found
    threshold = Curve.of(scores, right, int(right.sum())).best_f1()
    assert threshold is not None
    its = f1_score(right, scores >= np.float32(threshold), zero_division=0)
    for other in scores:
        assert f1_score(right, scores >= other, zero_division=0) <= its + 1e-12


@given(answers(), st.floats(0, 1))
def test_a_precision_is_reached_as_low_as_can_be(
    found: tuple[Floats, Booleans], wanted: float
) -> None:
    scores, right = found
    threshold = Curve.of(scores, right, int(right.sum())).precision(wanted)

    def precision(least: float) -> float:
        return float(precision_score(right, scores >= np.float32(least), zero_division=0))

    reach = [float(score) for score in scores if precision(float(score)) >= wanted]
    if threshold is None:
        assert not reach
        return
    assert precision(threshold) >= wanted
    assert min(reach) >= np.float32(threshold)


def test_misses_elsewhere_count_for_f1() -> None:
    scores, right = np.array([0.9, 0.5], np.float32), np.array([True, True])
    # Of one hit and one mistake the mistake is dropped, unless there is nothing to lose.
    mixed = Curve.of(scores, np.array([True, False]), support=1)
    assert mixed.best_f1() == 0.7
    assert Curve.of(scores, right, support=2).best_f1() == 0.25


@pytest.mark.parametrize(
    ("low", "high", "threshold"),
    [(0.2, 0.8, 0.5), (0.41, 0.42, 0.415), (0.0, 1.0, 0.5), (0.12345678, 0.12345684, 0.1234568)],
)
def test_a_threshold_has_few_digits(low: float, high: float, threshold: float) -> None:
    curve = Curve.of(np.array([high, low], np.float32), np.array([True, False]), 1)
    assert curve.best_f1() == threshold


def test_without_answers_there_is_none() -> None:
    curve = Curve.of(np.empty(0, np.float32), np.empty(0, bool), 3)
    assert (curve.best_f1(), curve.precision(0.5)) == (None, None)


SCORES = np.array([[0.7, 0.3], [0.4, 0.6], [np.nan, np.nan], [0.2, 0.8]], np.float32)
GOLD = np.array([[True, False], [True, True], [False, True], [False, True]])


def test_of_one_label_only_the_best_scores_count() -> None:
    first, second = curves(SCORES, GOLD, multi_label=False)
    assert first.scores == pytest.approx([0.7])
    assert second.scores == pytest.approx([0.8, 0.6])
    assert (first.support, second.support) == (2, 3)


def test_of_several_labels_all_scores_count() -> None:
    first, second = curves(SCORES, GOLD, multi_label=True)
    assert first.scores == pytest.approx([0.7, 0.4, 0.2])
    assert second.scores == pytest.approx([0.8, 0.6, 0.3])
    assert first.hits.tolist() == [1, 2, 2]


@given(st.data(), st.floats(0.1, 1))
def test_answers_are_as_precise_as_was_wanted_second_best_ones_too(
    data: st.DataObject, wanted: float
) -> None:
    rows, labels = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 4))
    # Below 1, which is the threshold of a label that is never right.
    scores = data.draw(
        hnp.arrays(np.float32, (rows, labels), elements=st.floats(0, 0.875, width=32))
    )
    scores[data.draw(hnp.arrays(np.bool_, rows))] = np.nan
    gold = np.eye(labels, dtype=bool)[
        data.draw(hnp.arrays(np.int64, rows, elements=st.integers(0, labels - 1)))
    ]
    rare = data.draw(hnp.arrays(np.bool_, labels))
    thresholds = precise(scores, gold, rare, False, wanted)
    passing = np.where(scores >= thresholds.astype(np.float32), scores, -1)
    answers = np.where(passing.max(axis=1) < 0, -1, passing.argmax(axis=1))
    for label in range(labels):
        if rare[label]:
            best = np.nan_to_num(scores, nan=-1).argmax(axis=1)
            assert (best[answers == label] == label).all()
            continue
        right = gold[answers == label, label]
        assert not len(right) or right.mean() >= wanted
        alone = Curve.of(*_best_only(scores, gold, label), 0).precision(wanted)
        assert thresholds[label] >= (1 if alone is None else alone)


def _best_only(scores: Floats, gold: Booleans, label: int) -> tuple[Floats, Booleans]:
    best = np.nan_to_num(scores, nan=-np.inf).argmax(axis=1) == label
    best &= ~np.isnan(scores).any(axis=1)
    return scores[best, label], gold[best, label]
