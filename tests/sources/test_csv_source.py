"""CSV: values pass unchanged, whatever the blocks; what can't be read is named with its line."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from blocks import WHOLE, Blocks
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.errors import BadRowError, InputError, LabelfError, UsageError
from labelf_cli.formats import Format
from labelf_cli.sources.csv import CsvSource
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.rejects import FailOnBadRows

OPTIONS = ReadOptions(("text",), Format.CSV)
NO_HEADER = replace(OPTIONS, text_columns=("column_1",), header=False)
BLOCK_SIZES = (1, 2, 3, 5, 16, 1 << 20)

Row = tuple[str | None, ...]


OR_REJECT = ", or run it again with --bad-rows reject"


def source(content: str | bytes, options: ReadOptions = OPTIONS, *sizes: int) -> CsvSource:
    content = content.encode() if isinstance(content, str) else content
    return CsvSource(Blocks("calls.csv", content, sizes or (WHOLE,)), Format.CSV, options)


def rows_of(table: CsvSource) -> list[Row]:
    """The rows that pass through, without the text column."""
    rows: list[Row] = []
    for batch in table.batches(FailOnBadRows()):
        assert batch.schema.names[:-1] == table.schema.names
        rows += zip(*(column.to_pylist() for column in batch.columns[:-1]), strict=True)
    return rows


def rows(content: str | bytes, options: ReadOptions = OPTIONS, *sizes: int) -> list[Row]:
    return rows_of(source(content, options, *sizes))


def message(content: str | bytes, *sizes: int) -> str:
    with pytest.raises(BadRowError) as error:
        rows(content, OPTIONS, *sizes)
    return str(error.value)


AWKWARD = """007 1.10 NA null NaN None 12345678901234567890123 1e5 -0 true 2024-05-01 é é 👩‍👩‍👧
    it's 5"screen \\n # =1+1 [1] a;b"""


@pytest.mark.parametrize("value", [*AWKWARD.split(), " padded ", "\u00a0", "\ufeff", "a\x00b"])
def test_a_value_passes_unchanged(value: str) -> None:
    assert rows(f"id,text\n{value},{value}\n") == [(value, value)]


@pytest.mark.parametrize("value", ["a,b", 'say ""hi""', "two\nlines", "two\r\nlines", "a\rb", "\n"])
def test_a_quoted_value_passes_unchanged(value: str) -> None:
    assert rows(f'id,text\n1,"{value}"\n') == [("1", value.replace('""', '"'))]


def test_a_mark_at_the_beginning_of_a_value_stays_in_every_row() -> None:
    assert rows("text,id\n\ufeffa,1\n\ufeffb,2\n") == [("\ufeffa", "1"), ("\ufeffb", "2")]


def test_an_empty_field_is_null_and_a_quoted_empty_one_is_empty_text() -> None:
    assert rows('id,text\n,""\n"",\n') == [(None, ""), ("", None)]


def test_an_empty_line_is_a_null_only_in_a_table_of_one_column() -> None:
    assert rows('text\n\na\n""\n\n') == [(None,), ("a",), ("",), (None,)]
    assert rows("id,text\n\n1,a\n\n") == [("1", "a")]


def test_quotes_within_a_field_are_literal() -> None:
    table = 'id,text\n5" screen,6" one\n1,a "b" c\n'
    assert rows(table) == [('5" screen', '6" one'), ("1", 'a "b" c')]


def test_the_text_is_the_last_column_and_its_own_one_stays() -> None:
    (batch,) = source("text,id\na,1\n").batches(FailOnBadRows())
    assert batch.to_pydict() == {"text": ["a"], "id": ["1"], "labelf.text": ["a"]}


def test_several_text_columns_are_joined_by_a_newline_and_nulls_left_out() -> None:
    options = replace(OPTIONS, text_columns=("subject", "body"))
    (batch,) = source("subject,body\nhi,there\nhi,\n,there\n,\n", options).batches(FailOnBadRows())
    assert batch.column("labelf.text").to_pylist() == ["hi\nthere", "hi", "there", None]


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[Row]]:
    """A CSV file in one of the many ways to write it, and its rows."""
    width = draw(st.integers(1, 3))
    text = st.text(st.sampled_from('ab,"\n\r é😀;0')) | st.text(max_size=3)
    fields = st.none() | text.filter(lambda value: not value.startswith("\ufeff"))
    table = draw(st.lists(st.tuples(*[fields] * width), max_size=6))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    file = ",".join(["text", "b", "c"][:width]) + end
    for row in table:
        file += ",".join(_written(field, draw(st.booleans())) for field in row) + end
        if width > 1 and draw(st.booleans()):
            file += end  # an empty line, which means nothing
    if not file.endswith(end * 2) and draw(st.booleans()):
        file = file.removesuffix(end)
    return file, table


def _written(field: str | None, quoted: bool) -> str:
    """A field as it may stand in a file; a quote within an unquoted one is literal."""
    if field is None:
        return ""
    if quoted or field == "" or field.startswith('"') or set(field) & set(",\r\n"):
        return '"' + field.replace('"', '""') + '"'
    return field


