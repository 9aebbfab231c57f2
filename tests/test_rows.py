"""The rows on their way in: none twice, none left out, in chunks of consecutive ones."""

import time
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.chunk import TEXT
from labelf_cli.rows import Rows
from labelf_cli.sources.interface import Source
from labelf_cli.sources.rejects import BadRows, FailOnBadRows

MANY = 1 << 20


class Numbers(Source):
    """Numbered rows in batches of given sizes, which are known before they are read."""

    names = ("text",)
    schema = pa.schema([("text", pa.string())])

    def __init__(self, sizes: list[int]) -> None:
        self._sizes, self._read = sizes, 0

    @property
    def size(self) -> int | None:
        return sum(self._sizes)

    @property
    def position(self) -> int:
        return self._read

    def batches(
        self,
        bad_rows: BadRows,  # noqa: ARG002
        bookmark: int | None = None,  # noqa: ARG002
    ) -> Iterator[pa.RecordBatch]:
        for size in self._sizes:
            numbers = pa.array(range(self._read, self._read + size)).cast(pa.string())
            self._read += size
            yield pa.record_batch({"text": numbers, TEXT: numbers})


def ranges_of(done: set[int]) -> tuple[range, ...]:
    """Each number as a range of its own, or with those that follow it."""
    found: list[range] = []
    for number in sorted(done):
        if found and found[-1].stop == number:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
    return tuple(found)


@given(
    st.lists(st.integers(0, 40), max_size=8),
    st.sets(st.integers(0, 200)),
    st.none() | st.integers(0, 200),
    st.integers(1, 30),
)
def test_what_is_not_done_comes_once_and_at_its_place(
    sizes: list[int], done: set[int], limit: int | None, max_rows: int
) -> None:
    total = sum(sizes) if limit is None else min(sum(sizes), limit)
    done = {number for number in done if number < total}
    rows = Rows(Numbers(sizes), limit, ranges_of(done), max_rows)
    came: list[int] = []
    for number, chunk in enumerate(rows.chunks(FailOnBadRows())):
        assert chunk.number == number
        assert 0 < chunk.num_rows <= max_rows
        assert chunk.texts.to_pylist() == [str(position) for position in chunk.positions]
        came += chunk.positions
        rows.answered(chunk)
    assert came == sorted(set(range(total)) - done)
    assert rows.count == total


def sizes_of_chunks(seconds: float, count: int, max_rows: int = MANY) -> list[int]:
    """Of the first chunks, if each takes so long to answer."""
    rows = Rows(Numbers([1000] * 200), None, (), max_rows)
    found: list[int] = []
    for chunk in rows.chunks(FailOnBadRows()):
        found.append(chunk.num_rows)
        time.sleep(seconds)
        rows.answered(chunk)
        if len(found) == count:
            break
    return found


def test_chunks_grow_while_they_are_answered_fast() -> None:
    first, *later = sizes_of_chunks(0, 4)
    assert [size // first for size in later] == [8, 64, 512]


def test_chunks_grow_no_further_than_allowed() -> None:
    assert sizes_of_chunks(0, 3, max_rows=200) == [128, 200, 200]


def test_a_chunk_is_meant_to_take_two_seconds() -> None:
    first, second = sizes_of_chunks(0.5, 2)
    assert first < second <= first * 4  # a sleep may be longer


@pytest.mark.parametrize(("limit", "expected"), [(None, 300), (250, 250), (1000, 300)])
def test_all_rows_are_expected_up_to_the_limit(limit: int | None, expected: int) -> None:
    rows = Rows(Numbers([100] * 3), limit, (), MANY)
    assert rows.expected == limit  # nothing was read yet
    list(rows.chunks(FailOnBadRows()))
    assert rows.expected == expected
