"""The distinct texts of a chunk, and what a tokenizer makes of them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.tokens import Ints, TokenIds, join

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
