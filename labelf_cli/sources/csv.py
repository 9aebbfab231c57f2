"""CSV and TSV: blocks cut at record ends, parsed by Arrow, every value text."""

import csv
import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv

from labelf_cli.chunk import with_text
from labelf_cli.errors import BadRowError, InputError
from labelf_cli.formats import Format
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ByteSource, ReadOptions, require_columns


class CsvSource(ByteSource):
    """A CSV file by RFC 4180, with any delimiter; no value is guessed to be anything but text.

    A field without a character is null, a quoted empty one is the empty text.
    """

    def __init__(self, data: ByteInput, format_: Format, options: ReadOptions) -> None:
        """Read the header.

        Raises:
            InputError: it can't be read, names a column twice, or lacks a text column.
        """
        super().__init__(data, options)
        self._delimiter = options.delimiter or format_.delimiter
        self._records = _Records(self._delimiter)
        first = self._first_record()
        self.names = tuple(
            first if options.header else (f"column_{i + 1}" for i in range(len(first)))
        )
        for name in self.names:
            if self.names.count(name) > 1:
                raise InputError(
                    f"two columns are named '{name}'", where=data.name, todo="Rename one of them"
                )
        require_columns(self.names, options.text_columns, data.name)
        self.schema = pa.schema([(name, pa.string()) for name in self.names])

    def _first_record(self) -> list[str]:
        head = self._data.prefix().content + b"\n\n"
        record = head[: self._records.first_end(head)].decode("utf-8", "replace")
        rows = list(csv.reader([record], delimiter=self._delimiter))
        if not rows or not rows[0]:
            raise InputError("there is no header line", where=self._data.name)
        return rows[0]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        line = 1
        skip = self._options.header
        for block in self._whole_records():
            begin = self._records.first_end(block) if skip else 0
            line += block.count(b"\n", 0, begin)
            yield with_text(self._parse(block[begin:], line), self._options.text_columns)
            line += block.count(b"\n", begin)
            skip = False

    def _whole_records(self) -> Iterator[bytes]:
        """The file in blocks that end where a record ends."""
        held = b""
        line = 1
        for block in self._data.blocks():
            held += block
            end = self._records.last_end(held)
            if end:
                yield held[:end]
                line += held.count(b"\n", 0, end)
                held = held[end:]
        if held:
            if self._records.last_end(held + b"\n") <= len(held):
                raise BadRowError(
                    "a quoted field is never closed", where=f"{self._data.name}, line {line}"
                )
            yield held

    def _parse(self, block: bytes, line: int) -> pa.RecordBatch:
        """Parse whole records; ``line`` is that of the first."""
        if not block:
            return self.schema.empty_table().to_batches()[0]
        try:
            table = pa.csv.read_csv(
                pa.BufferReader(block),
                pa.csv.ReadOptions(
                    use_threads=False, column_names=self.names, block_size=len(block) + 1
                ),
                pa.csv.ParseOptions(
                    delimiter=self._delimiter,
                    newlines_in_values=True,
                    # Only in a table of one column does an empty line stand for a value.
                    ignore_empty_lines=len(self.names) > 1,
                ),
                pa.csv.ConvertOptions(
                    column_types=self.schema,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            raise self._explain(block, line, error) from None
        return table.combine_chunks().to_batches()[0]

    def _explain(self, block: bytes, line: int, error: pa.ArrowInvalid) -> BadRowError:
        """Find the record that Arrow stumbled over."""
        try:
            block.decode()
        except UnicodeDecodeError as bad:
            line += block.count(b"\n", 0, bad.start)
            return BadRowError(
                f"byte 0x{block[bad.start]:02x} is not valid UTF-8",
                where=f"{self._data.name}, line {line}",
                todo="Name the file's encoding with --encoding",
            )
        for begin, fields in self._records.widths(block):
            if fields not in (len(self.names), 0):
                line += block.count(b"\n", 0, begin)
                return BadRowError(
                    f"{fields} fields where there should be {len(self.names)}",
                    where=f"{self._data.name}, line {line}",
                    todo="Correct the line",
                )
        return BadRowError(str(error), where=f"{self._data.name}, after line {line}")


class _Records:
    """Finds where records end; quotes are read as Arrow reads them, at a field's beginning."""

    def __init__(self, delimiter: str) -> None:
        d = re.escape(delimiter.encode())
        quoted = rb'"(?:[^"]++|"")*+"[^' + d + rb"\r\n]*+"
        plain = rb'[^"' + d + rb"\r\n][^" + d + rb"\r\n]*+"
        one = rb"(?:" + quoted + rb"|" + plain + rb")?"
        # A lone CR ends a record too, but only once the next byte shows that it is alone.
        record = one + rb"(?:" + d + one + rb")*+(?:\r\n|\n|\r(?=[^\n]))"
        self._delimiter = delimiter.encode()
        self._quoted = re.compile(rb"(?:^|(?<=" + d + rb'))"(?:[^"]++|"")*+"')
        self._one = re.compile(record)
        self._many = re.compile(rb"(?:" + record + rb")*+")

    def first_end(self, block: bytes) -> int:
        """Where the first record ends, its line end included; 0 if it does not."""
        found = self._one.match(block)
        return found.end() if found else 0

    def last_end(self, block: bytes) -> int:
        """Where the last whole record ends; 0 if there is none."""
        if b'"' not in block and (end := block.rfind(b"\n") + 1):
            return end
        found = self._many.match(block)
        return found.end() if found else 0

    def widths(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Where each record begins, and how many fields it has; 0 for an empty line."""
        for found in self._one.finditer(block):
            record = found[0].rstrip(b"\r\n")
            delimiters = self._quoted.sub(b"", record).count(self._delimiter)
            yield found.start(), delimiters + 1 if record else 0
