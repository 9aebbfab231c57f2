"""JSON Lines: a splitter, the standard library's parser, and columns as the output needs them."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from labelf_cli.chunk import JSON_OBJECT, REST, TEXT
from labelf_cli.errors import InputError
from labelf_cli.formats import Format
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import SAY_ENCODING, ByteSource, ReadOptions, require_columns
from labelf_cli.sources.json_values import (
    CONVERSIONS,
    TOO_DEEP,
    Kind,
    NotAnObjectError,
    Object,
    as_json,
    as_text,
    kind_of,
    parse,
    strings,
)
from labelf_cli.sources.lines import Line, line_blocks
from labelf_cli.sources.rejects import TOO_LONG, BadRows, Reject
from labelf_cli.storage.reading import concurrently

_Cells = list[Any]


class JsonlSource(ByteSource):
    """One JSON object a line.

    Towards JSON Lines the objects pass as they were written, in one column named ``JSON_OBJECT``.
    Towards CSV every value is text, as written; nested ones are JSON text. Towards Parquet the
    types come from the first ``PREFIX_BYTES`` bytes of each input.

    Where an input goes on after them, a last column named ``REST`` takes what the other columns do
    not: a JSON object of the keys that are new and the values of another type, whose cells are
    null. It is null for rows that have none.
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
        self._with_text = self.schema.append(pa.field(TEXT, pa.string()))
        self._has_rest = schema.names[-1] == REST
        self._conversions = {
            field.name: CONVERSIONS[field.type] for field in schema if field.name != REST
        }

    def batches(self, bad_rows: BadRows, bookmark: int | None = None) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``; a bookmark stands before each block of lines."""
        for lines in line_blocks(self._data.blocks(bookmark)):
            if lines:
                self.bookmark = self._data.bookmark(lines[0].offset)
            rows: list[_Cells] = []
            bad: list[Reject] = []
            before = None  # how many rows stand before the first bad one
            for line in lines:
                found = self._row(line)
                if isinstance(found, Reject):
                    before = len(rows) if before is None else before
                    bad.append(found)
                elif found:
                    rows.append(found)
            yield from self._batch(rows[:before])
            for reject in bad:
                bad_rows.add(reject)
            yield from self._batch([] if before is None else rows[before:])

    def _batch(self, rows: list[_Cells]) -> Iterator[pa.RecordBatch]:
        if rows:
            columns = zip(self._with_text.types, zip(*rows, strict=True), strict=True)
            arrays = [
                strings(list(cells)) if pa.types.is_string(kind) else pa.array(cells, kind)
                for kind, cells in columns
            ]
            yield pa.record_batch(arrays, schema=self._with_text)

    def _row(self, line: Line) -> _Cells | Reject:
        """The cells of a line's row, the text last; empty for a blank line."""
        try:
            text = _text_of(line)
            if not text:
                return []
            row = parse(text)
            cells = [text] if self._keeps_objects else self._cells(row)
            return [*cells, self._text(row)]
        except UnicodeDecodeError as error:
            return self._reject(line, self._not_text(error), SAY_ENCODING)
        except NotAnObjectError as error:
            return self._reject(line, str(error))
        except RecursionError:
            return self._reject(line, TOO_DEEP)

    def _reject(self, line: Line, reason: str, todo: str = "Correct the line") -> Reject:
        name, offset = self._data.name, line.offset + self._data.mark
        return Reject(name, line.number, offset, reason, line.content, todo)

    def _text(self, row: Object) -> str | None:
        parts = [row.get(column) for column in self._options.text_columns]
        for column, part in zip(self._options.text_columns, parts, strict=True):
            if isinstance(part, list | dict):
                raise NotAnObjectError(f"'{column}' is not text but {kind_of(part)}")
        found = [as_text(part) for part in parts if part is not None]
        return "\n".join(found) if found else None

    def _cells(self, row: Object) -> _Cells:
        cells: _Cells = []
        misfits = set()
        for name, (fits, convert) in self._conversions.items():
            value = row.get(name)
            if value is not None and not fits(value):
                misfits.add(name)
                value = None
            cells.append(None if value is None else convert(value))
        rest = {
            name: value
            for name, value in row.items()
            if name in misfits or name not in self._conversions
        }
        if self._has_rest:
            cells.append(as_json(rest) if rest else None)
        elif rest:  # the file has changed since its beginning was looked at
            raise NotAnObjectError(f"'{next(iter(rest))}' is not as it was in the whole file")
        return cells


def infer_schema(inputs: Sequence[ByteInput], output_format: Format) -> pa.Schema:
    """Columns and types from the prefixes of all inputs, in the order of their appearance.

    A column whose values differ in kind, or do not fit 64 bits exactly, is text. ``REST`` is the
    last one where an input goes on after its prefix.

    Raises:
        InputError: an input has no line that is a JSON object.
    """
    columns: dict[str, Kind] = {}
    is_all = True
    prefixes = concurrently(lambda data: data.prefix(), inputs)
    for data, (prefix, is_whole) in zip(inputs, prefixes, strict=True):
        is_all = is_all and is_whole
        found = False
        for row in _usable_objects(prefix if is_whole else prefix[: prefix.rfind(b"\n") + 1]):
            found = True
            for key, value in row.items():
                columns.setdefault(key, Kind()).add(value)
        if not found:
            raise InputError("no JSON object in it", where=data.name)
    is_typed = output_format is Format.PARQUET
    fields = [(key, kind.type if is_typed else pa.string()) for key, kind in columns.items()]
    if not is_all and output_format is not Format.JSONL:
        fields.append((REST, pa.string()))
    return pa.schema(fields)


def _usable_objects(content: bytes) -> Iterator[Object]:
    for lines in line_blocks([content]):
        for line in lines:
            with suppress(UnicodeDecodeError, NotAnObjectError):
                if text := _text_of(line):
                    yield parse(text)


def _text_of(line: Line) -> str:
    if line.is_too_long:
        raise NotAnObjectError(TOO_LONG)
    return line.content.decode().strip()
