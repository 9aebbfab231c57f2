"""Intervals: each resample is what scikit-learn says of the rows that are drawn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_cases import several, single

from labelf_cli.evaluation.intervals import intervals, resampled
from labelf_cli.evaluation.judged import Judged
from labelf_cli.evaluation.metrics import figures


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
        judged = Judged(
            ("a", "b"), gold, answers, np.ones(1000, bool), np.ones(1000, bool), None, False
        )
        low, high = intervals(judged, 2000)["accuracy"]
        deviation = math.sqrt(0.8 * 0.2 / 1000)
        assert low == pytest.approx(0.8 - 1.96 * deviation, abs=0.003)
        assert high == pytest.approx(0.8 + 1.96 * deviation, abs=0.003)

    def test_of_what_is_never_there_are_left_out(self) -> None:
        gold, none = np.array([[True, False]]), np.zeros((1, 2), bool)
        found = intervals(
            Judged(("a", "b"), gold, none, np.array([False]), np.array([False]), None, False), 10
        )
        assert "covered_accuracy" not in found
        assert found["accuracy"] == (0, 0)

    def test_are_drawn_in_pieces_where_there_are_many_pairs(self) -> None:
        random = np.random.default_rng(0)
        gold, answers = (random.random((20_000, 16)) < 0.5 for _ in range(2))
        names = tuple(map(str, range(16)))
        judged = Judged(
            names, gold, answers, np.ones(20_000, bool), np.ones(20_000, bool), None, True
        )
        low, high = intervals(judged, 400)["micro_f1"]
        assert low < figures(judged, 0).micro_f1 < high
