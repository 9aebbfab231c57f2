"""Arrow columns as text, without a Python object per cell: JSON values and plain text."""

import json
from collections.abc import Callable
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

_ESCAPES = (("\\", r"\\"), ('"', r"\""), ("\n", r"\n"), ("\r", r"\r"), ("\t", r"\t"))
# Arrow takes long to make its own scalars of Python's.
EMPTY, QUOTE, _LINE_END = pa.scalar(""), pa.scalar('"'), pa.scalar("\n")
_COMMA, _NULL, _NO_TEXT = pa.scalar(", "), pa.scalar("null"), pa.scalar(None, pa.string())
_CONTROLS = r"[\x00-\x1f]"
_BINARY = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


def plain_text(column: pa.Array) -> pa.StringArray:
    """Each value as text, null where there is none; nested values as JSON."""
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        return plain_text(column.storage)
    if pa.types.is_dictionary(kind):
        return plain_text(column.dictionary_decode())
    if pa.types.is_nested(kind):
        return pc.if_else(column.is_null(), _NO_TEXT, json_text(column))
    if any(is_binary(kind) for is_binary in _BINARY):
        return _by_value(column, bytes.hex)
    if pa.types.is_string(kind):
        return column
    return column.cast(pa.string())


def json_text(column: pa.Array) -> pa.StringArray:
    """Each value as JSON, ``null`` where there is none."""
    kind, missing = column.type, column.is_null()
    if isinstance(column, pa.ExtensionArray):
        return json_text(column.storage)
    if pa.types.is_dictionary(kind):
        return pc.fill_null(json_text(column.dictionary).take(column.indices), _NULL)
    if pa.types.is_map(kind):  # which Arrow's own cast breaks where it holds lists of nulls
        fields = [kind.key_field, kind.item_field]
        pairs = pa.StructArray.from_arrays([column.keys, column.items], fields=fields)
        column = pa.ListArray.from_arrays(column.offsets, pairs)
        kind = column.type
    if pa.types.is_struct(kind):
        text = json_objects(list(zip(kind.names, column.flatten(), strict=True)), len(column))
    elif any(is_list(kind) for is_list in _LISTS):
        text = _json_arrays(column)
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        text = column.cast(pa.string())
    elif pa.types.is_floating(kind):
        # JSON has no word for NaN and the infinities.
        text = pc.if_else(pc.is_finite(column), column.cast(pa.string()), _NO_TEXT)
    else:
        text = _quoted(plain_text(column))
    return pc.fill_null(pc.if_else(missing, _NO_TEXT, text), _NULL)


def json_objects(columns: list[tuple[str, pa.Array]], num_rows: int) -> pa.StringArray:
    """One JSON object per row."""
    return _joined("{", json_members(columns, num_rows), "}")


def json_members(columns: list[tuple[str, pa.Array]], num_rows: int) -> pa.StringArray:
    """The ``"name": value`` pairs of each row, joined by commas, without the braces."""
    if not columns:
        return pa.array([""] * num_rows, pa.string())
    names = [json.dumps(name, ensure_ascii=False) + ": " for name, _ in columns]
    pairs = [
        _joined(name, json_text(column)) for name, (_, column) in zip(names, columns, strict=True)
    ]
    return pc.binary_join_element_wise(*pairs, _COMMA)


def _json_arrays(column: pa.Array) -> pa.StringArray:
    values = json_text(column.flatten())
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    ends = pc.cumulative_sum(lengths.cast(pa.int32()))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return _joined("[", pc.binary_join(pa.ListArray.from_arrays(offsets, values), _COMMA), "]")


def _quoted(text: pa.StringArray) -> pa.StringArray:
    """JSON strings."""
    escaped = text
    for plain, escape in _ESCAPES:
        escaped = pc.replace_substring(escaped, plain, escape)
    if pc.any(pc.match_substring_regex(escaped, _CONTROLS)).as_py():
        escaped = _by_value(text, lambda value: json.dumps(value, ensure_ascii=False)[1:-1])
    return _joined('"', escaped, '"')


def _joined(*parts: str | pa.StringArray) -> pa.StringArray:
    """Texts and columns of texts, put together row by row."""
    scalars = [pa.scalar(part) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*scalars, EMPTY)


def _by_value(column: pa.Array, convert: Callable[[Any], str]) -> pa.StringArray:
    """The slow way, for values that Arrow has no function for."""
    return pa.array([None if v is None else convert(v) for v in column.to_pylist()], pa.string())


def write_lines(stream: IO[bytes], lines: pa.StringArray) -> None:
    """Write texts, each with a line end."""
    if len(lines):
        ended = pc.binary_join_element_wise(lines, EMPTY, _LINE_END)
        _, offsets, content = ended.buffers()
        first, *_, last = memoryview(offsets).cast("i")[
            ended.offset : ended.offset + len(ended) + 1
        ]
        stream.write(memoryview(content)[first:last])
