"""Parquet: the file's own schema, streamed."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Kept

from labelf_cli.errors import BadRowError, InputError
from labelf_cli.formats import Format
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.parquet import ParquetSource
from labelf_cli.sources.rejects import FailOnBadRows

POINT = pa.struct([("x", pa.int8()), ("tags", pa.list_(pa.string()))])
RICH = pa.table(
    {
        "text": pa.array(["007", None, "", "👩‍👩‍👧 1.10\n"]),
        "label": pa.array(["b", "a", None, "b"]).dictionary_encode(),
        "seen": pa.array([datetime(2024, 5, 1, tzinfo=UTC)] * 4, pa.timestamp("us", "Europe/Oslo")),
        "price": pa.array(
            [Decimal("1.10"), None, Decimal("-0.05"), Decimal(7)], pa.decimal128(9, 2)
        ),
        "id": pa.array([2**64 - 1, 0, None, 1], pa.uint64()),
        "point": pa.array([{"x": 1, "tags": ["a", None]}, None, {"x": None}, {"tags": []}], POINT),
        "pairs": pa.array([[("k", 1)], [], None, [("a", None)]], pa.map_(pa.string(), pa.int32())),
        "raw": pa.array([b"\xff\x00", b"", None, b"a"]),
        "score": pa.array([0.1, float("nan"), None, float("-inf")], pa.float32()),
    },
    metadata={"pandas": '{"index": 1}', "origin": "the warehouse"},
)


def open_parquet(path: Path, *text_columns: str) -> ParquetSource:
    options = ReadOptions(text_columns or ("text",), Format.PARQUET)
    return ParquetSource(ByteInput(str(path)), options)


def written(path: Path, table: pa.Table, row_group_size: int | None = None) -> Path:
    pq.write_table(table, path, row_group_size=row_group_size)
    return path


def passed(source: ParquetSource) -> pa.Table:
    """The columns that pass, without the text column."""
    batches = [
        batch.select(range(batch.num_columns - 1)) for batch in source.batches(FailOnBadRows())
    ]
    return pa.Table.from_batches(batches, source.schema)


def texts(source: ParquetSource) -> list[str | None]:
    return [
        text for batch in source.batches(FailOnBadRows()) for text in batch.columns[-1].to_pylist()
    ]


def test_types_values_and_metadata_stay(tmp_path: Path) -> None:
    source = open_parquet(written(tmp_path / "calls.parquet", RICH))
    expected = pq.read_table(tmp_path / "calls.parquet").schema
    assert source.schema.equals(expected, check_metadata=True)
    assert source.schema.types == RICH.schema.types
    found = passed(source)
    # Text tells NaN from NaN no less than from other values.
    assert str(found.to_pydict()) == str(RICH.to_pydict())
    assert found.schema.metadata == RICH.schema.metadata


def test_rows_come_in_order_over_row_groups(tmp_path: Path) -> None:
    table = pa.table({"text": [f"call {i}" for i in range(5000)]})
    source = open_parquet(written(tmp_path / "calls.parquet", table, row_group_size=700))
    assert texts(source) == table["text"].to_pylist()


def test_a_row_group_is_not_read_at_once(tmp_path: Path) -> None:
    table = pa.table({"text": [f"{i:01024}" for i in range(64 << 10)]})
    path = tmp_path / "calls.parquet"
    pq.write_table(table, path, compression="none", use_dictionary=False)
    nbytes = table.nbytes
    del table
    before = pa.total_allocated_bytes()
    source = open_parquet(path)
    held = [pa.total_allocated_bytes() - before for _ in source.batches(FailOnBadRows())]
    assert pq.read_metadata(path).num_row_groups == 1
    assert max(held) < nbytes / 4


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array(["a", None]), "a"),
        (pa.array(["a", None], pa.large_string()), "a"),
        (pa.array(["a", None], pa.string_view()), "a"),
        (pa.array(["a", None]).dictionary_encode(), "a"),
        (pa.array([b"a", None]), "a"),
        (pa.array([7, None]), "7"),
        (pa.array([True, None]), "true"),
        (pa.array([Decimal("1.10"), None]), "1.10"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_column_of_another_type_is_classified_as_text(
    tmp_path: Path, column: pa.Array, text: str
) -> None:
    source = open_parquet(written(tmp_path / "calls.parquet", pa.table({"text": column})))
    assert texts(source) == [text, None]


def test_several_text_columns_are_joined_by_a_newline_and_nulls_left_out(tmp_path: Path) -> None:
    table = pa.table({"a": ["x", None, "x", None], "b": ["y", "y", None, None]})
    source = open_parquet(written(tmp_path / "calls.parquet", table), "a", "b")
    assert texts(source) == ["x\ny", "y", "x", None]


def test_a_nested_text_column_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "calls.parquet", pa.table({"text": pa.array([{"a": 1}])}))
    with pytest.raises(InputError) as error:
        open_parquet(path)
    assert str(error.value) == f"{path}: column 'text' is struct<a: int64>, not text"


def test_two_text_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"])
    with pytest.raises(InputError, match="two columns are named 'text'"):
        open_parquet(written(tmp_path / "calls.parquet", table))


@pytest.mark.parametrize("content", [b"", b"text\na\n", b"PAR1 and then nothing PAR1"])
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calls.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        open_parquet(path)
    assert str(error.value).startswith(f"{path}: not a Parquet file (")


def test_a_page_that_is_damaged_is_an_error_of_the_run(tmp_path: Path) -> None:
    path = written(
        tmp_path / "calls.parquet", pa.table({"text": [f"{i:099}" for i in range(9999)]})
    )
    content = bytearray(path.read_bytes())
    content[4:2000] = b"\xff" * 1996
    path.write_bytes(content)
    with pytest.raises(BadRowError) as error:
        texts(open_parquet(path))
    assert str(error.value).startswith(f"{path}, row 1: its row group can't be read further (")
    assert str(error.value).endswith("). Restore the file, or run it again with --bad-rows reject")


def test_a_row_group_that_is_damaged_costs_its_own_rows(tmp_path: Path) -> None:
    table = pa.table({"text": [f"{i:099}" for i in range(9000)]})
    path = tmp_path / "calls.parquet"
    pq.write_table(table, path, row_group_size=3000, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    begin = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    content[begin : begin + 50] = b"\xff" * 50
    path.write_bytes(content)
    source, bad_rows = open_parquet(path), Kept()
    came = [text for batch in source.batches(bad_rows) for text in batch.columns[-1].to_pylist()]
    expected = table["text"].to_pylist()
    assert came == expected[:3000] + expected[6000:]
    assert [row for row, *_ in bad_rows.kept] == list(range(3001, 6001))
    assert {(offset, raw) for _, offset, _, raw in bad_rows.kept} == {(begin, b"")}
    assert (source.position, source.size) == (9000, 9000)


def test_rows_whose_text_is_no_text_are_rejected_and_not_lost(tmp_path: Path) -> None:
    texts = [b"call"] * 4000
    texts[1500] = b"\xff"
    path = written(tmp_path / "calls.parquet", pa.table({"text": texts}), row_group_size=2000)
    source, bad_rows = open_parquet(path), Kept()
    came = sum(batch.num_rows for batch in source.batches(bad_rows))
    assert came + bad_rows.count == source.position == 4000
    assert [row for row, *_ in bad_rows.kept] == list(range(1025, 2001))


def test_a_bit_that_changed_is_told_from_data_by_its_checksum(tmp_path: Path) -> None:
    table = pa.table({"text": [f"{i:099}" for i in range(10)]})
    path = tmp_path / "calls.parquet"
    options = {"compression": "none", "use_dictionary": False}
    pq.write_table(table, path, write_page_checksum=True, **options)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"00005", b"00015"))
    bad_rows = Kept()
    assert list(open_parquet(path).batches(bad_rows)) == []
    assert bad_rows.count == 10
