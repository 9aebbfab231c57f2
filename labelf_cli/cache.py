"""Logits kept, so that nothing is computed twice: in memory within a run, in a file across runs."""

import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise, repeat
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelf_cli.errors import OutputError
from labelf_cli.predictions import Floats
from labelf_cli.tokens import Ints

_log = logging.getLogger(__name__)

Owner = TypeVar("Owner")
Arrays = Sequence[npt.NDArray[Any]]

MEMO_BYTES = 64 << 20
_KEY_BYTES = 16
# What Python needs for a key: the bytes object, its place in the dict and in the list.
_OVERHEAD_BYTES = 200


def text_keys(texts: pa.StringArray) -> list[bytes]:
    """A hash of each text (BLAKE2b, 128 bits), taken from Arrow's bytes without making a string."""
    if not len(texts):
        return []
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].tolist()
    view = memoryview(content or b"")
    hashed = hashlib.blake2b
    return [
        hashed(view[start:end], digest_size=_KEY_BYTES).digest() for start, end in pairwise(ends)
    ]


@dataclass(frozen=True)
class Claim(Generic[Owner]):
    """What the memo says of some texts.

    Attributes:
        known: places of the texts whose answers were copied, [known] int64.
        elsewhere: for each owner that computes some of them now, their places here and there.
        own: places of the texts that nobody computes yet, [own] int64.
    """

    known: Ints
    elsewhere: list[tuple[Owner, Ints, Ints]]
    own: Ints


