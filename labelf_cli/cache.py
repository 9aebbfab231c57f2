"""Logits kept in a file, across runs: a text is paid for once."""

import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from pathlib import Path
from threading import Lock

import numpy as np

from labelf_cli.errors import OutputError
from labelf_cli.predictions import Floats
from labelf_cli.tokens import Ints

_log = logging.getLogger(__name__)

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

    def flush(self) -> None:
        """Write what waits; a crash of the process loses nothing of it."""
        with self._lock:
            if self._waiting:
                self._write()

    def close(self) -> None:
        """Write what waits; a second call does nothing."""
        self.flush()
        with self._lock:
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
