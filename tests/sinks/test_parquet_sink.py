"""Parquet: schema and values as they are, row groups cut by the rows alone."""

import gc
import io
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.formats import Format
from labelf_cli.sinks.open import open_sink, writing
from labelf_cli.sinks.parquet import ROW_GROUP_BYTES, ROW_GROUP_ROWS


def written(table: pa.Table, *batches: pa.RecordBatch) -> bytes:
    """The file that the batches make, or else the table as a whole."""
    stream = io.BytesIO()
    sink = open_sink(stream, Format.PARQUET, table.schema)
    for batch in batches or table.combine_chunks().to_batches():
        sink.write(batch)
    sink.finish()
    return stream.getvalue()


def row_groups(content: bytes) -> list[int]:
    """Rows of each row group."""
    metadata = pq.read_metadata(io.BytesIO(content))
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def cut(table: pa.Table, places: list[int]) -> list[pa.RecordBatch]:
    """The rows in batches of any size, some of them empty."""
    whole = table.combine_chunks().to_batches()[0]
    ends = sorted([0, *(place % (len(whole) + 1) for place in places), len(whole)])
    return [whole.slice(start, end - start) for start, end in pairwise(ends)]


def test_types_values_and_metadata_are_read_back() -> None:
    schema = pa.schema(
        [
            pa.field("text", pa.string(), nullable=False, metadata={"unit": "call"}),
            ("seen", pa.timestamp("us", "Europe/Oslo")),
            ("price", pa.decimal128(9, 2)),
            ("pairs", pa.map_(pa.string(), pa.list_(pa.int8()))),
            ("raw", pa.binary(2)),
        ],
        metadata={"origin": "the warehouse"},
    )
    rows = [
        {"text": "007", "pairs": [("a", [1, None])], "raw": b"\xff\x00"},
        {"text": "", "seen": 1_700_000_000_000_000, "pairs": []},
    ]
    table = pa.Table.from_pylist(rows, schema)
    found = pq.read_table(io.BytesIO(written(table)))
    assert found.equals(table)
    assert found.schema.metadata == schema.metadata
    assert found.schema.field("text").metadata[b"unit"] == b"call"


def test_labels_stay_dictionary_encoded() -> None:
    labels = pa.array(["a", None, "b", "a"]).dictionary_encode()
    nested = pa.StructArray.from_arrays([labels], ["label"])
    table = pa.table({"label": labels, "nested": nested})
    assert pq.read_table(io.BytesIO(written(table))).equals(table)


def test_a_table_without_rows_keeps_its_schema() -> None:
    table = pa.table({"text": pa.array([], pa.string()), "n": pa.array([], pa.int8())})
    assert pq.read_table(io.BytesIO(written(table))).schema == table.schema


MANY = 2 * ROW_GROUP_ROWS + 5


@pytest.fixture(scope="module")
def many_rows() -> pa.Table:
    """More rows than two row groups hold."""
    numbers = np.random.default_rng(0).integers(0, 500, MANY)
    texts = pa.array(numbers).cast(pa.string())
    return pa.table({"text": texts, "n": numbers, "label": texts.dictionary_encode()})


@pytest.mark.parametrize("rows", [999, 4096, ROW_GROUP_ROWS - 1, ROW_GROUP_ROWS, MANY])
def test_row_groups_are_cut_by_the_rows_alone(many_rows: pa.Table, rows: int) -> None:
    found = written(many_rows, *cut(many_rows, list(range(0, MANY, rows))))
    assert row_groups(found) == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 5]
    assert found == written(many_rows)


@pytest.mark.parametrize("rows", [1, 7, 70])
def test_row_groups_of_long_texts_are_cut_by_their_bytes(rows: int) -> None:
    table = pa.table({"text": ["x" * (1 << 20)] * 70})
    found = written(table, *cut(table, list(range(0, 70, rows))))
    size = ROW_GROUP_BYTES >> 20
    assert row_groups(found) == [size, size, 70 - 2 * size]
    assert found == written(table)


@given(st.lists(st.none() | st.text()), st.lists(st.integers(0, 99), max_size=4))
def test_the_bytes_do_not_depend_on_the_batches(
    values: list[str | None], places: list[int]
) -> None:
    texts = pa.array([*values, "a"], pa.string())
    lists = pa.array([[value, value] for value in texts.to_pylist()])
    table = pa.table({"a": texts, "b": texts.dictionary_encode(), "c": lists})
    assert written(table, *cut(table, places)) == written(table)


@given(st.lists(st.none() | st.sampled_from("abc"), min_size=1), st.lists(st.integers(0, 99)))
def test_the_bytes_do_not_depend_on_the_dictionaries_of_batches(
    values: list[str | None], places: list[int]
) -> None:
    plain = pa.table({"label": pa.array(values, pa.string())})
    encoded = pa.table({"label": plain["label"].combine_chunks().dictionary_encode()})
    own = [
        pa.record_batch([batch.column(0).dictionary_encode()], ["label"])
        for batch in cut(plain, places)
    ]
    assert written(encoded, *own) == written(encoded)


@pytest.mark.parametrize("rows", [999, 4096])
def test_a_row_group_does_not_depend_on_the_dictionaries_of_batches(rows: int) -> None:
    labels = pa.array(np.arange(MANY) // 5000).cast(pa.string())
    own = [
        pa.record_batch([batch.column(0).dictionary_encode()], ["label"])
        for batch in cut(pa.table({"label": labels}), list(range(0, MANY, rows)))
    ]
    whole = pa.table({"label": labels.dictionary_encode()})
    assert written(whole, *own) == written(whole)


def test_a_table_whose_rows_fail_on_the_way_is_no_parquet_file() -> None:
    def fail() -> None:
        table = pa.table({"text": ["a"]})
        with writing(open_sink(stream, Format.PARQUET, table.schema)) as sink:
            sink.write(table.to_batches()[0])
            raise KeyboardInterrupt

    stream = io.BytesIO()
    with pytest.raises(KeyboardInterrupt):
        fail()
    gc.collect()  # a writer that is collected must not add a footer
    assert not stream.closed
    with pytest.raises(pa.ArrowInvalid):
        pq.read_metadata(stream)
