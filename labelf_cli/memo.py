"""Answers of this run kept in memory: equal texts are classified once over all its chunks."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelf_cli.tokens import Ints

Owner = TypeVar("Owner")
Arrays = Sequence[npt.NDArray[Any]]

MEMO_BYTES = 32 << 20
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
