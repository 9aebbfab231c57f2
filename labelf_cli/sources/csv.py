"""CSV and TSV: blocks cut at record ends, parsed by Arrow, every value text."""

import codecs
import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv

from labelf_cli.chunk import with_text
from labelf_cli.errors import BadRowError, InputError, UsageError
from labelf_cli.formats import Format
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import ByteSource, ReadOptions, require_columns

_LF = b"\n"
_SAY_ENCODING = "Name the file's encoding with --encoding"


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
        self._delimiter = format_.delimiter if options.delimiter is None else options.delimiter
        if not re.fullmatch(r'[^"\r\n\x80-\U0010ffff]', self._delimiter):
            raise UsageError(
                f"'{self._delimiter}' can't be a delimiter",
                where="--delimiter",
                todo="Give one ASCII character that is neither a quote nor a line end",
            )
        self._records = _Records(self._delimiter)
        first = self._first_record()
        self.names = tuple(
            first if options.header else (f"column_{i + 1}" for i in range(len(first)))
        )
        require_columns(self.names, options.text_columns, data.name)
        self.schema = pa.schema([(name, pa.string()) for name in self.names])

    def _first_record(self) -> list[str]:
        content, is_whole = self._data.prefix()
        head = content + b"\n" if is_whole else content
        record = head[: self._records.first_end(head)]
        where = f"{self._data.name}, line 1"
        if not record and content:
            raise InputError("a quoted field is never closed", where=where)
        if not record.strip(b"\r\n"):
            if self._options.header or not content:
                raise InputError("there is no header line", where=self._data.name)
            return [""]  # a row whose only value is null
        try:
            return list(self._read(record, None).column_names)
        except UnicodeDecodeError as error:
            raise InputError(_not_utf8(error), where=where, todo=_SAY_ENCODING) from None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        line = 1
        skip = self._options.header
        for block in self._whole_records():
            begin = self._records.first_end(block) if skip else 0
            line += block.count(b"\n", 0, begin)
            for batch in self._parse(block[begin:], line).to_batches():
                yield with_text(batch, self._options.text_columns)
            line += block.count(b"\n", begin)
            skip = False

    def _whole_records(self) -> Iterator[bytes]:
        """The file in blocks that end where a record ends, with its line end."""
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
            yield held + b"\n"

    def _parse(self, block: bytes, line: int) -> pa.Table:
        """Parse whole records; ``line`` is that of the first."""
        if not block.strip(b"\r\n"):  # which Arrow takes for no table at all
            count = len(block.splitlines()) if len(self.names) == 1 else 0
            return pa.table([pa.nulls(count, pa.string())] * len(self.names), schema=self.schema)
        if block.startswith(codecs.BOM_UTF8):  # in mid-file it belongs to a value
            block = codecs.BOM_UTF8 + block
        try:
            return self._read(block, self.schema)
        except pa.ArrowInvalid as error:
            raise self._explain(block, line, error) from None

    def _read(self, block: bytes, schema: pa.Schema | None) -> pa.Table:
        """Let Arrow parse records; without a schema the first one names the columns."""
        names = None if schema is None else schema.names
        return pa.csv.read_csv(
            pa.BufferReader(block),
            pa.csv.ReadOptions(use_threads=False, column_names=names, block_size=len(block) + 1),
            pa.csv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                # Only in a table of one column does an empty line stand for a value.
                ignore_empty_lines=names is None or len(names) > 1,
            ),
            pa.csv.ConvertOptions(
                column_types=schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _explain(self, block: bytes, line: int, error: pa.ArrowInvalid) -> BadRowError:
        """Find the record that Arrow stumbled over."""
        try:
            block.decode()
        except UnicodeDecodeError as bad:
            where = f"{self._data.name}, line {line + block.count(_LF, 0, bad.start)}"
            return BadRowError(_not_utf8(bad), where=where, todo=_SAY_ENCODING)
        for begin, fields in self._records.widths(block):
            if fields not in (len(self.names), 0):
                line += block.count(b"\n", 0, begin)
                return BadRowError(
                    f"{fields} fields where there should be {len(self.names)}",
                    where=f"{self._data.name}, line {line}",
                    todo="Correct the line",
                )
        return BadRowError(str(error), where=f"{self._data.name}, after line {line}")


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} is not valid UTF-8"


class _Records:
    """Finds where records end; quotes are read as Arrow reads them, at a field's beginning."""

    def __init__(self, delimiter: str) -> None:
        d = re.escape(delimiter.encode())
        quoted = rb'"(?:[^"]++|"")*+"[^' + d + rb"\r\n]*+"
        plain = rb'[^"' + d + rb"\r\n][^" + d + rb"\r\n]*+"
        one = rb"(?:" + quoted + rb"|" + plain + rb")?"
        record = one + rb"(?:" + d + one + rb")*+"
        self._delimiter = delimiter.encode()
        self._quoted = re.compile(rb"(?:^|(?<=" + d + rb'))"(?:[^"]++|"")*+"')
        self._one = re.compile(record + rb"(?:\r\n?|\n)")
        # A lone CR ends a record too, but only once the next byte shows that it is alone.
        self._many = re.compile(rb"(?:" + record + rb"(?:\r\n|\n|\r(?=[^\n])))*+")

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
