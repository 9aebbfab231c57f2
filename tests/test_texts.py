"""The distinct texts of a chunk, and what a tokenizer makes of them."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.texts import (
    BYTES_PER_STEP,
    NOTHING,
    TEXTS_PER_STEP,
    DistinctTexts,
    Tokenised,
    Tokenising,
    tokenising_steps,
)
from labelf_cli.tokens import Characters, TokenIds

sizes_ = st.lists(st.integers(0, 40) | st.sampled_from([BYTES_PER_STEP - 1, 10**8]), max_size=600)


@given(st.lists(st.none() | st.sampled_from(["", " \n", "a", "b ", "b", "ö"])))
def test_each_text_stands_once_and_rows_know_theirs(rows: list[str | None]) -> None:
    texts = DistinctTexts.of(pa.array(rows, pa.string()))
    distinct = texts.distinct.to_pylist()
    assert len(set(distinct)) == len(distinct)
    expected = [None if row is None or not row.strip() else row for row in rows]
    assert [[*distinct, None][place] for place in texts.places] == expected


def test_reasons_stand_in_the_rows_of_their_texts() -> None:
    texts = DistinctTexts.of(pa.array(["a", "b", None, "a"]))
    failed = texts.distinct.to_pylist().index("a")
    column = texts.spread({failed: ["m: one", "n: two"]})
    assert column.to_pylist() == ["m: one; n: two", None, None, "m: one; n: two"]
    assert texts.spread({}).to_pylist() == [None] * 4


def test_texts_that_are_tokenised_later_take_their_places() -> None:
    first = Tokenised(np.array([1, 5]), TokenIds.of([[1], [5, 5]]), {1: "no"})
    later = Tokenised(np.array([0, 3]), TokenIds.of([[], [3]]), {3: "no"})
    both = NOTHING | first | later
    assert both.places.tolist() == [0, 1, 3, 5]
    ids, spans = both.ids, zip(both.ids.starts, both.ids.lengths, strict=True)
    assert [ids.flat[s : s + n].tolist() for s, n in spans] == [[], [1], [3], [5, 5]]
    assert both.failures == {1: "no", 3: "no"}


@given(sizes_)
def test_every_text_is_tokenised_in_one_step_and_no_step_is_long(sizes: list[int]) -> None:
    steps = list(tokenising_steps(np.array(sizes, np.int64)))
    assert [size for step in steps for size in sizes[step]] == sizes
    for step in steps:
        assert 0 < len(sizes[step]) <= TEXTS_PER_STEP
        assert sum(sizes[step][:-1]) < BYTES_PER_STEP
    for step, following in pairwise(steps):  # nor is one shorter than it must be
        full = sum(sizes[step]) >= BYTES_PER_STEP or len(sizes[step]) == TEXTS_PER_STEP
        assert full, following


class Choosy(Characters):
    """Fails on a text that says so."""

    def encode(self, texts: list[str]) -> TokenIds:
        if "fail" in texts:
            raise ValueError("as it says")
        return super().encode(texts)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_steps_that_end_in_any_order_give_the_texts_in_theirs(order: tuple[int, ...]) -> None:
    texts = [f"{n}" for n in range(2 * TEXTS_PER_STEP)] + ["the", "fail", "last"]
    places = np.arange(len(texts)) + 5
    tokenising = Tokenising(Choosy(), pa.array(texts), places)
    assert set(tokenising.steps) == set(order)
    *earlier, done = [tokenising.run(step) for step in order]
    assert earlier == [None, None]
    assert done is not None
    assert done.places.tolist() == places.tolist()
    texts[-2] = ""
    assert Characters.decode(done.ids, np.arange(len(texts))) == texts
    assert done.failures == {len(texts) + 3: "can't be tokenised (as it says)"}
