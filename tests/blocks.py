"""Files in memory, in the blocks that a test wants."""

import io
from collections.abc import Iterator, Sequence
from itertools import cycle

from labelf_cli.sources.files import STDIN, ByteInput, Prefix

WHOLE = 1 << 20


class Blocks(ByteInput):
    """A file in memory that comes in blocks of the given sizes, over and over."""

    def __init__(
        self, name: str, content: bytes, sizes: Sequence[int] = (WHOLE,), prefix: int = WHOLE
    ) -> None:
        super().__init__(STDIN)
        self.name = name
        self._content, self._sizes, self._prefix = content, sizes, prefix

    def prefix(self) -> Prefix:
        return Prefix(self._content[: self._prefix], self._prefix >= len(self._content))

    def bookmark(self, offset: int) -> int:
        return self._begin + offset

    def blocks(self, bookmark: int | None = None) -> Iterator[bytes]:
        self._begin = bookmark or 0
        rest = self._content[self._begin :]
        for size in cycle(self._sizes):
            if not rest:
                return
            yield rest[:size]
            rest = rest[size:]

    def seekable(self) -> io.BytesIO:
        return io.BytesIO(self._content)
