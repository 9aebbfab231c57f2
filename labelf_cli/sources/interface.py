"""What every format's reader gives: Arrow record batches with the text as their last column."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from labelf_cli.errors import InputError
from labelf_cli.formats import Format
from labelf_cli.sources.files import ByteInput
from labelf_cli.sources.rejects import BadRows


@dataclass(frozen=True)
class ReadOptions:
    """How inputs are read.

    Attributes:
        text_columns: what is classified; several are joined by a newline.
        output_format: where the rows go, since it decides how JSON values are kept.
        delimiter: between fields; None for the format's own.
        encoding: of text files, as Python names it; None for what the byte order mark says.
        header: whether the first record of a CSV file names its columns.
    """

    text_columns: tuple[str, ...]
    output_format: Format
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True


SAY_ENCODING = "Name the file's encoding with --encoding"


class Source(ABC):
    """A table that is read from its beginning, or from a bookmark, to its end.

    Attributes:
        schema: of the columns that pass through to the output.
        names: the input's column names as the user knows them.
        bookmark: from where ``batches`` would yield what it has yielded last, and all that follows;
            not changed by every batch. None where reading has to begin at the beginning.
    """

    schema: pa.Schema
    names: tuple[str, ...]
    bookmark: int | None = None

    @property
    @abstractmethod
    def size(self) -> int | None:
        """All there is to read, in bytes or rows; None where nobody knows."""

    @property
    @abstractmethod
    def position(self) -> int:
        """How much of it is read."""

    @abstractmethod
    def batches(self, bad_rows: BadRows, bookmark: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows: the columns of ``schema`` and the text (see ``chunk.with_text``).

        Rows that can't be read go to ``bad_rows``; which ones depends on the input alone. The rows
        before the first of them come before it does. From a bookmark on the good rows are the same;
        what bad ones tell of their place is not.

        Raises:
            BadRowError: nothing more can be read.
        """


class ByteSource(Source):
    """A table in a stream of bytes."""

    def __init__(self, data: ByteInput, options: ReadOptions) -> None:
        self._data, self._options = data, options

    @property
    def size(self) -> int | None:
        """Bytes on disk."""
        return self._data.size

    @property
    def position(self) -> int:
        """Bytes that were read from disk."""
        return self._data.position

    def _not_text(self, error: UnicodeDecodeError) -> str:
        """What is wrong with bytes that are not valid UTF-8."""
        if self._data.encoding.startswith("utf-8") or self._data.encoding == "ascii":
            return f"byte 0x{error.object[error.start]:02x} is not valid UTF-8"
        return f"not valid {self._data.encoding}"


def require_columns(
    names: Sequence[str], wanted: Sequence[str], where: str, option: str = "--text-column"
) -> None:
    """Refuse an input that lacks a column that ``option`` names, or whose columns share a name.

    Raises:
        InputError: it names the columns that there are.
    """
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"two columns are named '{name}'", where=where, todo="Rename one of them"
            )
    for column in wanted:
        if column not in names:
            raise InputError(
                f"no column '{column}'",
                where=where,
                todo=f"There are: {', '.join(names)}; choose with {option}",
            )
