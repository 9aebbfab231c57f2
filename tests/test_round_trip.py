"""What a sink writes, the source of the format reads back as the same table."""

import io
import json
from collections.abc import Sequence
from itertools import pairwise

import pyarrow as pa
import pytest
from blocks import WHOLE, Blocks
from hypothesis import given, settings
from hypothesis import strategies as st

from labelf_cli.formats import Format
from labelf_cli.sinks.open import open_sink
from labelf_cli.sources.csv import CsvSource
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ReadOptions, Source
from labelf_cli.sources.jsonl import JsonlSource, infer_schema
from labelf_cli.sources.parquet import ParquetSource
from labelf_cli.sources.rejects import FailOnBadRows

FORMATS = list(Format)


def in_memory(content: bytes, size: int = WHOLE) -> ByteInput:
    return Blocks("table", content, (size,))


def write(table: pa.Table, format_: Format, ends: Sequence[int] = ()) -> bytes:
    """The file that the rows make in batches, some perhaps empty, that end at ``ends``."""
    stream = io.BytesIO()
    sink = open_sink(stream, format_, table.schema)
    for whole in table.combine_chunks().to_batches():
        cuts = sorted([0, *(min(end, len(whole)) for end in ends), len(whole)])
        for start, end in pairwise(cuts):
            sink.write(whole.slice(start, end - start))
    sink.finish()
    assert not stream.closed
    return stream.getvalue()


def open_source(data: ByteInput, format_: Format, options: ReadOptions) -> Source:
    if format_ is Format.PARQUET:
        return ParquetSource(data, options)
    if format_ is Format.JSONL:
        return JsonlSource(data, options, infer_schema([data], options.output_format))
    return CsvSource(data, format_, options)


def read(data: ByteInput, format_: Format, towards: Format, text: Sequence[str]) -> pa.Table:
    """The columns that pass, without the text column."""
    source = open_source(data, format_, ReadOptions(tuple(text), towards))
    batches = [
        batch.select(range(batch.num_columns - 1)) for batch in source.batches(FailOnBadRows())
    ]
    return pa.Table.from_batches(batches, source.schema)


NAMES = st.text(st.characters(exclude_characters="\ufeff", exclude_categories=["Cs"]), max_size=5)
TEXT = st.one_of(
    st.text(),
    st.text(st.sampled_from('",\n\r\t;\\ é😀{}')),
    st.sampled_from(["007", "1.10", "NA", "null", "true", "12345678901234567890123", "", " "]),
)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table of strings and nulls; it has rows, else JSON Lines could not name its columns."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    rows = draw(st.integers(1, 5))
    column = st.lists(st.none() | TEXT, min_size=rows, max_size=rows)
    return pa.table({name: pa.array(draw(column), pa.string()) for name in names})


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=60)
@given(tables(), st.integers(1, 99))
def test_a_table_of_text_is_read_back(format_: Format, table: pa.Table, size: int) -> None:
    data = in_memory(write(table, format_), size)
    assert read(data, format_, Format.CSV, table.column_names[:1]).equals(table)


@pytest.mark.parametrize("format_", FORMATS)
def test_text_is_never_taken_for_anything_else(format_: Format) -> None:
    table = pa.table({name: [name] for name in ("007", "1.10", "1", "true", "2024-05-01", "NaN")})
    found = read(in_memory(write(table, format_)), format_, Format.PARQUET, ["007"])
    assert found.equals(table)


@settings(max_examples=50)
@given(tables(), st.permutations(FORMATS))
def test_a_table_survives_a_way_through_all_formats(table: pa.Table, way: list[Format]) -> None:
    found = table
    for step, after in zip(way, [*way[1:], Format.CSV], strict=True):
        towards = Format.CSV if after is Format.JSONL else after
        found = read(in_memory(write(found, step)), step, towards, table.column_names[:1])
    assert found.equals(table)


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=25)
@given(tables(), st.lists(st.integers(0, 5)))
def test_the_bytes_do_not_depend_on_the_batches(
    format_: Format, table: pa.Table, ends: list[int]
) -> None:
    column = table.column(0).combine_chunks()
    label = column.dictionary_encode()
    labels = pa.array([[value, value] for value in column.to_pylist()])
    predictions = pa.StructArray.from_arrays([label, labels], ["label", "labels"])
    table = pa.table({"text": column, "label": label, "labels": labels, "all": predictions})
    assert write(table, format_, ends) == write(table, format_)


@given(st.lists(st.dictionaries(NAMES, st.none() | st.booleans() | TEXT), min_size=1))
def test_json_objects_come_and_go_as_they_are(rows: list[dict[str, object]]) -> None:
    objects = [
        json.dumps({"text": "", **row}, ensure_ascii=i % 2 == 0) for i, row in enumerate(rows)
    ]
    content = "\n".join(objects).encode()
    found = read(in_memory(content, 7), Format.JSONL, Format.JSONL, ["text"])
    labelled = found.append_column("label", pa.array(["x"] * len(rows)))
    expected = [f'{line[:-1]}, "label": "x"}}\n' for line in objects]
    assert write(labelled, Format.JSONL).decode() == "".join(expected)


@pytest.mark.parametrize("format_", [Format.CSV, Format.TSV, Format.PARQUET])
def test_a_table_without_rows_is_read_back(format_: Format) -> None:
    table = pa.schema({"text": pa.string(), "id": pa.string()}).empty_table()
    found = read(in_memory(write(table, format_)), format_, format_, ["text"])
    assert found.equals(table)
