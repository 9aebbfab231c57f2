"""JSON Lines: a splitter, the standard library's parser, and columns as the output needs them."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from labelf_cli.chunk import JSON_OBJECT, TEXT, with_text
from labelf_cli.errors import BadRowError, InputError
from labelf_cli.formats import Format
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ByteSource, ReadOptions, require_columns

Object = dict[str, Any]


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
"""Words that are no JSON but that Python writes for float64 values."""


class JsonlSource(ByteSource):
    """One JSON object a line.

    Towards JSON Lines the objects pass as they were written, in one column named ``JSON_OBJECT``.
    Towards CSV every value is text, as written; nested ones are JSON text. Towards Parquet the
    types come from the first ``PREFIX_BYTES`` bytes of each input.
    """

    def __init__(self, data: ByteInput, options: ReadOptions, schema: pa.Schema) -> None:
        """Take the schema that ``infer_schema`` found.

        Raises:
            InputError: the text column is missing.
        """
        super().__init__(data, options)
        self.names = tuple(schema.names)
        require_columns(self.names, options.text_columns, data.name)
        self._keeps_objects = options.output_format is Format.JSONL
        self.schema = pa.schema([(JSON_OBJECT, pa.string())]) if self._keeps_objects else schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        build = self._keep if self._keeps_objects else self._columns
        for first_line, lines in _line_blocks(self._data.blocks()):
            parsed = [
                (number, text, _parse(text, f"{self._data.name}, line {number}"))
                for number, text in _decoded(lines, first_line, self._data.name)
            ]
            if parsed:
                yield build(parsed)

    def _keep(self, parsed: list[tuple[int, str, Object]]) -> pa.RecordBatch:
        texts = [self._text(row, number) for number, _, row in parsed]
        return pa.record_batch(
            [_strings([text for _, text, _ in parsed]), _strings(texts)], [JSON_OBJECT, TEXT]
        )

    def _text(self, row: Object, number: int) -> str | None:
        parts = [row.get(column) for column in self._options.text_columns]
        for column, part in zip(self._options.text_columns, parts, strict=True):
            if isinstance(part, list | dict):
                raise self._bad(number, f"'{column}' is not text but {_kind(part)}")
        found = [as_text(part) for part in parts if part is not None]
        return "\n".join(found) if found else None

    def _columns(self, parsed: list[tuple[int, str, Object]]) -> pa.RecordBatch:
        known = set(self.names)
        for number, _, row in parsed:
            self._text(row, number)
            if not known.issuperset(row):
                new = next(key for key in row if key not in known)
                raise self._bad(number, f"the key '{new}' is new here")
        arrays = [
            self._column(field, [(number, row.get(field.name)) for number, _, row in parsed])
            for field in self.schema
        ]
        return with_text(pa.record_batch(arrays, schema=self.schema), self._options.text_columns)

    def _column(self, field: pa.Field, values: list[tuple[int, Any]]) -> pa.Array:
        fits, convert = _CONVERSIONS[field.type]
        found = []
        for number, value in values:
            if value is not None and not fits(value):
                raise self._bad(number, f"'{field.name}' is not {field.type} as before")
            try:
                found.append(None if value is None else convert(value))
            except RecursionError:
                raise self._bad(number, f"'{field.name}' is nested too deeply") from None
        return _strings(found) if pa.types.is_string(field.type) else pa.array(found, field.type)

    def _bad(self, line: int, what: str) -> BadRowError:
        return BadRowError(
            what, where=f"{self._data.name}, line {line}", todo="Write JSON Lines to keep such rows"
        )


def infer_schema(inputs: Sequence[ByteInput], output_format: Format) -> pa.Schema:
    """Columns and types from the prefixes of all inputs, in the order of their appearance.

    A column whose values differ in kind, or do not fit 64 bits exactly, is text.

    Raises:
        InputError: an input has no line that is a JSON object.
    """
    columns: dict[str, list[Any]] = {}
    for data in inputs:
        prefix, is_whole = data.prefix()
        whole_lines = prefix if is_whole else prefix[: prefix.rfind(b"\n") + 1]
        found = False
        for first, lines in _line_blocks([whole_lines]):
            for number, text in _decoded(lines, first, data.name):
                found = True
                for key, value in _parse(text, f"{data.name}, line {number}").items():
                    columns.setdefault(key, []).append(value)
        if not found:
            raise InputError("no JSON object in it", where=data.name)
    if output_format is not Format.PARQUET:
        return pa.schema([(key, pa.string()) for key in columns])
    return pa.schema([(key, _type_of(values)) for key, values in columns.items()])


def _type_of(values: list[Any]) -> pa.DataType:
    present = [value for value in values if value is not None]
    for kind in (pa.bool_(), pa.int64(), pa.float64()):
        fits, _ = _CONVERSIONS[kind]
        if present and all(map(fits, present)):
            return kind
    return pa.string()


def _fits_int64(value: object) -> bool:
    if not (isinstance(value, Number) and len(value) < 21 and value.lstrip("-").isdigit()):
        return False
    return -(2**63) <= int(value) < 2**63


def _fits_float64(value: object) -> bool:
    """Whether the shortest text that stands for the nearest float64 is the same number."""
    if not isinstance(value, Number):
        return False
    nearest = repr(float(value))
    if nearest == value or value in _NOT_FINITE:
        return True
    try:
        return Decimal(nearest) == Decimal(value)
    except InvalidOperation:  # an exponent beyond all measure
        return False


def as_text(value: object) -> str:
    """A JSON value as text: strings and numbers as they are, the rest as JSON."""
    return str(value) if isinstance(value, str) else _as_json(value)


def _as_json(value: object) -> str:
    """A value as JSON again, numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_as_json(key)}: {_as_json(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


_CONVERSIONS: dict[pa.DataType, tuple[Callable[[Any], bool], Callable[[Any], Any]]] = {
    pa.bool_(): (lambda value: isinstance(value, bool), bool),
    pa.int64(): (_fits_int64, int),
    pa.float64(): (_fits_float64, float),
    pa.string(): (lambda _: True, as_text),
}


def _line_blocks(blocks: Iterator[bytes] | list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Whole lines, a list per block, each with the number of its first line."""
    held, first = b"", 1
    for block in blocks:
        *lines, held = (held + block).split(b"\n")
        yield first, lines
        first += len(lines)
    if held:
        yield first, [held]


def _decoded(lines: list[bytes], first: int, name: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    for number, line in enumerate(lines, first):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            raise BadRowError(
                f"byte 0x{line[error.start]:02x} is not valid UTF-8",
                where=f"{name}, line {number}",
            ) from None
        if text:
            yield number, text


def _parse(text: str, where: str) -> Object:
    try:
        found = _DECODER.decode(text)
    except ValueError as error:
        raise BadRowError(f"not valid JSON ({error})", where=where) from None
    except RecursionError:
        raise BadRowError("JSON that is nested too deeply", where=where) from None
    if not isinstance(found, dict):
        raise BadRowError(f"not a JSON object but {_kind(found)}", where=where)
    return found


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number)


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else f"the value {_as_json(value)}"


_SURROGATES = re.compile("[\ud800-\udfff]")


def _strings(values: list[str | None]) -> pa.StringArray:
    """An Arrow array; a lone surrogate, which UTF-8 has no bytes for, becomes U+FFFD."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([v and _SURROGATES.sub("\ufffd", v) for v in values], pa.string())
