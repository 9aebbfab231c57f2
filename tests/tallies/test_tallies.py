"""The laws of the tallies: whatever the batches, what plain Python and scipy say."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats.contingency import association

from labelf_cli.tallies.chosen import ChosenRow, Lowest
from labelf_cli.tallies.codes import OTHERS, LabelCodes
from labelf_cli.tallies.table import Counts, cramers_v, joined

LABELS = st.none() | st.sampled_from(["", "a", "b", "c", "d"])


@given(st.lists(st.lists(LABELS, max_size=6), max_size=5))
def test_a_code_stands_for_its_label_whatever_the_dictionary(batches: list[list[str]]) -> None:
    codes = LabelCodes()
    for labels in batches:
        plain = pa.array(labels, pa.string())
        for column in (plain, plain.dictionary_encode(), pa.array(["z", *labels])[1:]):
            assert [codes.names[code] for code in codes.of(column)] == [
                label or None for label in labels
            ]
    assert len(set(codes.names)) == len(codes.names)


def test_labels_beyond_the_most_share_a_code() -> None:
    codes = LabelCodes(most=2)
    found = codes.of(pa.array(["a", "b", "c", "a", "d", None]))
    assert [codes.names[code] for code in found] == ["a", "b", OTHERS, "a", OTHERS, None]
    assert [codes.names[code] for code in codes.of(pa.array(["e", "b"]))] == [OTHERS, "b"]


ENTRIES = st.lists(st.integers(0, 7), max_size=20).map(sorted)


@given(ENTRIES, ENTRIES)
def test_entries_of_the_same_row_are_joined(first: list[int], second: list[int]) -> None:
    ones, others = joined(np.array(first, np.int64), np.array(second, np.int64), 8)
    expected = [(i, j) for i, a in enumerate(first) for j, b in enumerate(second) if a == b]
    assert list(zip(ones.tolist(), others.tolist(), strict=True)) == expected


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))), max_size=4))
def test_pairs_are_counted(batches: list[list[tuple[int, int]]]) -> None:
    counts = Counts()
    for pairs in batches:
        counts.add(*np.array(pairs, np.int64).reshape(-1, 2).T)
    expected = Counter(pair for pairs in batches for pair in pairs)
    found = {
        (int(i), int(j)): int(counts.counts[i, j])
        for i, j in zip(*counts.counts.nonzero(), strict=True)
    }
    assert found == expected


@settings(max_examples=60)
@given(
    hnp.arrays(
        np.int64, st.tuples(st.integers(2, 5), st.integers(2, 5)), elements=st.integers(0, 40)
    )
)
def test_cramers_v_is_scipy_s(counts: np.ndarray) -> None:
    kept = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    found = cramers_v(counts)
    if min(kept.shape) < 2:
        assert found is None
    else:
        assert found == pytest.approx(association(kept, method="cramer"))


def row(rank: float, number: int) -> ChosenRow:
    return ChosenRow(rank, number, (), None, None, None, 0, (), None)


@given(
    st.integers(0, 5),
    st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, np.nan]), max_size=9), max_size=6),
)
def test_the_lowest_are_kept_the_earlier_of_equals(limit: int, batches: list[list[float]]) -> None:
    lowest, begin = Lowest(limit), 0
    for ranks in batches:
        wanted = lowest.wanted(np.array(ranks, np.float32)).tolist()
        assert len(wanted) <= limit
        lowest.take([row(ranks[at], begin + at) for at in wanted])
        begin += len(ranks)
    numbered = enumerate(rank for ranks in batches for rank in ranks)
    expected = sorted((rank, number) for number, rank in numbered if not np.isnan(rank))
    assert [(its.rank, its.row) for its in lowest.rows] == expected[:limit]
