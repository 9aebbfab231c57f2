"""The distinct texts of a chunk, and what a tokenizer makes of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.tokens import Ints, TokenIds, Tokenizer, encode_each, join

# Arrow takes long to make its own scalars of Python's.
_EMPTY, _NULL = pa.scalar(""), pa.scalar(None, pa.string())


@dataclass(frozen=True)
class DistinctTexts:
    """The distinct texts of a chunk.

    Attributes:
        distinct: the texts that are classified, each once.
        places: for each row its text, as a position in ``distinct``; one past the last for a
            row without a text, [rows] int64.
    """

    distinct: pa.StringArray
    places: Ints

    @classmethod
    def of(cls, texts: pa.StringArray) -> "DistinctTexts":
        """Find them; blank ones are none."""
        blank = pc.equal(pc.utf8_trim_whitespace(texts), _EMPTY)
        encoded = pc.if_else(blank, _NULL, texts).dictionary_encode()
        places = pc.fill_null(encoded.indices, len(encoded.dictionary))
        return cls(encoded.dictionary, places.to_numpy().astype(np.int64))

    def spread(self, reasons: dict[int, list[str]]) -> pa.StringArray:
        """Why texts failed, by their places, as a column of the rows; null for the others."""
        failed = pa.array(list(reasons), pa.int64())
        joined = pa.array(["; ".join(its) for its in reasons.values()], pa.string())
        return joined.take(pc.index_in(pa.array(self.places), failed))


@dataclass(frozen=True)
class Tokenised:
    """Texts of a chunk as one tokenizer sees them.

    Attributes:
        places: of the texts, in order, [n] int64.
        ids: their token ids.
        failures: why it failed on some, by their places.
    """

    places: Ints
    ids: TokenIds
    failures: dict[int, str]

    def __or__(self, other: "Tokenised") -> "Tokenised":
        """Both together."""
        places, ids = np.concatenate((self.places, other.places)), join([self.ids, other.ids])
        order = np.argsort(places)
        ids = TokenIds(ids.flat, ids.starts[order], ids.lengths[order])
        return Tokenised(places[order], ids, self.failures | other.failures)


NOTHING = Tokenised(np.empty(0, np.int64), TokenIds.of([]), {})


class Tokenising:
    """Texts on their way through a tokenizer, some a step; steps may run at once.

    Attributes:
        steps: their numbers.
    """

    def __init__(self, tokenizer: Tokenizer, texts: pa.StringArray, places: Ints) -> None:
        """Take texts and their places in the chunk, in order, [texts] int64."""
        self._tokenizer, self._texts, self._places = tokenizer, texts, places
        self._cuts = list(tokenising_steps(pc.binary_length(texts).to_numpy()))
        self.steps = range(len(self._cuts))
        self._done: dict[int, TokenIds] = {}
        self._failures: dict[int, str] = {}
        self._lock = Lock()

    def run(self, step: int) -> Tokenised | None:
        """Encode the texts of a step; gives all texts with the last step that ends."""
        cut = self._cuts[step]
        ids, why = encode_each(self._tokenizer, self._texts[cut].to_pylist())
        with self._lock:
            self._done[step] = ids
            self._failures.update((int(self._places[cut][at]), why[at]) for at in why)
            if len(self._done) < len(self.steps):
                return None
        joined = join([self._done[number] for number in self.steps])
        return Tokenised(self._places, joined, self._failures)


TEXTS_PER_STEP, BYTES_PER_STEP = 256, 256 << 10
"""What is tokenised in one step: enough steps for all workers, each worth its while, none long."""


def tokenising_steps(sizes: Ints) -> Iterator[slice]:
    """Cut texts into steps of the tokenizer; one ends with the text that reaches its bytes.

    Args:
        sizes: bytes of each text, [texts] int64.
    """
    cumulated = np.cumsum(sizes)
    start = before = 0
    while start < len(sizes):
        reached = int(np.searchsorted(cumulated, before + BYTES_PER_STEP)) + 1
        stop = min(start + TEXTS_PER_STEP, reached, len(sizes))
        yield slice(start, stop)
        start, before = stop, int(cumulated[stop - 1])
