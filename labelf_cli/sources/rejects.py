"""Bad rows: what is known of one, and what becomes of it."""

import base64
import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

from labelf_cli.errors import BadRowError, TooManyRejectsError, UsageError

LONGEST_ROW = 64 << 20
"""A row may have so many bytes."""

RAW_BYTES = 1 << 20
"""So much is kept of a line that is longer than a row may be."""

REJECTS_SUFFIX = ".rejects.jsonl"
"""What the name of an output is followed by in that of its rejects."""

TOO_LONG = f"a line of more than {LONGEST_ROW >> 20} MiB"

_JUDGED_FROM = 1000


class BadRowPolicy(StrEnum):
    """What becomes of a row that can't be read."""

    FAIL = "fail"
    REJECT = "reject"


@dataclass(frozen=True)
class Reject:
    """A row that can't be read.

    Attributes:
        file: as messages name it.
        line: of its first line, from 1; in Parquet the number of the row.
        offset: of its first byte in the decompressed input, in UTF-8, byte order mark counted;
            in Parquet that of its row group.
        reason: why it can't be read.
        raw: its bytes, in UTF-8 if the input has another encoding, without the last line end.
        todo: what could be done.
        counted: what ``line`` counts.
    """

    file: str
    line: int
    offset: int
    reason: str
    raw: bytes
    todo: str = "Correct the line"
    counted: str = "line"

    def as_json(self) -> str:
        """The line of the file of rejects that tells of it."""
        raw = base64.b64encode(self.raw).decode()
        found = {"file": self.file, self.counted: self.line, "offset": self.offset}
        return json.dumps({**found, "reason": self.reason, "raw": raw}, ensure_ascii=False)


@dataclass(frozen=True)
class MaxRejects:
    """How many rejects are too many: more than ``rows`` that are also more than a share of all.

    Attributes:
        rows: so many are never too many.
        share: nor is this share of the rows read, which counts from 1,000 rows on.
    """

    rows: int = 0
    share: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "MaxRejects":
        """Read ``N`` or ``P%``.

        Raises:
            UsageError: it is neither.
        """
        if re.fullmatch(r"[0-9]+", text):
            return cls(rows=int(text))
        percent = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*%", text)
        if percent is None or float(percent[1]) > 100:
            raise UsageError(
                f"'{text}' is neither a number of rows nor a share of them",
                where="--max-rejects",
                todo="Give one such as 100 or 0.5%",
            )
        return cls(share=float(percent[1]) / 100)

    def exceeded(self, rejected: int, read: int, *, at_end: bool = False) -> bool:
        """Whether so many rejects among so many rows are too many."""
        if self.share and read < _JUDGED_FROM and not at_end:
            return False
        return rejected > self.rows and rejected > self.share * read

    def judge(self, rejected: int, read: int, *, at_end: bool = False) -> None:
        """Refuse so many rejects among so many rows, if they are too many.

        Raises:
            TooManyRejectsError: they are.
        """
        if self.exceeded(rejected, read, at_end=at_end):
            raise TooManyRejectsError(
                f"{rejected:,} of {read:,} rows can't be read, which is more than {self}",
                where="--max-rejects",
                todo="Check --delimiter, --encoding and --input-format",
            )

    def __str__(self) -> str:
        return f"{self.share * 100:g}%" if self.share else f"{self.rows:,}"


class BadRows(ABC):
    """Takes the rows that can't be read.

    Attributes:
        count: how many there were.
    """

    count: int = 0

    @property
    def told(self) -> int:
        """How many of them this run tells of."""
        return self.count

    @abstractmethod
    def add(self, reject: Reject) -> None:
        """Take one; they come in the order of the input.

        Raises:
            BadRowError: it is one too many.
        """

    def read(self, rows: int) -> None:  # noqa: B027  # most need not know
        """So many rows more could be read."""

    def finish(self, rows: int) -> None:  # noqa: B027
        """The inputs are at their end; so many rows of them could be read.

        Raises:
            TooManyRejectsError: there were too many others.
        """


class FailOnBadRows(BadRows):
    """The first bad row is an error."""

    def __init__(self, or_else: str = ", or run it again with --bad-rows reject") -> None:
        """Make it with what else than to mend the row can be done; only some commands have it."""
        self._or_else = or_else

    def add(self, reject: Reject) -> None:
        """See ``BadRows.add``."""
        raise BadRowError(
            reject.reason,
            where=f"{reject.file}, {reject.counted} {reject.line}",
            todo=f"{reject.todo}{self._or_else}",
        )


class RejectBadRows(BadRows):
    """Bad rows are written down, one JSON object a line, and left out."""

    def __init__(self, stream: IO[bytes], limit: MaxRejects | None = None) -> None:
        """Write to a stream; ``limit`` is None for any number."""
        self._stream, self._limit = stream, limit
        self._rows = 0

    def add(self, reject: Reject) -> None:
        """See ``BadRows.add``."""
        self.count += 1
        self._write(reject)
        self._judge(self._rows + self.count, at_end=False)

    def _write(self, reject: Reject) -> None:
        self._stream.write(reject.as_json().encode() + b"\n")

    def read(self, rows: int) -> None:
        """See ``BadRows.read``."""
        self._rows += rows

    def finish(self, rows: int) -> None:
        """See ``BadRows.finish``."""
        self._judge(rows + self.count, at_end=True)

    def _judge(self, read: int, *, at_end: bool) -> None:
        if self._limit:
            self._limit.judge(self.count, read, at_end=at_end)
