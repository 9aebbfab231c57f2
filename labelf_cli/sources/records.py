"""Where CSV records begin and end, and which lines belong to none."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from labelf_cli.sources.rejects import LONGEST_ROW, RAW_BYTES, TOO_LONG

NEVER_CLOSED = "a quoted field is never closed"
TEXT_AFTER_QUOTE = "text after the closing quote of a field"

_LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r(?=[^\n]))")


class Piece(NamedTuple):
    """Consecutive bytes of a file.

    Attributes:
        content: whole records with their line ends, or a line that is none.
        line: number of the first line.
        offset: of the first byte.
        fault: why it is no record; empty if it is.
    """

    content: bytes
    line: int
    offset: int
    fault: str = ""


class Cursor:
    """Gives the bytes of a file their line and offset, one after the other."""

    def __init__(self, line: int = 1, offset: int = 0) -> None:
        self._line, self._offset = line, offset

    def advance(self, content: bytes, fault: str = "") -> Piece:
        """The next bytes."""
        piece = Piece(content, self._line, self._offset, fault)
        self._line += line_ends(content, 0, len(content))
        self._offset += len(content)
        return piece


def line_ends(block: bytes, begin: int, end: int) -> int:
    """How many lines end there: by line feed, carriage return, or both."""
    returns = block.count(b"\r", begin, end)
    if returns:
        returns -= block.count(b"\r\n", begin, end)
    return returns + block.count(b"\n", begin, end)


class Records:
    """The records of RFC 4180 with any delimiter.

    A field that begins with a quote ends with one; within another field quotes are literal.
    """

    def __init__(self, delimiter: str) -> None:
        d = re.escape(delimiter.encode())
        quoted = rb'"(?:[^"]++|"")*+"'
        plain = rb'[^"' + d + rb"\r\n][^" + d + rb"\r\n]*+"
        one = rb"(?:" + quoted + rb"|" + plain + rb")?+"
        record = one + rb"(?:" + d + one + rb")*+"
        self._delimiter = delimiter.encode()
        self._d, self._one_field = d, one
        self._fields = re.compile(record)
        self._quoted = re.compile(rb"(?:^|(?<=" + d + rb"))" + quoted)
        self._one = re.compile(record + rb"(?:\r\n?|\n)")
        # A lone CR ends a record too, but only once the next byte shows that it is alone.
        self._many = re.compile(rb"(?:" + record + rb"(?:\r\n|\n|\r(?=[^\n])))*+")

    def first_end(self, block: bytes) -> int:
        """Where the first record ends, its line end included; 0 if it does not."""
        found = self._one.match(block)
        return found.end() if found else 0

    def last_end(self, block: bytes, begin: int) -> int:
        """Where the last whole record from ``begin`` on ends; ``begin`` if there is none."""
        if block.find(b'"', begin) < 0 and (end := block.rfind(b"\n", begin) + 1):
            return end
        found = self._many.match(block, begin)
        return found.end() if found else begin

    def fault(self, block: bytes, begin: int, *, is_all: bool) -> str:
        """What is wrong with the record at ``begin``, which has no end; empty if it may still come.

        ``is_all`` says that no byte will follow that could belong to it.
        """
        found = self._fields.match(block, begin)
        end = found.end() if found else begin
        after = block[end : end + 1]
        if after == b'"':
            return NEVER_CLOSED if is_all else ""
        if after in (b"", b"\r"):
            return TOO_LONG if is_all else ""
        return TEXT_AFTER_QUOTE

    def end_of_rows(self, block: bytes, begin: int, width: int) -> int:
        """Where those of the whole records from ``begin`` on end that have so many fields.

        Empty lines between them count as rows of any width.
        """
        found = self._rows(width).match(block, begin)
        return found.end() if found else begin

    def _rows(self, width: int) -> re.Pattern[bytes]:
        fields = self._one_field + (b"(?:" + self._d + self._one_field + b"){%d}+" % (width - 1))
        return re.compile(b"(?:(?:" + fields + rb")?+(?:\r\n?|\n))*+")

    def around(self, block: bytes, begin: int, position: int) -> tuple[int, int]:
        """Where the record at a position begins and ends, given where one before it begins."""
        for found in self._one.finditer(block, begin):
            if found.end() > position:
                return found.span()
        raise AssertionError("the position is behind all records")

    def width(self, record: bytes) -> int:
        """How many fields a record has."""
        record = record.rstrip(b"\r\n")
        return self._unquoted(record).count(self._delimiter) + 1

    def _unquoted(self, record: bytes) -> bytes:
        return self._quoted.sub(b"", record) if b'"' in record else record

    def swallowing_line(self, record: bytes, width: int) -> int:
        """Where the first line of a record with a wrong number of fields ends, if it alone is bad.

        It is if it has swallowed the others: if they are rows by themselves, all of the right width
        and no quote in any of them astray. Else the whole record is bad.
        """
        line = _LINE.match(record)
        begin = line.end() if line else len(record)
        if self.end_of_rows(record, begin, width) < len(record):
            return len(record)
        for found in self._one.finditer(record, begin):
            if b'"' in self._unquoted(found[0]):
                return len(record)
        return begin


class Splitter:
    """Cuts a file into pieces; where they end depends on the blocks, which lines are bad does not.

    Of a record that is none, only the first line is given up: a stray quote costs one row, though
    it may seem to begin a field that goes on for many.
    """

    def __init__(self, records: Records, longest: int = LONGEST_ROW) -> None:
        self._records, self._longest = records, longest
        self._parts: list[bytes] = []
        self._size = 0
        self._cursor = Cursor()
        self._enough = 1
        self._is_within_long_line = False

    def pieces(self, blocks: Iterable[bytes]) -> Iterator[list[Piece]]:
        """The file's pieces in order, several at a time; empty lists among them."""
        for block in blocks:
            begin = 0
            while begin < len(block):
                # Never more than a record may have, so that no longer one is ever found.
                part = block[begin : begin + self._longest - self._size]
                begin += len(part)
                self._parts.append(part)
                self._size += len(part)
                if self._size >= min(self._enough, self._longest):
                    yield list(self._cut(is_end=False))
        yield list(self._cut(is_end=False))
        if self._size:
            if not self._parts[-1].endswith(b"\n"):
                self._parts.append(b"\n")
            yield list(self._cut(is_end=True))

    def _cut(self, *, is_end: bool) -> Iterator[Piece]:
        held = b"".join(self._parts)
        begin = self._rest_of_long_line(held)
        while begin < len(held):
            end, fault = self._records.last_end(held, begin), ""
            if end == begin:
                is_all = is_end or len(held) - begin >= self._longest
                fault = self._records.fault(held, begin, is_all=is_all)
                end = self._end_of_line(held, begin, is_all=is_all) if fault else begin
                if end == begin:
                    break
            yield self._advance(held[begin:end], fault)
            begin = end
        rest = held[begin:]
        self._parts, self._size = [rest], len(rest)
        # A record that grows block by block is looked at again only when it has doubled.
        self._enough = 2 * len(rest)

    def _end_of_line(self, held: bytes, begin: int, *, is_all: bool) -> int:
        """Where the line ends; ``begin`` if that is not known yet."""
        if found := _LINE.match(held, begin):
            return found.end()
        self._is_within_long_line = is_all
        return len(held) if is_all else begin

    def _rest_of_long_line(self, held: bytes) -> int:
        """Where a line ends whose beginning was too long."""
        if not self._is_within_long_line:
            return 0
        found = _LINE.match(held)
        self._is_within_long_line = found is None
        end = found.end() if found else len(held) - held.endswith(b"\r")
        self._advance(held[:end], "")
        return end

    def _advance(self, content: bytes, fault: str) -> Piece:
        piece = self._cursor.advance(content, fault)
        if self._is_within_long_line:
            return piece._replace(content=content[:RAW_BYTES], fault=fault and TOO_LONG)
        return piece
