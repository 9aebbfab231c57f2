"""CSV: a bad row costs itself, and nothing else, whatever the blocks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import Kept
from hypothesis import given
from hypothesis import strategies as st
from test_csv_source import OPTIONS, OR_REJECT, Row, message, source

from labelf_cli.errors import InputError
from labelf_cli.formats import Format
from labelf_cli.sources.csv import CsvSource
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.records import Piece, Records, Splitter
from labelf_cli.sources.rejects import RAW_BYTES, BadRows, FailOnBadRows

SIZES = (1, 2, 3, 7, 1 << 20)
NEVER_CLOSED = "a quoted field is never closed"
TEXT_AFTER = "text after the closing quote of a field"


def passed(table: CsvSource, bad_rows: BadRows) -> list[Row]:
    """The rows that pass through, without the text column."""
    rows: list[Row] = []
    for batch in table.batches(bad_rows):
        rows += zip(*(column.to_pylist() for column in batch.columns[:-1]), strict=True)
    return rows


def sort_out(
    content: bytes, *sizes: int, options: ReadOptions = OPTIONS
) -> tuple[list[Row], list[tuple[int, int, str, bytes]]]:
    """The rows and the bad ones."""
    bad_rows = Kept()
    return passed(source(content, options, *sizes), bad_rows), bad_rows.kept


def fields(found: int) -> str:
    return f"{found} fields where there should be 2"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"3", fields(1)),
        (b"3,b,c", fields(3)),
        (b'"a,b",1,"c"', fields(3)),
        (b'3,"stray', TEXT_AFTER),  # it closes where the next row opens one
        (b'"3,stray', TEXT_AFTER),
        (b'3,"text" after', TEXT_AFTER),
        (b'3,""stray', TEXT_AFTER),
        (b'3,"a"b"', TEXT_AFTER),
        (b"3,gr\xf6\xdfe", "byte 0xf6 is not valid UTF-8"),
        (b'3,"\xff"', "byte 0xff is not valid UTF-8"),
    ],
)
def test_a_bad_row_costs_only_itself(line: bytes, reason: str, end: bytes, size: int) -> None:
    before, after = end.join([b"id,text", b'1,"two\nlines"', b"2,a", b""]), b'4,"d"' + end
    rows, bad = sort_out(before + line + end + after, size)
    assert rows == [("1", "two\nlines"), ("2", "a"), ("4", "d")]
    assert bad == [(5, len(before), reason, line)]


@pytest.mark.parametrize("size", SIZES)
def test_a_quote_that_is_never_closed_costs_its_line(size: int) -> None:
    rows, bad = sort_out(b'id,text\n1,"a\n2,b\n3,c', size)
    assert rows == [("2", "b"), ("3", "c")]
    assert bad == [(2, 8, NEVER_CLOSED, b'1,"a')]


@pytest.mark.parametrize("size", SIZES)
def test_rows_that_a_stray_quote_swallowed_are_given_back(size: int) -> None:
    rows, bad = sort_out(b'id,text\n1,"a,b\n2,c\n",3",d\n', size)
    assert rows == [("2", "c"), (",3", "d")]
    assert bad == [(2, 8, fields(4), b'1,"a,b')]


@pytest.mark.parametrize("size", SIZES)
def test_a_row_of_several_lines_with_a_field_too_many_goes_as_a_whole(size: int) -> None:
    rows, bad = sort_out(b'id,text\n1,"a\nb",c\n2,d\n', size)
    assert rows == [("2", "d")]
    assert bad == [(2, 8, fields(3), b'1,"a\nb",c')]


@pytest.mark.parametrize("size", SIZES)
def test_bad_rows_come_in_the_order_of_the_file(size: int) -> None:
    content = b'id,text\n1\n2,a\n3,"b"c\n4,\xff\n5,d\n6,"e'
    rows, bad = sort_out(content, size)
    assert rows == [("2", "a"), ("5", "d")]
    assert [line for line, *_ in bad] == [2, 4, 5, 7]


def test_the_rows_before_a_bad_one_come_before_it_does() -> None:
    batches = source("id,text\n1,a\n2\n3,b\n").batches(FailOnBadRows())
    assert next(batches).column("id").to_pylist() == ["1"]
    with pytest.raises(Exception, match="line 3"):
        next(batches)


def test_bad_bytes_in_another_encoding_are_named_with_it(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes("\ufeffid,text\n1,\ud800\n2,b\n".encode("utf-16-le", "surrogatepass"))
    bad_rows = Kept()
    table = CsvSource(ByteInput(str(path)), Format.CSV, OPTIONS)
    assert passed(table, bad_rows) == [("2", "b")]
    assert bad_rows.kept == [(2, 11, "not valid utf-16-le", b"1,\xed\xa0\x80")]


def test_an_encoding_is_what_can_be_done_about_bad_bytes() -> None:
    todo = "Name the file's encoding with --encoding"
    expected = f"calls.csv, line 2: byte 0xff is not valid UTF-8. {todo}{OR_REJECT}"
    assert message(b"id,text\n1,\xff\n") == expected


@pytest.mark.parametrize(
    ("header", "todo"),
    [
        ("id;text", "';': say --delimiter ';'"),
        ("id|text|a,b", "'|': say --delimiter '|'"),
        ("id\ttext", "tabs: say --input-format tsv"),
    ],
)
def test_another_delimiter_is_suspected_and_named(header: str, todo: str) -> None:
    with pytest.raises(InputError) as error:
        source(f'"{header}"\n1\n')
    assert str(error.value) == f"calls.csv: no column 'text'. It looks separated by {todo}"


def test_commas_are_suspected_where_there_should_be_tabs() -> None:
    with pytest.raises(InputError) as error:
        source("id,text\n1,a\n", replace(OPTIONS, delimiter="\t"))
    expected = "calls.csv: no column 'text'. It looks separated by ',': say --delimiter ','"
    assert str(error.value) == expected


@dataclass(frozen=True)
class Polluted:
    """A file, its rows that are well, and the offsets of those that are not."""

    content: bytes
    rows: list[Row]
    bad: list[int]


# No field is such that a stray quote before it could be closed there as if by right.
WORDS = st.text(st.sampled_from("ab é😀0'"), min_size=1, max_size=6)
TEXTS = WORDS | st.tuples(WORDS, st.sampled_from([",", "\n", "\r\n", '"', ', "'])).map(
    lambda pair: f"a{pair[0]}{pair[1]}{pair[0]}"
)
POLLUTIONS = ("extra field", "missing field", "stray quote", "text after quote", "bad byte")


def polluted(row: Sequence[str], how: str) -> bytes:
    """A row as it should not stand in a file."""
    plain = [field.replace('"', "").replace("\n", " ").replace("\r", "") for field in row]
    if how == "extra field":
        return ",".join([*map(quoted, row), "more"]).encode()
    if how == "missing field":
        return ",".join(map(quoted, row[1:])).encode()
    if how == "stray quote":
        return ('"' + "|".join(plain)).encode()
    if how == "text after quote":
        return ('"ab" c,' + ",".join(field.replace(",", "") for field in plain[1:])).encode()
    return quoted(row[0]).encode() + b"".join(b",x\xff" for _ in row[1:])


def quoted(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if set(field) & set('",\r\n') else field


@st.composite
def polluted_tables(draw: st.DrawFn) -> Polluted:
    width = draw(st.integers(2, 4))
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    content = ",".join(["text", "b", "c", "d"][:width]).encode() + end
    rows: list[Row] = []
    bad = []
    for row in draw(st.lists(st.tuples(*[TEXTS] * width), max_size=8)):
        how = draw(st.none() | st.sampled_from(POLLUTIONS))
        if how is None:
            rows.append(row)
            content += ",".join(map(quoted, row)).encode() + end
        else:
            bad.append(len(content))
            content += polluted(row, how) + end
    return Polluted(content, rows, bad)


@given(polluted_tables(), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_every_row_that_is_well_comes_out_and_no_other(table: Polluted, sizes: list[int]) -> None:
    rows, bad = sort_out(table.content, *sizes)
    assert rows == table.rows
    assert [offset for _, offset, _, _ in bad] == table.bad


@given(
    st.text(st.sampled_from('ab,"\n\r;')).map(str.encode),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_of_any_bytes_the_same_rows_are_bad_whatever_the_blocks(
    content: bytes, sizes: list[int]
) -> None:
    content = b"id,text\n" + content
    assert sort_out(content, *sizes) == sort_out(content)


LONGEST = 16


def pieces(content: bytes, size: int) -> list[Piece]:
    """All pieces of a file whose records may have 16 bytes."""
    blocks = [content[i : i + size] for i in range(0, len(content), size)]
    return [piece for some in Splitter(Records(","), LONGEST).pieces(blocks) for piece in some]


@pytest.mark.parametrize("size", [1, 5, 16, 100])
def test_a_record_that_is_too_long_costs_its_first_line(size: int) -> None:
    rest = b"4,5\n" * 5
    found = pieces(b'1,"2\n' + rest + b'"\n', size)
    assert found[0] == (b'1,"2\n', 1, 0, NEVER_CLOSED)
    assert b"".join(content for content, _, _, fault in found if not fault) == rest


@pytest.mark.parametrize("size", [1, 5, 16, 100])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("line", [b"x" * 17, b"x" * 40, b'"' + b"x" * 40 + b'"'])
def test_a_line_that_is_too_long_is_bad_to_its_end(line: bytes, end: bytes, size: int) -> None:
    found = pieces(b"1,2" + end + line + end + b"3,4" + end, size)
    faults = [piece for piece in found if piece[3]]
    begin = 3 + len(end)
    assert faults == [(line[:LONGEST], 2, begin, "a line of more than 64 MiB")]
    well = [piece for piece in found if not piece[3]]
    assert b"".join(content for content, *_ in well).startswith(b"1,2" + end + b"3,4")
    assert (well[-1][1], well[-1][2]) == (3, begin + len(line) + len(end))
    assert RAW_BYTES > LONGEST


def seconds(content: bytes) -> float:
    began = time.process_time()
    sort_out(content, 1 << 16)
    return time.process_time() - began


@pytest.mark.parametrize(
    "every",
    [b'7,"stray\n', b'"stray,7\n', b'7,"a" stray\n', b'7,""stray\n', b"7,a,b\n", b"7,\xff\n"],
)
def test_the_time_for_bad_rows_grows_with_the_file_and_not_faster(every: bytes) -> None:
    part = b"1,good\n" * 99 + every
    few, many = (min(seconds(b"id,text\n" + part * n) for _ in range(2)) for n in (200, 1600))
    assert many < 8 * few * 3 + 0.5


def test_a_record_of_many_blocks_is_not_read_again_for_each() -> None:
    rows, bad = sort_out(b'id,text\n1,"' + b'many ""words""\n' * 300_000 + b'"\n', 4096)
    assert (len(rows), bad) == (1, [])


@pytest.mark.parametrize("size", SIZES)
def test_in_a_table_of_one_column_an_empty_line_is_a_row_and_no_bad_one(size: int) -> None:
    rows, bad = sort_out(b'text\na\n\nb,c\n"d" e\n\n"f"', size)
    assert rows == [("a",), (None,), (None,), ("f",)]
    assert bad == [
        (4, 8, "2 fields where there should be 1", b"b,c"),
        (5, 12, TEXT_AFTER, b'"d" e'),
    ]


@pytest.mark.parametrize("size", SIZES)
def test_a_nul_beside_a_bad_row_stays(size: int) -> None:
    rows, bad = sort_out(b"id,text\n1,a\0b\n2\n\0,\0\n", size)
    assert rows == [("1", "a\0b"), ("\0", "\0")]
    assert [line for line, *_ in bad] == [3]
