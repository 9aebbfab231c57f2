"""JSON Lines: objects, texts or typed columns, as the output needs them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from blocks import WHOLE, Blocks
from conftest import Kept
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.errors import BadRowError, InputError
from labelf_cli.formats import Format
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.jsonl import JsonlSource, infer_schema
from labelf_cli.sources.rejects import BadRows, FailOnBadRows

BLOCK_SIZES = (1, 2, 7, WHOLE)
TOWARDS_ALL = (Format.JSONL, Format.CSV, Format.PARQUET)


def jsonl(content: bytes, sizes: Sequence[int] = (WHOLE,), prefix: int = WHOLE) -> ByteInput:
    return Blocks("calls.jsonl", content, sizes, prefix)


@dataclass(frozen=True)
class Found:
    """What was read: types and values of the columns that pass, and the texts."""

    schema: pa.Schema
    columns: dict[str, list[Any]]
    texts: list[str | None]


def read(
    data: ByteInput,
    towards: Format,
    text: tuple[str, ...] = ("text",),
    bad_rows: BadRows | None = None,
) -> Found:
    source = JsonlSource(data, ReadOptions(text, towards), infer_schema([data], towards))
    batches = list(source.batches(bad_rows or FailOnBadRows()))
    table = pa.Table.from_batches([batch.select(source.schema.names) for batch in batches])
    texts = [text for batch in batches for text in batch.columns[-1].to_pylist()]
    assert table.schema == source.schema
    return Found(source.schema, table.to_pydict(), texts)


def read_text(lines: str, towards: Format, *sizes: int) -> Found:
    return read(jsonl(lines.encode(), sizes or (WHOLE,)), towards)


def message(content: bytes, towards: Format, size: int = WHOLE, prefix: int = WHOLE) -> str:
    with pytest.raises(BadRowError) as error:
        read(jsonl(content, (size,), prefix), towards)
    return str(error.value)


OBJECTS = (
    '{"text": "a"}',
    '{"text":"007", "n": 1.10, "id":12345678901234567890123}',
    '{ "n" : -0.0E+2 ,\t"text" : null }',
    '{"deep": {"b": [1.0, {"c": NaN}], "a": 1e400}, "text": "\\u00e9 \\ud83d\\ude00 é 😀"}',
    '{"text": "\\ud800", "text": "twice"}',
    "{}",
)


def test_towards_json_lines_objects_keep_their_text() -> None:
    found = read_text("\n".join(OBJECTS), Format.JSONL)
    assert found.columns == {"labelf.object": list(OBJECTS)}
    assert found.texts == ["a", "007", None, "é 😀 é 😀", "twice", None]


NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)
VALUES = st.recursive(
    NUMBERS | st.text().map(json.dumps) | st.sampled_from(["null", "true", "false", '"é😀"']),
    lambda inner: (
        st.lists(inner).map(lambda items: f"[{' , '.join(items)}]")
        | st.lists(inner).map(lambda items: f'{{"k":{{}}, "l" : [{",".join(items)}]}}')
    ),
    max_leaves=4,
)


@given(
    st.lists(
        st.tuples(VALUES, st.sampled_from(["", " ", "\t"]), st.text()), min_size=1, max_size=5
    ),
    st.sampled_from(["\n", "\r\n", "\n \n"]),
    st.lists(st.integers(1, 20), min_size=1, max_size=3),
)
def test_the_objects_do_not_depend_on_the_blocks(
    rows: list[tuple[str, str, str]], end: str, sizes: list[int]
) -> None:
    objects = [
        f'{{"v"{gap}:{gap}{value},{gap}"text":{gap}{json.dumps(text)}}}'
        for value, gap, text in rows
    ]
    found = read_text(end.join(objects), Format.JSONL, *sizes)
    assert found.columns["labelf.object"] == objects
    assert found.texts == [text for _, _, text in rows]


@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_towards_csv_a_number_is_as_it_was_written(numbers: list[str]) -> None:
    lines = "\n".join(f'{{"text": {number}}}' for number in numbers)
    found = read_text(lines, Format.CSV)
    assert found.columns["text"] == found.texts == numbers


def parsed(text: str) -> object:
    """JSON whose numbers keep their text and are still no strings."""
    return json.loads(text, parse_int=lambda n: ("number", n), parse_float=lambda n: ("number", n))


@given(VALUES)
def test_towards_csv_a_nested_value_is_the_same_json(value: str) -> None:
    cell = read_text(f'{{"text": "", "v": [{value}]}}', Format.CSV).columns["v"][0]
    assert parsed(cell) == parsed(f"[{value}]")


def test_towards_csv_every_column_is_text_in_the_order_of_appearance() -> None:
    found = read_text('{"text": "a", "b": true}\n{"n": 7, "text": "", "z": null}', Format.CSV)
    expected = {"text": ["a", ""], "b": ["true", None], "n": [None, "7"], "z": [None, None]}
    assert found.columns == expected
    assert found.schema == pa.schema([(name, pa.string()) for name in expected])


INT64_MAX = 2**63 - 1


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ("true, false, null", pa.bool_(), [True, False, None]),
        (f"1, -2, {INT64_MAX}", pa.int64(), [1, -2, INT64_MAX]),
        (f"1, {-INT64_MAX - 1}", pa.int64(), [1, -INT64_MAX - 1]),
        (f"1, {INT64_MAX + 1}", pa.string(), ["1", str(INT64_MAX + 1)]),
        ("1, 2.5, 1e3", pa.float64(), [1.0, 2.5, 1000.0]),
        ("1.10, 0.1", pa.float64(), [1.1, 0.1]),
        ("0.1, 0.10000000000000000001", pa.string(), ["0.1", "0.10000000000000000001"]),
        ("0.5, 1e400", pa.string(), ["0.5", "1e400"]),
        ("0.5, 12345678901234567890123", pa.string(), ["0.5", "12345678901234567890123"]),
        ('"007", "1.10"', pa.string(), ["007", "1.10"]),
        ('1, "1"', pa.string(), ["1", "1"]),
        ("1, true", pa.string(), ["1", "true"]),
        ("null, null", pa.string(), [None, None]),
        ('{"a": 1}, "x"', pa.string(), ['{"a": 1}', "x"]),
        (f"1, {'7' * 5000}", pa.string(), ["1", "7" * 5000]),
        ("0.5, 1e99999999999999999999", pa.string(), ["0.5", "1e99999999999999999999"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_towards_parquet_types_come_from_the_values(
    values: str, kind: pa.DataType, expected: list[Any]
) -> None:
    lines = "\n".join(f'{{"text": "", "v": {value}}}' for value in values.split(", "))
    found = read_text(lines, Format.PARQUET)
    assert found.schema.field("v").type == kind
    assert found.columns["v"] == expected


@given(st.lists(NUMBERS, min_size=1, max_size=4))
def test_towards_parquet_no_number_changes(numbers: list[str]) -> None:
    lines = "\n".join(f'{{"text": "", "v": {number}}}' for number in numbers)
    values = read_text(lines, Format.PARQUET).columns["v"]
    assert [Decimal(str(value)) for value in values] == [Decimal(number) for number in numbers]


def test_a_line_that_the_prefix_cuts_is_not_looked_at() -> None:
    data = jsonl(b'{"text": "a"}\n{"text": "b", "v": 1}\n', prefix=20)
    assert infer_schema([data], Format.PARQUET).names == ["text", "labelf.rest"]


@pytest.mark.parametrize("size", [1, WHOLE])
@pytest.mark.parametrize(
    ("late", "v", "rest"),
    [
        ('"v": "x"', None, '{"v": "x"}'),
        ('"v": 1.50', None, '{"v": 1.50}'),
        ('"v": 9223372036854775808', None, '{"v": 9223372036854775808}'),
        ('"v": 7, "w": null, "é": [1.0]', 7, '{"w": null, "é": [1.0]}'),
        ('"w": {"v": true}, "v": false', None, '{"w": {"v": true}, "v": false}'),
        ('"v": null', None, None),
    ],
)
def test_what_does_not_fit_the_columns_of_the_prefix_is_the_rest(
    late: str, v: int | None, rest: str | None, size: int
) -> None:
    first = '{"text": "a", "v": 1}\n'
    content = f'{first}\n{{"text": "b", {late}}}\n'.encode()
    found = read(jsonl(content, (size,), prefix=len(first)), Format.PARQUET)
    assert found.columns == {"text": ["a", "b"], "v": [1, v], "labelf.rest": [None, rest]}
    assert found.schema.types == [pa.string(), pa.int64(), pa.string()]


def test_towards_csv_values_of_any_type_are_text_and_only_new_keys_the_rest() -> None:
    first = '{"text": "a", "v": 1}\n'
    late = '{"w": [2], "v": ["x"], "text": "b"}'
    found = read(jsonl((first + late).encode(), prefix=len(first)), Format.CSV)
    assert found.columns == {
        "text": ["a", "b"],
        "v": ["1", '["x"]'],
        "labelf.rest": [None, '{"w": [2]}'],
    }


def test_a_text_that_does_not_fit_its_column_is_still_the_text() -> None:
    first = '{"text": 1}\n'
    found = read(jsonl(f'{first}{{"text": "b"}}'.encode(), prefix=len(first)), Format.PARQUET)
    assert found.columns == {"text": [1, None], "labelf.rest": [None, '{"text": "b"}']}
    assert found.texts == ["1", "b"]


@pytest.mark.parametrize("towards", TOWARDS_ALL)
def test_there_is_no_rest_where_the_columns_come_from_the_whole_input(towards: Format) -> None:
    assert "labelf.rest" not in read_text('{"text": "a"}\n{"w": 1}', towards).columns


def test_a_key_with_the_name_of_the_rest_is_refused() -> None:
    first = b'{"text": "a", "labelf.rest": "{}"}\n'
    with pytest.raises(InputError) as error:
        read(jsonl(first * 2, prefix=len(first)), Format.CSV)
    expected = "calls.jsonl: two columns are named 'labelf.rest'. Rename one of them"
    assert str(error.value) == expected


@given(
    st.lists(st.tuples(st.sampled_from(["v", "w"]), VALUES), min_size=1, max_size=5),
    st.lists(st.integers(1, 20), min_size=1, max_size=3),
)
def test_columns_and_rest_hold_all_of_an_object(
    late: list[tuple[str, str]], sizes: list[int]
) -> None:
    first = '{"text": "a", "v": 1}\n'
    lines = [f'{{"text": "b", "{key}": {value}}}' for key, value in late]
    data = jsonl((first + "\n".join(lines)).encode(), sizes, prefix=len(first))
    columns = read(data, Format.PARQUET).columns
    for (key, value), v, rest in zip(
        late, columns["v"][1:], columns["labelf.rest"][1:], strict=True
    ):
        if v is None:
            left = parsed(rest or "{}")
            assert isinstance(left, dict)
            assert left.get(key) == parsed(value)
        else:
            assert (v, rest) == (int(value), None)


def test_towards_json_lines_late_keys_and_kinds_pass() -> None:
    first, late = '{"text": "a", "v": 1}', '{"w": [], "v": "x", "text": "b"}'
    found = read(jsonl(f"{first}\n{late}".encode(), prefix=len(first) + 1), Format.JSONL)
    assert found.columns["labelf.object"] == [first, late]


BAD_LINES = [
    (b"[1]", "not a JSON object but an array"),
    (b"1.10", "not a JSON object but the value 1.10"),
    (b"null", "not a JSON object but the value null"),
    (b"true", "not a JSON object but the value true"),
    (b'{"text": "\xff"}', "byte 0xff is not valid UTF-8"),
    (b"oops", "not valid JSON (Expecting value: line 1 column 1 (char 0))"),
    (
        b'{"text": "a',
        "not valid JSON (Unterminated string starting at: line 1 column 10 (char 9))",
    ),
    (b'{"text": "a"} {}', "not valid JSON (Extra data: line 1 column 15 (char 14))"),
    (b'{"text": ["a"]}', "'text' is not text but an array"),
    (b'{"text": {"a": 1}}', "'text' is not text but an object"),
    (b'{"text": "a", "v": ' + b"[" * 100_000, "JSON that is nested too deeply"),
]


@pytest.mark.parametrize("written", [(1, b""), (1, b"\n"), (7, b"\n"), (WHOLE, b"")])
@pytest.mark.parametrize("prefix", [14, WHOLE])
@pytest.mark.parametrize("towards", TOWARDS_ALL)
@pytest.mark.parametrize(("line", "reason"), BAD_LINES, ids=lambda value: str(value)[:30])
def test_a_bad_line_is_named(
    line: bytes, reason: str, towards: Format, prefix: int, written: tuple[int, bytes]
) -> None:
    size, end = written
    content = b'{"text": "a"}\n\r\n\n' + line + end
    todo = "Name the file's encoding with --encoding" if "UTF-8" in reason else "Correct the line"
    expected = f"calls.jsonl, line 4: {reason}. {todo}, or run it again with --bad-rows reject"
    assert message(content, towards, size, prefix) == expected


@pytest.mark.parametrize("size", [3, WHOLE])
@pytest.mark.parametrize("towards", TOWARDS_ALL)
def test_bad_lines_cost_only_themselves(towards: Format, size: int) -> None:
    lines = [b'{"text": "0"}']
    for number, (line, _) in enumerate(BAD_LINES, 1):
        lines += [line, b'{"text": "%d"}' % number]
    content = b"\n".join(lines) + b"\n"
    bad_rows = Kept()
    found = read(jsonl(content, (size,)), towards, bad_rows=bad_rows)
    assert found.texts == [str(number) for number in range(len(BAD_LINES) + 1)]
    offsets = [content.index(b"\n" + line + b"\n") + 1 for line, _ in BAD_LINES]
    assert bad_rows.kept == [
        (2 * number + 2, offset, reason, line)
        for number, ((line, reason), offset) in enumerate(zip(BAD_LINES, offsets, strict=True))
    ]


def test_the_rows_before_a_bad_one_come_before_it_does() -> None:
    data = jsonl(b'{"text": "a"}\noops\n{"text": "b"}\n')
    source = JsonlSource(data, ReadOptions(("text",), Format.CSV), infer_schema([data], Format.CSV))
    batches = source.batches(FailOnBadRows())
    assert next(batches).num_rows == 1
    with pytest.raises(BadRowError):
        next(batches)


@pytest.mark.parametrize("bad", [b"oops\n", b"[1]\n", b"\xff\n"])
def test_an_input_of_bad_lines_alone_is_refused(bad: bytes) -> None:
    with pytest.raises(InputError) as error:
        infer_schema([jsonl(bad)], Format.CSV)
    assert str(error.value) == "calls.jsonl: no JSON object in it"


@pytest.mark.parametrize("towards", TOWARDS_ALL)
@pytest.mark.parametrize("size", BLOCK_SIZES)
def test_blank_lines_are_skipped(towards: Format, size: int) -> None:
    found = read_text('\n \n{"text": "a"}\r\n\t\r\n\n{"text": "b"}\n\n', towards, size)
    assert found.texts == ["a", "b"]


@pytest.mark.parametrize("towards", TOWARDS_ALL)
def test_a_lone_surrogate_does_not_break_its_batch(towards: Format) -> None:
    found = read_text('{"text": "a"}\n{"text": "\\ud83d!"}\n{"text": null}', towards)
    assert found.texts == ["a", "\ufffd!", None]


@pytest.mark.parametrize("towards", TOWARDS_ALL)
def test_several_text_columns_are_joined_by_a_newline_and_nulls_left_out(towards: Format) -> None:
    lines = b'{"a": "x", "b": "y"}\n{"a": null, "b": "y"}\n{"a": "x"}\n{"a": null}'
    assert read(jsonl(lines), towards, ("a", "b")).texts == ["x\ny", "y", "x", None]


@pytest.mark.parametrize("content", [b"", b"\n\n"])
@pytest.mark.parametrize("position", [0, 1])
def test_an_input_without_an_object_is_refused(content: bytes, position: int) -> None:
    inputs = [jsonl(b'{"text": "a"}\n')]
    inputs.insert(position, jsonl(content))
    with pytest.raises(InputError) as error:
        infer_schema(inputs, Format.CSV)
    assert str(error.value) == "calls.jsonl: no JSON object in it"