class Memo(Generic[Owner]):
    """The answers to the latest distinct texts, and who computes those that are on their way.

    Rows of some arrays by key. It holds a fixed number of rows; the oldest make room.
    """

    def __init__(self, like: Arrays, max_bytes: int = MEMO_BYTES) -> None:
        """Make room.

        Args:
            like: arrays of the widths and types that are kept.
            max_bytes: about what it may take, once it is full.
        """
        row_bytes = sum(array[:1].nbytes for array in like)
        self._rows = max(1, max_bytes // (row_bytes + _OVERHEAD_BYTES))
        self._arrays = [np.empty((self._rows, *a.shape[1:]), a.dtype) for a in like]
        self._keys: list[bytes] = []
        self._row_of: dict[bytes, int] = {}
        self._oldest = 0
        self._in_flight: dict[bytes, tuple[Owner, int]] = {}
        self._lock = Lock()

    def claim(self, keys: Sequence[bytes], owner: Owner, into: Arrays) -> Claim[Owner]:
        """Copy the answers that are known; let ``owner`` compute those that nobody computes.

        Args:
            keys: of the distinct texts.
            owner: who asks.
            into: one array for each of the memo's, with a row for each text.
        """
        known: list[int] = []
        rows: list[int] = []
        own: list[int] = []
        elsewhere: dict[int, tuple[Owner, list[int], list[int]]] = {}
        with self._lock:
            for place, key in enumerate(keys):
                if (row := self._row_of.get(key)) is not None:
                    known.append(place)
                    rows.append(row)
                elif (other := self._in_flight.get(key)) is not None:
                    its = elsewhere.setdefault(id(other[0]), (other[0], [], []))
                    its[1].append(place)
                    its[2].append(other[1])
                else:
                    own.append(place)
                    self._in_flight[key] = (owner, place)
            for array, kept in zip(into, self._arrays, strict=True):
                array[known] = kept[rows]
        return Claim(
            np.array(known, np.int64),
            [(o, np.array(here), np.array(there)) for o, here, there in elsewhere.values()],
            np.array(own, np.int64),
        )

    def keep(self, keys: Sequence[bytes], places: Ints, answers: Arrays) -> None:
        """Keep the answers to some texts.

        Args:
            keys: of all texts of the owner.
            places: which of them, [n] int64.
            answers: as ``into`` of ``claim``.
        """
        places = places[-self._rows :]
        with self._lock:
            rows = [self._row_for(keys[place]) for place in places.tolist()]
            for kept, array in zip(self._arrays, answers, strict=True):
                kept[rows] = array[places]

    def release(self, keys: Sequence[bytes], owner: Owner) -> None:
        """Let the texts that ``owner`` has claimed be claimed anew, unless they are kept."""
        with self._lock:
            for key in keys:
                if (claimed := self._in_flight.get(key)) is not None and claimed[0] is owner:
                    del self._in_flight[key]

    def _row_for(self, key: bytes) -> int:
        if len(self._keys) < self._rows:
            row = len(self._keys)
            self._keys.append(key)
        else:
            row = self._oldest
            self._oldest = (row + 1) % self._rows
            del self._row_of[self._keys[row]]
            self._keys[row] = key
        self._row_of[key] = row
        return row


_SCHEMA_VERSION = 1
_SCHEMA = f"""
CREATE TABLE model (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE);
CREATE TABLE answer (
    model INTEGER NOT NULL,
    text BLOB NOT NULL,
    length INTEGER NOT NULL,
    logits BLOB NOT NULL,
    PRIMARY KEY (model, text)
) WITHOUT ROWID;
PRAGMA user_version = {_SCHEMA_VERSION};
"""
_BUSY_SECONDS = 60
_WRITE_SECONDS = 1.0
_KEYS_PER_QUERY = 500


class LogitsCache:
    """Logits by model and text in a SQLite file, which several runs may share.

    A model is known by a hash of all that decides its logits, a text by its own. What comes after
    the logits (activation, filter, thresholds) is not kept, so that it can be changed.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            OutputError: it can't be used.
        """
        self._path, self._lock = path, Lock()
        self._waiting: list[tuple[int, bytes, int, bytes]] = []
        self._written = time.monotonic()
        self._complained = False
        with self._refused(), ExitStack() as undo:
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            undo.callback(self._connection.close)
            self._prepare()
            undo.pop_all()

    def _prepare(self) -> None:
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        (version,) = run("PRAGMA user_version").fetchone()
        if version == 0 and not run("SELECT 1 FROM sqlite_schema").fetchone():
            for statement in filter(str.strip, _SCHEMA.split(";")):
                run(statement)
        elif version != _SCHEMA_VERSION:
            raise sqlite3.DatabaseError("not a cache of this version of labelf")
        run("COMMIT")
        # Readers and a writer do not wait for each other. Whoever holds a lock that this does not
        # wait for is at the same line, or has passed it.
        with suppress(sqlite3.OperationalError):
            run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")

    def model(self, digest: str) -> int:
        """Number of a model in this file.

        Raises:
            OutputError: the file can't be used.
        """
        with self._lock, self._refused():
            self._connection.execute("INSERT OR IGNORE INTO model (digest) VALUES (?)", (digest,))
            found = self._connection.execute("SELECT id FROM model WHERE digest = ?", (digest,))
            return int(found.fetchone()[0])

    def get(self, model: int, keys: Sequence[bytes], width: int) -> tuple[Ints, Ints, Floats]:
        """Answers of a model.

        Args:
            model: its number.
            keys: of the texts.
            width: of its logits.

        Returns:
            For those that are known: their places among ``keys`` [known] int64, the lengths of
            their texts in tokens [known] int64, their logits [known × width] float32.
        """
        rows: list[tuple[bytes, int, bytes]] = []
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[start : start + _KEYS_PER_QUERY]
            query = (
                "SELECT text, length, logits FROM answer WHERE model = ? AND text IN "
                f"({','.join('?' * len(some))})"
            )
            with self._lock, self._survived():
                rows += self._connection.execute(query, (model, *some)).fetchall()
        place = {key: i for i, key in enumerate(keys)}
        logits = np.frombuffer(b"".join(row[2] for row in rows), np.float32)
        return (
            np.array([place[row[0]] for row in rows], np.int64),
            np.array([row[1] for row in rows], np.int64),
            logits.reshape(len(rows), width),
        )

    def put(self, model: int, keys: Sequence[bytes], lengths: Ints, logits: Floats) -> None:
        """Keep answers; they are on disk about a second later, or when the cache is closed."""
        blobs = [row.tobytes() for row in logits]
        with self._lock:
            self._waiting += zip(repeat(model), keys, lengths.tolist(), blobs)
            if time.monotonic() - self._written > _WRITE_SECONDS:
                self._write()

    def close(self) -> None:
        """Write what waits."""
        with self._lock:
            if self._waiting:
                self._write()
            self._connection.close()

    def _write(self) -> None:
        with self._survived():
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT OR IGNORE INTO answer VALUES (?, ?, ?, ?)", self._waiting
            )
            self._connection.execute("COMMIT")
        self._waiting = []
        self._written = time.monotonic()

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """A cache that can't be used from the start ends the command."""
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(
                f"can't be used as a cache ({error})", where=self._path, todo="Name another --cache"
            ) from None

    @contextmanager
    def _survived(self) -> Iterator[None]:
        """A cache that breaks costs time, not the run."""
        try:
            yield
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            if not self._complained:
                _log.warning("%s: the cache fails (%s); going on without it", self._path, error)
            self._complained = True
