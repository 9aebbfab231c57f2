"""How sure a language model was of the strings in its JSON answer, by its tokens' probabilities."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class NoProbabilitiesError(ValueError):
    """Those that came are not those of the answer's tokens."""


@dataclass(frozen=True)
class SpelledTokens:
    """The tokens of an answer.

    Attributes:
        content: what they spell, in UTF-8.
        ends: where each of them ends in it, in bytes.
        log_probabilities: natural logarithms, one for each.
    """

    content: bytes
    ends: Sequence[int]
    log_probabilities: Sequence[float]

    @classmethod
    def of(cls, content: str, tokens: object) -> "SpelledTokens":
        """Take ``choices[0].logprobs.content`` of a chat completion.

        A character may be spelled by several tokens, none of which is text by itself; so their
        ``bytes`` count, where they are given.

        Raises:
            NoProbabilitiesError: it is of another form, or spells something else.
        """
        try:
            spelled = list(_spelled(tokens))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise NoProbabilitiesError("the answer has no log-probabilities") from None
        pieces = [piece for piece, _ in spelled]
        encoded = content.encode()
        # What ends an answer may have a token that is no part of the content.
        if not b"".join(pieces).startswith(encoded):
            raise NoProbabilitiesError("the tokens with log-probabilities spell another answer")
        ends = np.cumsum([len(piece) for piece in pieces]).tolist()
        return cls(encoded, ends, [value for _, value in spelled])

    def strings(self) -> list[tuple[str, float]]:
        """The string literals of the answer in their order, each with its probability.

        It is the product of the probabilities of the tokens that spell what stands between the
        quotes, whole or in part; so for a quote that shares a token with it, too.
        """
        return [
            (json.loads(found.group()), self._probability(found.start() + 1, found.end() - 1))
            for found in _STRING.finditer(self.content)
        ]

    def _probability(self, start: int, stop: int) -> float:
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.ends, stop, side="left"))
        return math.exp(min(math.fsum(self.log_probabilities[first : last + 1]), 0.0))


def _spelled(tokens: object) -> Iterator[tuple[bytes, float]]:
    if not isinstance(tokens, list):
        raise TypeError
    for token in tokens:
        given = token.get("bytes")
        piece = token["token"].encode() if given is None else bytes(given)
        value = float(token["logprob"])
        if math.isnan(value):
            raise ValueError
        yield piece, value
