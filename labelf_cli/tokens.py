"""Texts to token ids, as ragged arrays, and the special tokens that go around them."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding
from tokenizers import Tokenizer as HfTokenizer

from labelf_cli.errors import ModelError

# The pool of cores is ours: the tokenizer's own threads would compete with the models'.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TokenIds:
    """Token ids of several texts, without special tokens.

    Attributes:
        flat: ids of all texts, one after the other, [tokens] int32.
        starts: where each text begins in ``flat``, [texts] int64.
        lengths: number of tokens of each text, [texts] int64.
    """

    flat: npt.NDArray[np.int32]
    starts: Ints
    lengths: Ints

    @classmethod
    def of(cls, ids: list[list[int]]) -> "TokenIds":
        """Flatten one list of ids per text."""
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        flat = np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum()))
        return cls(flat, np.cumsum(lengths) - lengths, lengths)

    def take(self, rows: Ints) -> "TokenIds":
        """Some of the texts, and no ids but theirs."""
        starts, lengths = self.starts[rows], self.lengths[rows]
        pieces = [self.flat[at : at + length] for at, length in zip(starts, lengths, strict=True)]
        flat = np.concatenate(pieces) if pieces else self.flat[:0]
        return TokenIds(flat, np.cumsum(lengths) - lengths, lengths)


def join(parts: Sequence[TokenIds]) -> TokenIds:
    """The texts of several, one after the other."""
    if len(parts) == 1:
        return parts[0]
    lengths = np.concatenate([ids.lengths for ids in parts])
    flat = np.concatenate([ids.flat for ids in parts])
    return TokenIds(flat, np.cumsum(lengths) - lengths, lengths)


@dataclass(frozen=True)
class Template:
    """The special tokens around one text, and how batches are padded.

    Attributes:
        prefix, suffix: special ids before and after the text, [n] int32.
        type_ids: token type of prefix, text and suffix; the suffix has one or one for each id.
        pad_id: id that fills up shorter rows.
        pad_left, cut_left: on which side rows are padded, and long texts cut.
    """

    prefix: npt.NDArray[np.int32]
    suffix: npt.NDArray[np.int32]
    type_ids: tuple[int, ...] = (0, 0, 0)
    pad_id: int = 0
    pad_left: bool = False
    cut_left: bool = False

    @property
    def key(self) -> str:
        """Tells it from every other template."""
        return repr((self.prefix.tolist(), self.suffix.tolist(), *astuple(self)[2:]))

    @property
    def num_special(self) -> int:
        """How many special tokens every sequence carries."""
        return len(self.prefix) + len(self.suffix)

    def lengths(self, ids: TokenIds, max_length: int | None) -> Ints:
        """Sequence lengths with special tokens, cut to ``max_length``, [texts] int64."""
        full = ids.lengths + self.num_special
        return full if max_length is None else np.minimum(full, max_length)


@contextmanager
def _failures() -> Iterator[None]:
    """Make a ValueError of whatever the library raises: a panic of it is not even an Exception."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise ValueError(str(error)) from None


