"""Where the bytes of an input come from: files, objects, stdin; decompressed, and in UTF-8."""

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, cast

import pyarrow as pa

from labelf_cli.errors import BadRowError, InputError
from labelf_cli.formats import compression_of
from labelf_cli.sources.encodings import (
    begun,
    encoding_of,
    in_utf8,
    is_utf8,
    known_encoding,
    without_mark,
)
from labelf_cli.sources.listing import found
from labelf_cli.storage.names import InputName
from labelf_cli.storage.reading import open_object, size_of
from labelf_cli.storage.uri import told

PREFIX_BYTES = 4 << 20
"""What is looked at before the run: column names, and the types of JSON values."""

STDIN = "-"

_BLOCK_BYTES = 1 << 20
_OBJECT_BLOCK_BYTES = 8 << 20


def expand(patterns: Sequence[str]) -> list[str]:
    """File names behind the arguments: as they are, those in a folder, the matches of a glob.

    Raises:
        InputError: there is no such file, nothing matches, or a name is empty.
    """
    names: list[str] = []
    for pattern in patterns:
        if not pattern:  # as of a variable that is not set; as a path it would be this folder
            raise InputError("the name of an input is empty", todo="Name a file; . is this folder")
        names += [pattern] if pattern == STDIN else found(pattern)
    if names.count(STDIN) > 1:
        raise InputError("stdin can be read only once", where=STDIN)
    return names


class Prefix(NamedTuple):
    """The beginning of an input, and whether it is all of it."""

    content: bytes
    is_whole: bool


class ByteInput:
    """One input as a stream of bytes whose beginning can be looked at before it is read.

    Attributes:
        name: as messages give it.
        size: of the file as it lies on disk, in bytes; None for stdin.
        position: how many of them ``blocks`` has read.
        encoding: of the text; its byte order mark may tell another one when it is read.
        mark: length of the byte order mark that was left out, in UTF-8.
        partitions: what the folders say that it lies in.
        lost: why the store could not be read any more; None as long as it can.
    """

    def __init__(self, name: str, encoding: str | None = None) -> None:
        """Name a file, or ``STDIN``; without an encoding the byte order mark tells it.

        Raises:
            InputError: there is no such encoding, or stdin is closed.
        """
        self._is_stdin = name == STDIN
        if self._is_stdin and sys.stdin is None:  # as Python has it where a shell says <&-
            raise InputError("it is closed", where="<stdin>", todo="Name a file")
        known = InputName.of(name)
        self.name = "<stdin>" if self._is_stdin else str(known)
        self._uri, self.partitions = known.uri, known.partitions
        self.lost: str | None = None
        self._looked_at = b""
        self.size = None if self._is_stdin else size_of(known)
        self.position = self._begin = 0
        self._given_encoding = None if encoding is None else known_encoding(encoding)
        self.encoding = self._given_encoding or "utf-8"
        self.mark = 0

    def prefix(self) -> Prefix:
        """The first ``PREFIX_BYTES`` bytes, in UTF-8 without a byte order mark.

        Raises:
            InputError: they can't be read, or lack the byte order mark that tells their encoding.
        """
        if self._is_stdin:
            self._looked_at = self._looked_at or sys.stdin.buffer.read(PREFIX_BYTES)
            content = self._looked_at
        else:
            with self._on_disk() as file, self._decompressed(file) as stream:
                try:
                    content = bytes(stream.read(PREFIX_BYTES))
                except OSError as error:
                    why = self._why(error)
                    raise InputError(f"can't be read ({why})", where=self.name) from None
        is_whole = len(content) < PREFIX_BYTES
        return Prefix(b"".join(self._in_utf8([content], final=is_whole)), is_whole)

    def bookmark(self, offset: int) -> int | None:
        """From where ``blocks`` can begin at a byte of those that it has yielded; None if it can't.

        Args:
            offset: of that byte among them.
        """
        is_as_it_lies = self.size is not None and compression_of(self.name) is None
        return (
            self._begin + self.mark + offset if is_as_it_lies and is_utf8(self.encoding) else None
        )

    def blocks(self, bookmark: int | None = None) -> Iterator[bytes]:
        """All bytes, or those from a bookmark on, in UTF-8 without a byte order mark, in blocks.

        Characters that are not valid in the file's encoding become bytes that are not valid UTF-8.

        Raises:
            BadRowError: the file ends in mid-stream.
        """
        self._begin = bookmark or 0
        if bookmark is not None:
            self.mark = 0
            return self.raw_blocks(bookmark)
        return self._in_utf8(self.raw_blocks())

    def raw_blocks(self, begin: int = 0) -> Iterator[bytes]:
        """The bytes as they are, in blocks; of what is stored as it is, from some byte on."""
        if self._is_stdin:
            yield self._looked_at
            while block := sys.stdin.buffer.read(_BLOCK_BYTES):
                yield block
            return
        with self._on_disk(begin) as file, self._decompressed(file) as stream:
            while block := self._read_on(stream):
                self.position = file.tell()
                yield block

    def seekable(self) -> Path | IO[bytes]:
        """The same bytes to be read in any order; stdin is spooled into a file that has no name.

        Raises:
            InputError: an object can't be read.
        """
        if self._uri is not None:
            return cast(IO[bytes], _Ranges(self, self._on_disk(), self._why))
        if not self._is_stdin:
            return Path(self.name)
        spool = tempfile.TemporaryFile(prefix="labelf-")  # noqa: SIM115  # its reader closes it
        for block in self.raw_blocks():
            spool.write(block)
        return spool

    def _on_disk(self, begin: int = 0) -> pa.NativeFile:
        try:
            file = pa.OSFile(self.name) if self._uri is None else open_object(self._uri)
            if begin:  # what is no file can't seek
                file.seek(begin)
            return file
        except OSError as error:
            raise InputError(
                f"can't be read ({error.strerror or error})", where=self.name, todo="Check the path"
            ) from None

    def _decompressed(self, file: pa.NativeFile) -> pa.NativeFile:
        compression = compression_of(self.name)
        if self._uri is not None:  # where each read is a request
            file = pa.BufferedInputStream(file, _OBJECT_BLOCK_BYTES)
        return pa.CompressedInputStream(file, compression) if compression else file

    def _read_on(self, stream: pa.NativeFile) -> bytes:
        try:
            return bytes(stream.read(_BLOCK_BYTES))
        except OSError as error:
            why = self._why(error)
            raise BadRowError(
                f"can't be read further ({why})",
                where=self.name,
                todo="Mend that and run the same command again",
            ) from None

    def _why(self, error: OSError) -> str:
        return str(error) if self._uri is None else str(told(error, self._uri).strerror)

    def _in_utf8(self, blocks: Iterable[bytes], *, final: bool = True) -> Iterator[bytes]:
        head, rest = begun(blocks)
        self.encoding = encoding_of(head, self._given_encoding)
        if head and self.encoding in ("utf-16", "utf-32"):
            raise InputError(
                f"no byte order mark tells which {self.encoding} it is",
                where=self.name,
                todo=f"Say --encoding {self.encoding}-le or {self.encoding}-be",
            )
        self.mark, text = without_mark(in_utf8(rest, self.encoding, final=final))
        yield from text


class _Ranges:
    """An object that is read by ranges, and keeps why it could not be read any more."""

    def __init__(self, data: ByteInput, file: pa.NativeFile, why: Callable[[OSError], str]) -> None:
        self._data, self._file, self._why = data, file, why
        self.seek, self.tell, self.size = file.seek, file.tell, file.size

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._file.read(size if size >= 0 else None))
        except OSError as error:
            self._data.lost = self._why(error)
            raise
