"""Arrow columns as text: every type, nested in any way, sliced in any place."""

import json
import math
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labelf_cli.sinks.text import json_members, json_objects, json_text, plain_text

Typed = tuple[pa.DataType, st.SearchStrategy[Any]]
"""An Arrow type and values of it."""

TEXT = st.text() | st.text(st.sampled_from('"\\/\n\r\t\b\x00\x1f\x7f\u2028\ufeffé😀,{}'))
INT64 = st.integers(-(2**63), 2**63 - 1)

LEAVES: list[Typed] = [
    (pa.string(), TEXT),
    (pa.large_string(), TEXT),
    (pa.string_view(), TEXT),
    (pa.dictionary(pa.int32(), pa.string()), TEXT),
    (pa.bool_(), st.booleans()),
    (pa.int64(), INT64),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), st.floats()),
    (pa.decimal128(9, 2), st.decimals(-9999, 9999, places=2)),
    (pa.date32(), st.dates()),
    (pa.binary(), st.binary(max_size=3)),
    (pa.null(), st.none()),
]


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def a_struct(fields: dict[str, Typed]) -> Typed:
    kind = pa.struct([(name, kind) for name, (kind, _) in fields.items()])
    return kind, st.fixed_dictionaries({name: maybe(v) for name, (_, v) in fields.items()})


def containers(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    return st.one_of(
        inner.map(lambda t: (pa.list_(t[0]), st.lists(maybe(t[1]), max_size=3))),
        inner.map(lambda t: (pa.large_list(t[0]), st.lists(maybe(t[1]), max_size=3))),
        inner.map(lambda t: (pa.list_(t[0], 2), st.lists(maybe(t[1]), min_size=2, max_size=2))),
        inner.map(
            lambda t: (
                pa.map_(pa.string(), t[0]),
                st.lists(st.tuples(TEXT, maybe(t[1])), max_size=2),
            )
        ),
        st.dictionaries(TEXT, inner, max_size=3).map(a_struct),
    )


TYPES = st.recursive(st.sampled_from(LEAVES), containers, max_leaves=5)


@st.composite
def arrays(draw: st.DrawFn) -> pa.Array:
    """An array of any type, with nulls, that is a slice of a longer one."""
    kind, values = draw(TYPES)
    array = pa.array(draw(st.lists(maybe(values), max_size=6)), kind)
    start = draw(st.integers(0, len(array)))
    return array.slice(start, draw(st.integers(0, len(array) - start)))


SCALARS: dict[type, Callable[[Any], object]] = {
    Decimal: float,
    date: date.isoformat,
    bytes: bytes.hex,
    float: lambda value: value if math.isfinite(value) else None,
}


def as_json(value: object) -> object:
    """What a value of ``to_pylist`` is in JSON."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, tuple):  # an entry of a map
        return {"key": value[0], "value": as_json(value[1])}
    convert = SCALARS.get(type(value))
    return convert(value) if convert else value


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def parsed(texts: pa.StringArray) -> list[Any]:
    assert texts.type == pa.string()
    assert texts.null_count == 0
    return [json.loads(text, parse_constant=refuse) for text in texts.to_pylist()]


@given(arrays())
@example(pa.array([[("", [None, None])]], pa.map_(pa.string(), pa.list_(pa.null(), 2))))
def test_json_is_the_value(array: pa.Array) -> None:
    assert parsed(json_text(array)) == [as_json(value) for value in array.to_pylist()]


@given(arrays())
def test_plain_text_is_null_where_the_value_is(array: pa.Array) -> None:
    texts = plain_text(array)
    assert texts.type == pa.string()
    assert texts.is_null().to_pylist() == [value is None for value in array.to_pylist()]


@given(st.lists(maybe(TEXT)), st.sampled_from([kind for kind, values in LEAVES if values is TEXT]))
def test_plain_text_of_text_is_the_text(texts: list[str | None], kind: pa.DataType) -> None:
    assert plain_text(pa.array(texts, kind)).to_pylist() == texts


@pytest.mark.parametrize(
    ("kind", "finite"),
    [
        (np.float16, st.floats(allow_nan=False, allow_infinity=False, width=16)),
        (np.float32, st.floats(allow_nan=False, allow_infinity=False, width=32)),
        (np.float64, st.floats(allow_nan=False, allow_infinity=False, width=64)),
    ],
    ids=["float16", "float32", "float64"],
)
@given(st.data())
def test_a_float_is_read_back_to_the_bit(
    kind: type[np.floating[Any]], finite: st.SearchStrategy[float], data: st.DataObject
) -> None:
    floats = np.array(data.draw(st.lists(finite)), kind)
    for texts in (plain_text(pa.array(floats)), json_text(pa.array(floats))):
        found = np.array([float(text) for text in texts.to_pylist()], kind)
        assert found.tobytes() == floats.tobytes()


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([b"\xff\x00"], pa.binary()), "ff00"),
        (pa.array([b"\xff\x00"], pa.large_binary()), "ff00"),
        (pa.array([b"\xff\x00"], pa.binary_view()), "ff00"),
        (pa.array([b"\xff\x00"], pa.binary(2)), "ff00"),
        (pa.array([b"\xff" * 16], pa.uuid()), "ff" * 16),
        (pa.array([b"\xff"]).dictionary_encode(), "ff"),
        (pa.array([datetime(2024, 5, 1, 9, 30)], pa.timestamp("s")), "2024-05-01 09:30:00"),
        (pa.array([time(9, 30)], pa.time32("s")), "09:30:00"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_type_that_json_has_no_word_for_is_text(column: pa.Array, text: str) -> None:
    column = pa.concat_arrays([column, pa.nulls(1, column.type)])
    assert plain_text(column).to_pylist() == [text, None]
    assert parsed(json_text(column)) == [text, None]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([["a", None], None, []], pa.list_view(pa.string())),
        pa.array([["a", None], None, []], pa.large_list_view(pa.string())),
    ],
    ids=lambda column: str(column.type),
)
def test_a_view_of_lists_is_an_array(column: pa.Array) -> None:
    assert parsed(json_text(column)) == [["a", None], None, []]


def test_a_decimal_keeps_its_places() -> None:
    column = pa.array([Decimal("1.10"), None])
    assert json_text(column).to_pylist() == ["1.10", "null"]
    assert plain_text(column).to_pylist() == ["1.10", None]


def test_plain_text_of_a_nested_value_is_json() -> None:
    column = pa.array([[{"a": "é"}], [], None, [None]])
    assert plain_text(column).to_pylist() == ['[{"a": "é"}]', "[]", None, "[null]"]


def test_a_null_in_a_dictionary_is_null() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["a", None]))
    assert json_text(column).to_pylist() == ['"a"', "null", "null"]
    assert plain_text(column).to_pylist() == ["a", None, None]


def test_text_beyond_ascii_is_not_escaped() -> None:
    assert json_text(pa.array(["é😀\u2028"])).to_pylist() == ['"é😀\u2028"']


def test_the_members_of_objects_keep_names_and_order() -> None:
    columns = [('b "q"\n', pa.array([1, None])), ("a", pa.array(["x", "y"]))]
    members = ['"b \\"q\\"\\n": 1, "a": "x"', '"b \\"q\\"\\n": null, "a": "y"']
    assert json_members(columns, 2).to_pylist() == members
    assert json_objects(columns, 2).to_pylist() == [f"{{{pairs}}}" for pairs in members]
