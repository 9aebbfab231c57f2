"""Made-up texts, the same ones every time, and the vocabulary that cuts their words into tokens.

Words are strings of syllables, drawn by Zipf's law. Most stand in the vocabulary as a whole, the
others carry an ending, so that a word has about 1.3 tokens, as English has in BERT's vocabulary.
"""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, product
from pathlib import Path

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCAB_SIZE = 30522
WORDS = 26_000
ENDED = 0.27
"""Share of words that carry an ending."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SYLLABLES = ["".join(parts) for parts in product("bcdfghjklmnprstvz", "aeiou", ("", *"nrst"))]


@dataclass(frozen=True)
class Table:
    """A table of texts whose lengths in words are spread evenly on a logarithmic scale.

    Attributes:
        rows: number of texts.
        shortest, longest: in words.
    """

    rows: int
    shortest: int
    longest: int


TABLES = {
    "mixed": Table(400, 4, 440),
    "mixed100": Table(100, 4, 440),
    "short": Table(400, 4, 48),
}


@dataclass(frozen=True)
class Vocabulary:
    """What words are made of: whole ones, and the endings that some of them carry."""

    words: tuple[str, ...]
    endings: tuple[str, ...]

    @property
    def tokens(self) -> list[str]:
        """A WordPiece vocabulary in the order of its ids, [VOCAB_SIZE]."""
        return [*SPECIAL, *self.words, *(f"##{ending}" for ending in self.endings)]


@cache
def vocabulary() -> Vocabulary:
    """Draw the vocabulary."""
    rng = random.Random(0)
    words = _distinct(rng, WORDS, (1, 2, 2, 3, 3, 3))
    letters = dict.fromkeys(_LETTERS)  # with them no word is unknown
    endings = letters | dict.fromkeys(_distinct(rng, 2 * VOCAB_SIZE - 2 * WORDS, (1, 2)))
    return Vocabulary(tuple(words), tuple(endings)[: VOCAB_SIZE - WORDS - len(SPECIAL)])


def _distinct(rng: random.Random, count: int, syllables: tuple[int, ...]) -> list[str]:
    """So many distinct strings, in the order in which they were drawn."""
    drawn: dict[str, None] = {}
    while len(drawn) < count:
        drawn["".join(rng.choices(_SYLLABLES, k=rng.choice(syllables)))] = None
    return list(drawn)


def texts(table: Table) -> Iterator[str]:
    """The texts of a table, their lengths in random order."""
    rng = random.Random(f"{table}")
    growth = table.longest / table.shortest
    lengths = [
        round(table.shortest * growth ** (row / (table.rows - 1))) for row in range(table.rows)
    ]
    rng.shuffle(lengths)
    words, endings = vocabulary().words, vocabulary().endings
    frequencies = list(accumulate(1 / (rank + 3) for rank in range(len(words))))
    for length in lengths:
        drawn = rng.choices(words, cum_weights=frequencies, k=length)
        yield " ".join(w + rng.choice(endings) if rng.random() < ENDED else w for w in drawn)


def write_table(table: Table, path: Path) -> None:
    """Write a table as CSV with the columns id and text."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "text"))
        writer.writerows(enumerate(texts(table), start=1))


def read_texts(path: Path) -> list[str]:
    """The texts of a table that ``write_table`` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]