class Tokenizer:
    """A ``tokenizer.json`` whose own truncation and padding are cleared.

    Two tokenizers with the same ``digest`` give the same ids for every text.
    """

    def __init__(self, content: bytes) -> None:
        """Take the content of a ``tokenizer.json``.

        Raises:
            ValueError: it is none.
        """
        with _failures():
            self._tokenizer = HfTokenizer.from_buffer(content)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        if getattr(self._tokenizer.model, "dropout", None) is not None:
            self._tokenizer.model.dropout = None  # a text has the same tokens every time
        self.digest = hashlib.sha256(self._tokenizer.to_str().encode()).hexdigest()
        self.vocab_size = int(self._tokenizer.get_vocab_size())
        self._before, self._skipped = "", 0

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Load a file.

        Raises:
            ModelError: the file is absent or no tokenizer.
        """
        try:
            return cls(path.read_bytes())
        except OSError as error:
            raise ModelError(f"can't be read ({error.strerror})", where=path) from None
        except ValueError as error:
            raise ModelError(f"not a tokenizer ({error})", where=path) from None

    def encode(self, texts: list[str]) -> TokenIds:
        """Token ids of each text: no special tokens added, nothing cut.

        Raises:
            ValueError: it fails on one of them.
        """
        if self._before:
            texts = [self._before + text for text in texts]
        with _failures():
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return TokenIds.of([encoding.ids[self._skipped :] for encoding in encodings])

    def following(self, before: str) -> "Tokenizer":
        """One that reads each text as what follows ``before``, whose ids it leaves out.

        The beginning of a text may have other tokens than the same words behind a special token.

        Raises:
            ValueError: it fails on ``before``.
        """
        other = copy(self)
        other._before, other._skipped = before, int(self.encode([before]).lengths[0])
        other.digest = hashlib.sha256((self.digest + before).encode()).hexdigest()
        return other

    def token_id(self, token: str) -> int | None:
        """Id of a token, None where the vocabulary lacks it."""
        found = self._tokenizer.token_to_id(token)
        return None if found is None else int(found)

    def words(self) -> list[str]:
        """The pieces of the vocabulary that may be words, sorted; never none."""
        bare = (piece.lstrip("▁Ġ#") for piece in self._tokenizer.get_vocab())
        return sorted({piece for piece in bare if len(piece) > 1 and piece.isalpha()}) or ["a"]

    def _probes(self, *, pairs: bool = False) -> Iterator[Encoding]:
        """Encoded texts one of which has tokens, whatever the vocabulary; or each with itself."""
        for text in chain(["a"], self._tokenizer.get_vocab()):
            encoded = None
            with suppress(ValueError), _failures():
                encoded = self._tokenizer.encode(text, text if pairs else None)
            if encoded is not None:
                yield encoded

    def template(self, pad_id: int, *, pad_left: bool, cut_left: bool) -> Template:
        """Learn from a probe which special tokens the post-processor puts around a text."""
        probe = next(filter(_has_text, self._probes()), None)
        if probe is None:
            return Template(*(np.array([], np.int32),) * 2, (0, 0, 0), pad_id, pad_left, cut_left)
        text = np.flatnonzero(np.array(probe.special_tokens_mask) == 0)
        first, last = text[0], text[-1] + 1
        ids, types = np.array(probe.ids, np.int32), probe.type_ids

        def type_at(position: int) -> int:
            return int(types[position]) if position < len(types) else 0

        type_ids = (type_at(0), type_at(int(first)), type_at(int(last)))
        return Template(ids[:first], ids[last:], type_ids, pad_id, pad_left, cut_left)

    def pair(self) -> Encoding | None:
        """What it makes of two texts, with tokens of both; None if nothing tells them apart."""
        return next((e for e in self._probes(pairs=True) if {0, 1} <= set(e.sequence_ids)), None)


class Characters(Tokenizer):
    """No tokenizer: the ids of a text are the code points of its characters."""

    def __init__(self) -> None:
        self.digest, self.vocab_size = "characters", 0x250  # Latin letters, for probes

    def encode(self, texts: list[str]) -> TokenIds:
        """See ``Tokenizer.encode``; a lone surrogate is no character."""
        points = [np.frombuffer(text.encode("utf-32-le"), "<i4") for text in texts]
        lengths = np.array(list(map(len, points)), np.int64)
        flat = np.concatenate([*points, np.array([], np.int32)]).astype(np.int32, copy=False)
        return TokenIds(flat, np.cumsum(lengths) - lengths, lengths)

    @staticmethod
    def decode(ids: TokenIds, rows: Ints) -> list[str]:
        """Some of the texts again."""
        ends = ids.starts[rows] + ids.lengths[rows]
        points = ids.flat.astype("<i4", copy=False)
        spans = zip(ids.starts[rows].tolist(), ends.tolist(), strict=True)
        return [points[start:end].tobytes().decode("utf-32-le") for start, end in spans]


def _has_text(encoding: Encoding) -> bool:
    return 0 in encoding.special_tokens_mask


def encode_each(tokenizer: Tokenizer, texts: list[str]) -> tuple[TokenIds, dict[int, str]]:
    """Token ids of texts some of which the tokenizer may fail on, without harm to the others.

    Returns:
        The ids, none for a text that it fails on, and for each of those its position and why.
    """
    try:
        return tokenizer.encode(texts), {}
    except Exception as error:
        if len(texts) == 1:
            return TokenIds.of([[]]), {0: f"can't be tokenised ({' '.join(str(error).split())})"}
    # One by one: a search by halves would wait again and again for a failure that comes late.
    alone = [encode_each(tokenizer, [text]) for text in texts]
    why = {at: reasons[0] for at, (_, reasons) in enumerate(alone) if reasons}
    return join([ids for ids, _ in alone]), why
