"""Chunks: the same rows, cut by the rows alone."""

from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.chunk import TEXT, Chunk, chunks, recut, with_text

Rows = list[tuple[str | None, str | None, int]]

texts_ = st.none() | st.text("aé😀", max_size=10)
rows_ = st.lists(st.tuples(texts_, texts_, st.integers(0, 9)), max_size=40)
limits = st.tuples(st.integers(1, 12), st.integers(1, 60))
splits = st.lists(st.integers(0, 40))
"""Where a table is split into the batches that arrive; equal ones make an empty batch."""


def arriving(rows: Rows, at: list[int]) -> Iterator[pa.RecordBatch]:
    """The rows in batches that end at some positions; all are slices of one table."""
    fields = [("subject", pa.string()), ("body", pa.string()), ("number", pa.int64())]
    columns = [pa.array([row[i] for row in rows], kind) for i, (_, kind) in enumerate(fields)]
    whole = pa.record_batch(columns, schema=pa.schema(fields))
    ends = sorted(min(end, len(rows)) for end in at)
    for start, end in zip([0, *ends], [*ends, len(rows)], strict=True):
        yield whole.slice(start, end - start)


def recut_lists(rows: Rows, at: list[int], limit: tuple[int, int]) -> list[Rows]:
    """The rows of each batch that comes out."""
    batches = recut(arriving(rows, at), *limit)
    return [[tuple(row.values()) for row in batch.to_pylist()] for batch in batches]


@given(rows_, splits, limits)
def test_the_rows_stay_the_same_and_in_their_order(
    rows: Rows, at: list[int], limit: tuple[int, int]
) -> None:
    assert [row for batch in recut_lists(rows, at, limit) for row in batch] == rows


@given(rows_, splits, splits, limits)
def test_the_cuts_do_not_depend_on_how_the_rows_arrive(
    rows: Rows, at: list[int], otherwise_at: list[int], limit: tuple[int, int]
) -> None:
    assert recut_lists(rows, at, limit) == recut_lists(rows, otherwise_at, limit)


@given(rows_, splits, limits)
def test_a_batch_ends_with_the_row_that_reaches_a_limit(
    rows: Rows, at: list[int], limit: tuple[int, int]
) -> None:
    max_rows, max_bytes = limit

    def reached(batch: Rows) -> bool:
        text_bytes = sum(len((text or "").encode()) for row in batch for text in row[:2])
        return len(batch) >= max_rows or text_bytes >= max_bytes

    batches = recut_lists(rows, at, limit)
    assert all(batches)
    assert all(reached(batch) for batch in batches[:-1])
    assert not any(reached(batch[:-1]) for batch in batches)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()], ids=str)
def test_every_kind_of_text_counts(kind: pa.DataType) -> None:
    batch = pa.record_batch({"text": pa.array(["ab", None, "cd", "ef"], kind)})
    assert [cut.num_rows for cut in recut([batch], 100, 4)] == [3, 1]


def test_a_batch_is_given_as_soon_as_its_rows_are_there() -> None:
    def endless() -> Iterator[pa.RecordBatch]:
        while True:
            yield from arriving([("a", "b", 0)], [])

    batches = recut(endless(), 3, 1000)
    assert [next(batches).num_rows, next(batches).num_rows] == [3, 3]


def test_dictionaries_that_differ_between_batches_keep_their_values() -> None:
    batches = [
        pa.record_batch({"label": pa.array(values).dictionary_encode()})
        for values in (["x", "y"], ["z", "y"])
    ]
    (batch,) = recut(batches, 100, 100)
    assert batch.column("label").to_pylist() == ["x", "y", "z", "y"]


@given(rows_, splits, limits)
def test_chunks_are_numbered_and_know_their_first_row(
    rows: Rows, at: list[int], limit: tuple[int, int]
) -> None:
    batches = (with_text(batch, ("body",)) for batch in arriving(rows, at))
    found = list(chunks(batches, *limit))
    assert [chunk.number for chunk in found] == list(range(len(found)))
    for chunk in found:
        ours = rows[chunk.first_row : chunk.first_row + chunk.num_rows]
        assert chunk.texts.to_pylist() == [body for _, body, _ in ours]


def test_a_chunk_tells_its_texts_from_the_columns_that_pass_through() -> None:
    (batch,) = arriving([("s", "b", 7)], [])
    chunk = Chunk(0, 0, with_text(batch, ("body",)))
    assert chunk.rows.equals(batch)
    assert chunk.texts.to_pylist() == ["b"]


def texts_of(columns: dict[str, pa.Array], *names: str) -> list[str | None]:
    batch = with_text(pa.record_batch(columns), names)
    assert batch.schema.names == [*columns, TEXT]
    assert batch.schema.field(TEXT).type == pa.string()
    return list(batch.column(TEXT).to_pylist())


def test_several_text_columns_are_joined_by_a_newline_in_the_order_that_is_asked() -> None:
    columns = {"a": pa.array(["1", ""]), "b": pa.array(["2", "2"]), "c": pa.array(["3", "3"])}
    assert texts_of(columns, "c", "a", "b") == ["3\n1\n2", "3\n\n2"]


def test_nulls_among_several_text_columns_are_left_out() -> None:
    columns = {"subject": pa.array(["s", None, None]), "body": pa.array([None, "b", None])}
    assert texts_of(columns, "subject", "body") == ["s", "b", None]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([" 7\n", "", None]),
        pa.array([" 7\n", "", None], pa.large_string()),
        pa.array([" 7\n", "", None]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_one_text_column_is_taken_as_it_is_whatever_its_type(column: pa.Array) -> None:
    assert texts_of({"text": column}, "text") == [" 7\n", "", None]
