"""Bookmarks: reading from one yields what reading from the beginning does."""

import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blocks import Blocks
from conftest import Kept
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.formats import Format
from labelf_cli.sources.csv import CsvSource
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ReadOptions, Source
from labelf_cli.sources.jsonl import JsonlSource
from labelf_cli.sources.parquet import ParquetSource
from labelf_cli.sources.table import Inputs, input_format

OPTIONS = ReadOptions(("text",), Format.PARQUET)
SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=4)

Rows = list[dict[str, object]]


def rows_from(source: Source, bookmark: int | None) -> Rows:
    return [row for batch in source.batches(Kept(), bookmark) for row in batch.to_pylist()]


def require_bookmarks(source: Source, again: Source) -> int:
    """Read from each bookmark; how many there were."""
    whole, found = rows_from(source, None), dict[int, int]()
    before = 0
    for batch in source.batches(Kept()):
        assert source.bookmark is not None
        found.setdefault(source.bookmark, before)
        before += batch.num_rows
    for bookmark, skipped in found.items():
        assert rows_from(again, bookmark) == whole[skipped:]
    return len(found)


TOKENS = st.sampled_from([b"a", b",", b'"', b"\n", b"\r", b"\xff", b"1,b\n", b'2,"c\nd"\n'])


@given(st.lists(TOKENS, max_size=40).map(b"".join), SIZES)
def test_of_csv_whatever_lines_are_bad(content: bytes, sizes: list[int]) -> None:
    source, again = (
        CsvSource(Blocks("calls.csv", b"id,text\n" + content, its), Format.CSV, OPTIONS)
        for its in (sizes, sizes[::-1])
    )
    require_bookmarks(source, again)


LINES = st.sampled_from(['{"text": "a"}', '{"text": "é", "n": 1}', "", "oops", '{"text": {}}'])


@given(st.lists(LINES), SIZES)
def test_of_json_lines(lines: list[str], sizes: list[int]) -> None:
    data = Blocks("calls.jsonl", "\n".join(lines).encode(), sizes)
    source = JsonlSource(data, OPTIONS, pa.schema([("text", pa.string()), ("n", pa.int64())]))
    require_bookmarks(source, source)


def test_of_parquet() -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"text": [str(at) for at in range(50)]}), stream, row_group_size=20)
    source = ParquetSource(Blocks("calls.parquet", stream.getvalue()), OPTIONS)
    assert require_bookmarks(source, source) == 3


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["b=1/calls.csv", "b=1/calls.jsonl"])
def test_of_a_large_file_with_its_mark_in_a_partition(
    tmp_path: Path, mark: bytes, name: str
) -> None:
    rows = [{"id": str(at), "text": "é" * 90} for at in range(30_000)]
    path = tmp_path / name
    path.parent.mkdir()
    is_csv = path.suffix == ".csv"
    lines = ["id,text", *(f"{row['id']},{row['text']}" for row in rows)]
    lines = lines if is_csv else [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_bytes(mark + "\n".join(lines).encode())
    names, format_ = input_format([str(tmp_path)], None)
    (source,) = Inputs(names, format_, OPTIONS).sources
    assert source.names[-1] == "b"
    assert require_bookmarks(source, source) > 3


def test_what_is_not_stored_as_it_is_has_none(tmp_path: Path) -> None:
    content = "id,text\n1,é\n"
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content.encode()))
    (tmp_path / "b.csv").write_bytes(content.encode("utf-16"))
    for name in ("a.csv.gz", "b.csv"):
        source = CsvSource(ByteInput(str(tmp_path / name)), Format.CSV, OPTIONS)
        for batch in source.batches(Kept()):
            assert (batch.num_rows, source.bookmark) == (1, None)
