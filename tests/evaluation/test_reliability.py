"""How sure against how right, by hand."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from judged_cases import several

from labelf_cli.evaluation.judged import Judged
from labelf_cli.evaluation.metrics import figures
from labelf_cli.evaluation.reliability import (
    BINS,
    calibration_error,
    expected_calibration_error,
    probabilities,
    reliability,
)


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
        judged = Judged(
            ("a", "b"),
            gold,
            np.zeros((2, 2), bool),
            np.zeros(2, bool),
            np.zeros(2, bool),
            scores,
            False,
        )
        assert figures(judged, 0).calibration_error == pytest.approx(0.2, abs=1e-7)

    @pytest.mark.parametrize(
        "scores", [[[3.0, -1.0]], [[0.9, 0.3]], [[np.nan, np.nan]], None], ids=str
    )
    def test_is_not_made_of_what_is_no_probability(self, scores: list[list[float]] | None) -> None:
        array = None if scores is None else np.array(scores, np.float32)
        gold = np.array([[True, False]])
        found = figures(
            Judged(("a", "b"), gold, gold, np.array([True]), np.array([True]), array, False), 0
        )
        assert (found.log_loss, found.calibration_error) == (None, None)


@settings(max_examples=60)
@given(several())
def test_the_diagram_is_what_plain_python_counts(judged: Judged) -> None:
    found, scored = reliability(judged), probabilities(judged)
    assert (found is None) is (scored is None)
    if found is None or scored is None:
        return
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, gold in zip(*(its.tolist() for its in scored), strict=True):
        for score, holds in zip(row, gold, strict=False):  # the last label has no score
            bins.setdefault(max(math.ceil(score * BINS), 1), []).append((score, holds))
    pairs = [bins[at] for at in sorted(bins)]
    assert found.counts.tolist() == [len(its) for its in pairs]
    assert found.confidence == pytest.approx([statistics.fmean(s for s, _ in p) for p in pairs])
    assert found.right == pytest.approx([statistics.fmean(h for _, h in p) for p in pairs])


def test_the_diagram_has_the_calibration_error_between_its_lines() -> None:
    scores = np.array([[0.7, 0.3], [0.7, 0.3], [0.1, 0.9]], np.float32)
    gold = np.array([[True, False], [False, True], [False, True]])
    judged = Judged(("a", "b"), gold, gold, np.ones(3, bool), np.ones(3, bool), scores, False)
    found = reliability(judged)
    assert found is not None
    assert found.counts.tolist() == [2, 1]
    assert found.right.tolist() == [0.5, 1]
    assert found.confidence == pytest.approx([0.7, 0.9])
    weighted = np.abs(found.confidence - found.right) * found.counts
    assert calibration_error(judged) == pytest.approx(weighted.sum() / 3)
