"""Answers beside gold, of any kind, for property tests."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from labelf_cli.evaluation.judged import Booleans, Judged

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
    said = eye[answers]
    answered: Booleans = np.asarray(said.any(axis=1), np.bool_)
    covered: Booleans = draw(hnp.arrays(np.bool_, rows))
    covered &= answered
    return Judged(NAMES, eye[gold], said, covered, answered, scores.astype(np.float32), False)


@st.composite
def several(draw: st.DrawFn) -> Judged:
    """Any labels."""
    rows = draw(st.integers(1, 30))
    gold, answers = (draw(hnp.arrays(np.bool_, (rows, 4))) for _ in range(2))
    scores = draw(hnp.arrays(np.float32, (rows, SCORED), elements=st.floats(0, 1, width=32)))
    scores[draw(hnp.arrays(np.bool_, rows))] = np.nan
    covered = np.asarray(answers.any(axis=1), np.bool_)
    answered: Booleans = covered | draw(hnp.arrays(np.bool_, rows))
    return Judged(NAMES, gold, answers, covered, answered, scores, True)
