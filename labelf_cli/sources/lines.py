"""Lines of a file, however long, from its blocks."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from labelf_cli.sources.rejects import LONGEST_ROW, RAW_BYTES


class Line(NamedTuple):
    """A line of a file.

    Attributes:
        content: without the line feed; of a line that is too long only its beginning.
        number: from 1.
        offset: of the first byte.
        is_too_long: whether it has more bytes than a row may have.
    """

    content: bytes
    number: int
    offset: int
    is_too_long: bool


class _Lines:
    """Puts together lines that go over several blocks."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self.size = 0
        self._number, self._offset = 1, 0

    def add(self, part: bytes) -> None:
        """The line goes on; what is beyond the longest row is not kept."""
        self.size += len(part)
        if self.size <= self._longest:
            self._parts.append(part)
        elif self._parts:
            self._parts = [b"".join([*self._parts, part])[:RAW_BYTES]]

    def end(self, part: bytes) -> Line:
        """The line ends."""
        self.add(part)
        is_too_long = self.size > self._longest
        line = Line(b"".join(self._parts), self._number, self._offset, is_too_long)
        self._number += 1
        self._offset += self.size + 1
        self._parts, self.size = [], 0
        return line


def line_blocks(blocks: Iterable[bytes], longest: int = LONGEST_ROW) -> Iterator[list[Line]]:
    """The lines that end in each block; the last one need not end."""
    lines = _Lines(longest)
    for block in blocks:
        *ended, rest = block.split(b"\n")
        yield [lines.end(part) for part in ended]
        lines.add(rest)
    if lines.size:
        yield [lines.end(b"")]
