"""The distinct texts of a chunk, and what a tokenizer makes of them."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.texts import NOTHING, DistinctTexts, Tokenised
from labelf_cli.tokens import TokenIds


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
