"""Every figure is scikit-learn's on the same arrays; the two that it does not have, by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from labelf_cli.metrics import (
    Booleans,
    Judged,
    expected_calibration_error,
    figures,
    intervals,
    resampled,
)

NAMES = ("a", "b", "c", "d")
SCORED = 3
"""The last name has no score: it is gold alone, or a none label."""


@st.composite
def single(draw: st.DrawFn) -> Judged:
    """One label a text by gold, at most one by the model."""
    rows = draw(st.integers(1, 30))
    gold = draw(hnp.arrays(np.int64, rows, elements=st.integers(0, 3)))
    answers = draw(hnp.arrays(np.int64, rows, elements=st.integers(-1, 3)))
    weights = draw(hnp.arrays(np.float32, (rows, SCORED), elements=st.floats(0, 1, width=32)))
    scores = (weights + np.float32(0.01)) / (weights + np.float32(0.01)).sum(axis=1, keepdims=True)
    scores[draw(hnp.arrays(np.bool_, rows))] = np.nan
    eye = np.vstack([np.eye(4, dtype=bool), np.zeros((1, 4), bool)])
    answered = eye[answers]
    covered: Booleans = draw(hnp.arrays(np.bool_, rows))
    covered &= answered.any(axis=1)
    return Judged(NAMES, eye[gold], answered, covered, scores.astype(np.float32), False)


@st.composite
def several(draw: st.DrawFn) -> Judged:
    """Any labels."""
    rows = draw(st.integers(1, 30))
    gold, answers = (draw(hnp.arrays(np.bool_, (rows, 4))) for _ in range(2))
    scores = draw(hnp.arrays(np.float32, (rows, SCORED), elements=st.floats(0, 1, width=32)))
    scores[draw(hnp.arrays(np.bool_, rows))] = np.nan
    covered = np.asarray(answers.any(axis=1), np.bool_)
    return Judged(NAMES, gold, answers, covered, scores, True)


def names_of(chosen: np.ndarray) -> list[str]:
    """The label of each row by name; an answer of none is a name of its own."""
    return [NAMES[row.argmax()] if row.any() else "~" for row in chosen]


def same(found: float | None, expected: float) -> bool:
    return found is not None and math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9)


@settings(max_examples=60)
@given(single())
def test_figures_of_one_label_are_those_of_scikit_learn(judged: Judged) -> None:
    found = figures(judged, resamples=0)
    gold, answers = names_of(judged.gold), names_of(judged.answers)
    present = sorted({*gold, *answers} - {"~"})
    options: dict[str, Any] = {"labels": present, "zero_division": 0}
    assert same(found.accuracy, sk.accuracy_score(gold, answers))
    assert same(found.macro_f1, sk.f1_score(gold, answers, average="macro", **options))
    assert same(found.micro_f1, sk.f1_score(gold, answers, average="micro", **options))
    assert same(found.precision, sk.precision_score(gold, answers, average="micro", **options))
    columns = sk.precision_recall_fscore_support(gold, answers, **options)
    for its, name, *values in zip(found.per_label, present, *columns, strict=True):
        assert its.label == name
        assert [its.precision, its.recall, its.f1, its.support] == pytest.approx(values)
        assert its.answered == answers.count(name)
    matrix = sk.confusion_matrix(gold, answers, labels=[*present, "~"])[:-1]
    np.testing.assert_array_equal(found.confusion, matrix)
    assert found.coverage == judged.covered.mean()
    if judged.covered.any():
        right = [g == a for g, a, c in zip(gold, answers, judged.covered, strict=True) if c]
        assert same(found.covered_accuracy, float(np.mean(right)))
    else:
        assert found.covered_accuracy is None


@settings(max_examples=60)
@given(single())
def test_a_model_that_always_answers_needs_no_labels_named(judged: Judged) -> None:
    gold, answers = names_of(judged.gold), names_of(judged.answers)
    assume("~" not in answers)
    found = figures(judged, resamples=0)
    assert same(found.macro_f1, sk.f1_score(gold, answers, average="macro", zero_division=0))
    assert same(found.accuracy, found.micro_f1)


@settings(max_examples=60)
@given(several())
def test_figures_of_several_labels_are_those_of_scikit_learn(judged: Judged) -> None:
    found = figures(judged, resamples=0)
    present = np.flatnonzero((judged.gold | judged.answers).any(axis=0))
    gold, answers = judged.gold.astype(int), judged.answers.astype(int)
    assert same(found.accuracy, (gold == answers).all(axis=1).mean())
    if not len(present):
        assert (found.macro_f1, found.micro_f1, found.per_label) == (0, 0, ())
        return
    options: dict[str, Any] = {"labels": present, "zero_division": 0}
    assert same(found.macro_f1, sk.f1_score(gold, answers, average="macro", **options))
    assert same(found.micro_f1, sk.f1_score(gold, answers, average="micro", **options))
    assert same(found.precision, sk.precision_score(gold, answers, average="micro", **options))
    columns = sk.precision_recall_fscore_support(gold, answers, **options)
    for its, place, *values in zip(found.per_label, present, *columns, strict=True):
        assert its.label == NAMES[place]
        assert [its.precision, its.recall, its.f1, its.support] == pytest.approx(values)
    matrices = sk.multilabel_confusion_matrix(gold, answers, labels=present)
    np.testing.assert_array_equal(found.confusion, matrices)


@settings(max_examples=60)
@given(single())
def test_log_loss_of_one_label_is_scikit_learn_s(judged: Judged) -> None:
    assert judged.scores is not None
    rows = ~np.isnan(judged.scores).any(axis=1) & ~judged.gold[:, SCORED]
    found = figures(judged, resamples=0).log_loss
    if not rows.any():
        assert found is None
        return
    gold = [name for name, its in zip(names_of(judged.gold), rows, strict=True) if its]
    assert same(found, sk.log_loss(gold, judged.scores[rows], labels=list(NAMES[:SCORED])))


@settings(max_examples=60)
@given(several())
def test_log_loss_of_several_labels_is_the_mean_of_scikit_learn_s(judged: Judged) -> None:
    assert judged.scores is not None
    rows = ~np.isnan(judged.scores).any(axis=1)
    found = figures(judged, resamples=0).log_loss
    if not rows.any():
        assert found is None
        return
    each = [
        sk.log_loss(judged.gold[rows, label], judged.scores[rows, label], labels=[False, True])
        for label in range(SCORED)
    ]
    assert same(found, float(np.mean(each)))


def test_a_single_label_that_may_hold_or_not_is_measured() -> None:
    gold, answers = np.array([[True], [True], [False]]), np.array([[True], [False], [False]])
    scores = np.array([[0.9], [0.4], [0.1]], np.float32)
    found = figures(Judged(("a",), gold, answers, answers[:, 0], scores, True), 10)
    assert (found.accuracy, found.macro_f1) == (2 / 3, 2 / 3)
    assert found.confusion.tolist() == [[[1, 0], [1, 1]]]
    assert same(found.log_loss, sk.log_loss(gold[:, 0], scores[:, 0]))


class TestCalibrationError:
    def test_by_hand(self) -> None:
        # Bins of a fifteenth: 0.95 and 0.98 in the last, 0.62 in the tenth, 0.6 in the ninth.
        confidence = np.array([0.95, 0.98, 0.62, 0.6], np.float32)
        right = np.array([True, False, True, True])
        by_bins = [(abs((0.95 + 0.98) / 2 - 1 / 2), 2), (abs(0.62 - 1), 1), (abs(0.6 - 1), 1)]
        expected = sum(distance * size / 4 for distance, size in by_bins)
        assert expected_calibration_error(confidence, right) == pytest.approx(expected, abs=1e-7)

    def test_is_nothing_where_each_bin_is_as_right_as_it_says(self) -> None:
        confidence = np.repeat(np.array([0.25, 0.75, 1.0], np.float32), 4)
        right = np.array([1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1], bool)
        assert expected_calibration_error(confidence, right) == 0

    @pytest.mark.parametrize(("confidence", "right", "error"), [(0, 0, 0), (0, 1, 1), (1, 0, 1)])
    def test_counts_the_ends(self, confidence: int, right: int, error: int) -> None:
        found = expected_calibration_error(
            np.array([confidence], np.float32), np.array([right > 0])
        )
        assert found == error

    def test_is_of_the_best_label_whatever_was_accepted(self) -> None:
        scores = np.array([[0.7, 0.3], [0.7, 0.3]], np.float32)
        gold = np.array([[True, False], [False, True]])
        judged = Judged(("a", "b"), gold, np.zeros((2, 2), bool), np.zeros(2, bool), scores, False)
        assert figures(judged, 0).calibration_error == pytest.approx(0.2, abs=1e-7)

    @pytest.mark.parametrize(
        "scores", [[[3.0, -1.0]], [[0.9, 0.3]], [[np.nan, np.nan]], None], ids=str
    )
    def test_is_not_made_of_what_is_no_probability(self, scores: list[list[float]] | None) -> None:
        array = None if scores is None else np.array(scores, np.float32)
        gold = np.array([[True, False]])
        found = figures(Judged(("a", "b"), gold, gold, np.array([True]), array, False), 0)
        assert (found.log_loss, found.calibration_error) == (None, None)


class TestIntervals:
    @settings(max_examples=60)
    @given(single() | several(), st.integers(0, 2**32 - 1))
    def test_are_of_what_scikit_learn_says_of_the_rows_that_are_drawn(
        self, judged: Judged, seed: int
    ) -> None:
        rows = len(judged.gold)
        drawn = np.random.default_rng(seed).integers(0, rows, rows)
        weights = np.bincount(drawn, minlength=rows)[None]
        expected = figures(judged.take(drawn), resamples=0)
        for name, (value,) in resampled(judged, weights).items():
            assert getattr(expected, name) in (None, pytest.approx(value)), name

    @settings(max_examples=40)
    @given(single() | several())
    def test_are_the_same_every_time_and_hold_the_figure_of_equal_rows(
        self, judged: Judged
    ) -> None:
        found = intervals(judged, 50)
        assert found == intervals(judged, 50)
        one = judged.take(np.zeros(7, np.int64))
        for name, (low, high) in intervals(one, 20).items():
            assert low == high == pytest.approx(getattr(figures(one, 0), name))

    def test_are_as_wide_as_theory_says(self) -> None:
        gold = np.tile([[True, False]], (1000, 1))
        answers = gold.copy()
        answers[:200] = [False, True]
        judged = Judged(("a", "b"), gold, answers, np.ones(1000, bool), None, False)
        low, high = intervals(judged, 2000)["accuracy"]
        deviation = math.sqrt(0.8 * 0.2 / 1000)
        assert low == pytest.approx(0.8 - 1.96 * deviation, abs=0.003)
        assert high == pytest.approx(0.8 + 1.96 * deviation, abs=0.003)

    def test_of_what_is_never_there_are_left_out(self) -> None:
        gold, none = np.array([[True, False]]), np.zeros((1, 2), bool)
        found = intervals(Judged(("a", "b"), gold, none, np.array([False]), None, False), 10)
        assert "covered_accuracy" not in found
        assert found["accuracy"] == (0, 0)

    def test_are_drawn_in_pieces_where_there_are_many_pairs(self) -> None:
        random = np.random.default_rng(0)
        gold, answers = (random.random((20_000, 16)) < 0.5 for _ in range(2))
        names = tuple(map(str, range(16)))
        judged = Judged(names, gold, answers, np.ones(20_000, bool), None, True)
        low, high = intervals(judged, 400)["micro_f1"]
        assert low < figures(judged, 0).micro_f1 < high


def test_json_is_plain() -> None:
    gold = np.array([[True, False], [False, True]])
    judged = Judged(("a", "b"), gold, gold[::-1], np.ones(2, bool), None, False)
    told = json.loads(json.dumps(figures(judged, 5).as_json()))
    assert told["accuracy"] == 0
    assert told["per_label"]["a"] == {
        "precision": 0,
        "recall": 0,
        "f1": 0,
        "support": 1,
        "answered": 1,
    }
    assert told["confusion"] == {"labels": ["a", "b"], "counts": [[0, 1, 0], [1, 0, 0]]}
    assert told["intervals"]["accuracy"] == [0, 0]