@given(tables(), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_the_rows_do_not_depend_on_the_blocks(
    table: tuple[str, list[Row]], sizes: list[int]
) -> None:
    file, expected = table
    assert rows(file, OPTIONS, *sizes) == expected


@pytest.mark.parametrize("size", BLOCK_SIZES)
def test_a_lone_carriage_return_ends_a_line_too(size: int) -> None:
    assert rows("id,text\r1,a\r2,b\r", OPTIONS, size) == [("1", "a"), ("2", "b")]


@pytest.mark.parametrize("size", BLOCK_SIZES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r", "\n\n"])
def test_a_header_alone_is_a_table_without_rows(end: str, size: int) -> None:
    table = source(f"id,text{end}", OPTIONS, size)
    assert table.names == ("id", "text")
    assert rows_of(table) == []


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_a_file_without_a_header_line_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(content)
    with pytest.raises(InputError) as error:
        CsvSource(ByteInput(str(path)), Format.CSV, OPTIONS)
    assert str(error.value) == f"{path}: there is no header line"


def test_a_header_may_have_quotes_delimiters_and_newlines() -> None:
    table = source('"a,b","say ""hi""","two\nlines",text\r\n1,2,3,4\r\n')
    assert table.names == ("a,b", 'say "hi"', "two\nlines", "text")
    assert rows_of(table) == [("1", "2", "3", "4")]


def test_without_a_header_columns_are_numbered() -> None:
    table = source("007,a\n008,b\n", NO_HEADER)
    assert table.names == ("column_1", "column_2")
    assert rows_of(table) == [("007", "a"), ("008", "b")]


@pytest.mark.parametrize("size", BLOCK_SIZES)
def test_without_a_header_the_first_row_may_be_null(size: int) -> None:
    assert rows("\na\n", NO_HEADER, size) == [(None,), ("a",)]


def test_without_a_header_the_first_field_may_be_long() -> None:
    assert rows(f"{'x' * 200_000},1\n", NO_HEADER) == [("x" * 200_000, "1")]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "^", "]", "\\", "-", "."])
def test_a_delimiter_can_be_chosen(delimiter: str) -> None:
    table = 'id,text\n1,a\n"x,y",2\n'.replace(",", delimiter)
    expected = [("1", "a"), (f"x{delimiter}y", "2")]
    assert rows(table, replace(OPTIONS, delimiter=delimiter), 3) == expected


@pytest.mark.parametrize("delimiter", ["||", "§", '"', "\n"])
def test_a_delimiter_that_can_be_none_is_refused(delimiter: str) -> None:
    with pytest.raises(UsageError, match="delimiter"):
        source("text\na\n", replace(OPTIONS, delimiter=delimiter))


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(InputError) as error:
        source("text,id,text\n")
    assert str(error.value) == "calls.csv: two columns are named 'text'. Rename one of them"


def test_a_missing_text_column_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InputError) as error:
        source("id,body\n1,a\n")
    expected = "calls.csv: no column 'text'. There are: id, body; choose with --text-column"
    assert str(error.value) == expected


@pytest.mark.parametrize("size", BLOCK_SIZES)
@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize(("row", "fields"), [("3,b,c", 3), ("3", 1), ('"a,b",1,"c\nd,"', 3)])
def test_a_row_with_too_few_or_many_fields_is_named(
    row: str, fields: int, end: str, size: int
) -> None:
    table = f'id,text\r\n1,"two\nlines"\n\n2,a\n{row}{end}'
    expected = f"calls.csv, line 6: {fields} fields where there should be 2. Correct the line"
    assert message(table, size) == f"{expected}{OR_REJECT}"


@pytest.mark.parametrize("size", BLOCK_SIZES)
@pytest.mark.parametrize("rest", ['3,"never closed\n4,d\n', '"3\n\n', '3,"', '3,"closed""\n'])
def test_a_quote_that_is_never_closed_is_named_where_it_opens(rest: str, size: int) -> None:
    table = f'id,text\n1,"two\nlines"\n2,b\n{rest}'
    expected = "calls.csv, line 5: a quoted field is never closed. Correct the line"
    assert message(table, size) == f"{expected}{OR_REJECT}"


NOT_UTF_8 = "byte 0xf6 is not valid UTF-8. Name the file's encoding with --encoding"


@pytest.mark.parametrize("size", BLOCK_SIZES)
def test_bytes_that_are_not_utf_8_are_named(size: int) -> None:
    table = 'id,text\n1,"two\nlines"\n2,größe\n'.encode("latin-1")
    assert message(table, size) == f"calls.csv, line 4: {NOT_UTF_8}{OR_REJECT}"


@pytest.mark.parametrize(
    ("table", "what"),
    [("größe,text\n1,a\n", NOT_UTF_8), ('id,"text\n1,a\n', "a quoted field is never closed")],
)
def test_a_header_that_can_not_be_read_is_named(table: str, what: str) -> None:
    with pytest.raises(LabelfError) as error:
        rows(table.encode("latin-1"))
    assert str(error.value) == f"calls.csv, line 1: {what}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "cp1252"])
def test_a_file_may_have_another_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes('größe,text\r\n1,"så\r\nhär"\r\n'.encode(encoding))
    table = CsvSource(ByteInput(str(path), encoding), Format.CSV, OPTIONS)
    assert table.names == ("größe", "text")
    assert rows_of(table) == [("1", "så\r\nhär")]


def test_a_compressed_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv.zst"
    lines = [f'{i},"text\n{i}"' for i in range(100_000)]
    content = "\n".join(["id,text", *lines]).encode()
    path.write_bytes(pa.compress(content, "zstd", asbytes=True))
    found = rows_of(CsvSource(ByteInput(str(path)), Format.CSV, OPTIONS))
    assert found == [(str(i), f"text\n{i}") for i in range(100_000)]
