"""CSV and TSV: blocks cut at record ends, parsed by Arrow, every value text."""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.csv

from labelf_cli.chunk import with_text
from labelf_cli.errors import BadRowError, InputError, UsageError
from labelf_cli.formats import Format
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.interface import SAY_ENCODING, ByteSource, ReadOptions, require_columns
from labelf_cli.sources.records import Cursor, Piece, Records, Splitter
from labelf_cli.sources.rejects import BadRows, Reject

_USUAL_DELIMITERS = {
    ",": "',': say --delimiter ','",
    ";": "';': say --delimiter ';'",
    "|": "'|': say --delimiter '|'",
    "\t": "tabs: say --input-format tsv",
}


class CsvSource(ByteSource):
    """A CSV file by RFC 4180, with any delimiter; no value is guessed to be anything but text.

    A field without a character is null, a quoted empty one is the empty text. A row is bad where
    its quotes, the number of its fields or its bytes are.
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
        self._records = Records(self._delimiter)
        first = self._first_record()
        self.names = tuple(
            first if options.header else (f"column_{i + 1}" for i in range(len(first)))
        )
        self._suspect_delimiter()
        require_columns(self.names, options.text_columns, data.name)
        self.schema = pa.schema([(name, pa.string()) for name in self.names])

    def _first_record(self) -> list[str]:
        content, is_whole = self._data.prefix()
        head = content + b"\n" if is_whole else content
        record = head[: self._records.first_end(head)]
        where = f"{self._data.name}, line 1"
        if not record and content:
            raise InputError(self._records.fault(head, 0, is_all=True), where=where)
        if not record.strip(b"\r\n"):
            if self._options.header or not content:
                raise InputError("there is no header line", where=self._data.name)
            return [""]  # a row whose only value is null
        try:
            return list(self._read(record, None).column_names)
        except UnicodeDecodeError as error:
            raise InputError(self._not_text(error), where=where, todo=SAY_ENCODING) from None

    def _suspect_delimiter(self) -> None:
        """Name the delimiter that a header of one field seems to have."""
        wanted = self._options.text_columns
        if len(self.names) > 1 or not wanted or wanted[0] in self.names:
            return
        (name,) = self.names
        likely = max(_USUAL_DELIMITERS, key=name.count)
        if likely in name:
            raise InputError(
                f"no column '{wanted[0]}'",
                where=self._data.name,
                todo=f"It looks separated by {_USUAL_DELIMITERS[likely]}",
            )

    def batches(self, bad_rows: BadRows, bookmark: int | None = None) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``; a bookmark stands before each block of records."""
        skip = self._options.header and bookmark is None
        for pieces in Splitter(self._records).pieces(self._data.blocks(bookmark)):
            if not pieces:
                continue
            if skip:
                pieces[0] = self._without_header(pieces[0].content)
                skip = False
            self.bookmark = self._data.bookmark(pieces[0].offset)
            before, after, bad = self._sorted_out(pieces)
            yield from self._batches_of(before)
            for piece in bad:
                bad_rows.add(self._reject(piece))
            yield from self._batches_of(after)

    def _without_header(self, first: bytes) -> Piece:
        cursor, end = Cursor(), self._records.first_end(first)
        cursor.advance(first[:end])
        return cursor.advance(first[end:])

    def _batches_of(self, table: pa.Table) -> Iterator[pa.RecordBatch]:
        for batch in table.to_batches():
            yield with_text(batch, self._options.text_columns)

    def _sorted_out(self, pieces: list[Piece]) -> tuple[pa.Table, pa.Table, list[Piece]]:
        """The rows before the first bad one, those behind it, and the bad ones."""
        try:
            return self._around_bad(pieces)
        except pa.ArrowInvalid:
            pieces = [one for piece in pieces for one in self._looked_through(piece)]
        try:
            return self._around_bad(pieces)
        except pa.ArrowInvalid as error:
            where = f"{self._data.name}, after line {pieces[0].line}"
            raise BadRowError(str(error), where=where) from None

    def _around_bad(self, pieces: list[Piece]) -> tuple[pa.Table, pa.Table, list[Piece]]:
        bad = [piece for piece in pieces if piece.fault]
        first = pieces.index(bad[0]) if bad else len(pieces)
        return self._parse(pieces[:first]), self._parse(pieces[first:]), bad

    def _looked_through(self, piece: Piece) -> Iterator[Piece]:
        """The bad records of a piece, and the good ones between them."""
        if piece.fault:
            yield piece
            return
        cursor, done = Cursor(piece.line, piece.offset), 0
        for begin, end, fault in self._faults(piece.content):
            yield cursor.advance(piece.content[done:begin])
            yield cursor.advance(piece.content[begin:end], fault)
            done = end
        yield cursor.advance(piece.content[done:])

    def _faults(self, block: bytes) -> Iterator[tuple[int, int, str]]:
        """Where bad records begin and end, and what is wrong with them."""
        width, begin = len(self.names), 0
        bad = _first_bad_byte(block, 0)
        while begin < len(block):
            end = self._records.end_of_rows(block, begin, width)
            if bad is not None and bad.start < end:
                begin, end = self._records.around(block, begin, bad.start)
                yield begin, end, self._not_text(bad)
            elif end < len(block):
                begin, end = self._records.around(block, end, end)
                record = block[begin:end]
                fault = f"{self._records.width(record)} fields where there should be {width}"
                end = begin + self._records.swallowing_line(record, width)
                yield begin, end, fault
            begin = end
            if bad is not None and bad.start < begin:
                bad = _first_bad_byte(block, begin)

    def _reject(self, piece: Piece) -> Reject:
        raw = piece.content.removesuffix(b"\n").removesuffix(b"\r")
        found = Reject(
            self._data.name, piece.line, piece.offset + self._data.mark, piece.fault, raw
        )
        bad = _first_bad_byte(raw, 0)
        is_of_bytes = bad is not None and self._not_text(bad) == piece.fault
        return replace(found, todo=SAY_ENCODING) if is_of_bytes else found

    def _parse(self, pieces: Iterable[Piece]) -> pa.Table:
        """The rows of whole records; lines that are none are left out."""
        block = b"".join(piece.content for piece in pieces if not piece.fault)
        if not block.strip(b"\r\n"):  # which Arrow takes for no table at all
            count = len(block.splitlines()) if len(self.names) == 1 else 0
            return pa.table([pa.nulls(count, pa.string())] * len(self.names), schema=self.schema)
        if block.startswith(codecs.BOM_UTF8):  # in mid-file it belongs to a value
            block = codecs.BOM_UTF8 + block
        return self._read(block, self.schema)

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


def _first_bad_byte(block: bytes, begin: int) -> UnicodeDecodeError | None:
    """The first byte from ``begin`` on that is not valid UTF-8."""
    try:
        codecs.utf_8_decode(memoryview(block)[begin:], "strict", True)
    except UnicodeDecodeError as error:
        return UnicodeDecodeError("utf-8", block, begin + error.start, begin + error.end, "")
    return None
