"""CSV: quoted only where needed, and read back the same by any reader."""

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.formats import Format
from labelf_cli.sinks.csv import CsvSink
from labelf_cli.sinks.open import open_sink

TEXT = st.text() | st.text(st.sampled_from('a",\n\r;\t é😀'))


def written(table: pa.Table, *batches: pa.RecordBatch, delimiter: str = ",") -> str:
    """The file that the batches make, or else the table as a whole."""
    stream = io.BytesIO()
    sink = CsvSink(stream, table.schema, delimiter)
    for batch in batches or table.to_batches():
        sink.write(batch)
    sink.finish()
    return stream.getvalue().decode()


@pytest.mark.parametrize(
    ("value", "field"),
    [
        *((plain, plain) for plain in ("007", "1.10", "NA", "null", " a ", "it's", "é😀", "a;b")),
        ("12345678901234567890123", "12345678901234567890123"),
        (None, ""),
        ("", '""'),
        ("a,b", '"a,b"'),
        ('5" screen', '"5"" screen"'),
        ('"', '""""'),
        ("two\nlines", '"two\nlines"'),
        ("two\r\nlines", '"two\r\nlines"'),
        ("a\rb", '"a\rb"'),
    ],
)
def test_a_field_is_quoted_only_where_it_needs_it(value: str | None, field: str) -> None:
    table = pa.table({"text": pa.array([value], pa.string()), "id": [1]})
    assert written(table) == f"text,id\n{field},1\n"


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "^", "]", "\\", "-", "."])
def test_any_delimiter_is_read_back(delimiter: str) -> None:
    table = pa.table({"a": [f"x{delimiter}y", "x"], f"b{delimiter}": ["^-]\\.", delimiter]})
    rows = list(csv.reader(io.StringIO(written(table, delimiter=delimiter)), delimiter=delimiter))
    assert rows == [["a", f"b{delimiter}"], [f"x{delimiter}y", "^-]\\."], ["x", delimiter]]


def test_a_header_is_quoted_as_fields_are() -> None:
    table = pa.table({"a,b": [1], 'say "hi"': [2], "": [3], "two\nlines": [4]})
    assert written(table) == '"a,b","say ""hi""","","two\nlines"\n1,2,3,4\n'


def test_a_table_without_rows_has_a_header() -> None:
    assert (
        written(pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.int8())})) == "a,b\n"
    )


def test_a_null_in_a_table_of_one_column_is_an_empty_line() -> None:
    assert written(pa.table({"a": ["x", None, ""]})) == 'a\nx\n\n""\n'


def test_values_of_all_kinds_are_text() -> None:
    table = pa.table(
        {
            "label": pa.array(["TV, film", None]).dictionary_encode(),
            "score": pa.array([0.1, None], pa.float32()),
            "labels": pa.array([["a", 'b"'], None]),
            "ok": pa.array([True, None]),
        }
    )
    assert (
        written(table) == 'label,score,labels,ok\n"TV, film",0.1,"[""a"", ""b\\""""]",true\n,,,\n'
    )


@given(st.lists(st.tuples(TEXT, st.none() | TEXT)), st.sampled_from([",", ";", "\t"]))
def test_the_standard_library_reads_the_same_strings(
    rows: list[tuple[str, str | None]], delimiter: str
) -> None:
    texts, others = ([row[i] for row in rows] for i in range(2))
    table = pa.table({"text": pa.array(texts, pa.string()), "b": pa.array(others, pa.string())})
    file = io.StringIO(written(table, delimiter=delimiter), newline="")
    expected = [["text", "b"], *([text, other or ""] for text, other in rows)]
    assert list(csv.reader(file, delimiter=delimiter)) == expected


def test_tsv_is_delimited_by_tabs_and_the_stream_stays_open() -> None:
    stream = io.BytesIO()
    table = pa.table({"a": ["x"], "b": ["y\tz"]})
    sink = open_sink(stream, Format.TSV, table.schema)
    sink.write(table.to_batches()[0])
    sink.finish()
    assert stream.getvalue() == b'a\tb\nx\t"y\tz"\n'
