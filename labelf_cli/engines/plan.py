"""The plan of a run in items: what the inputs hold, found by looking through each once."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from labelf_cli.engines.items import Item, ItemSettings
from labelf_cli.sources.rejects import (
    BadRowPolicy,
    BadRows,
    FailOnBadRows,
    RejectBadRows,
)
from labelf_cli.units import Units

_MOST_UNITS = 64
"""Of an item: 65,536 rows of a thousand a unit, a row group."""


@dataclass(frozen=True)
class Found:
    """What an input holds.

    Attributes:
        units: rows of each unit, in order.
        rejected: rows that can't be read.
    """

    units: tuple[int, ...]
    rejected: int


def rejects_part(work: Path, file: int) -> Path:
    """The bad rows of one input, while the run is at work."""
    return work / f"rejects-{file:05}.jsonl"


def look_through(settings: ItemSettings, file: int, policy: BadRowPolicy) -> Found:
    """Count the rows of an input, and write its bad ones down if they are to be rejected.

    Raises:
        BadRowError: a row can't be read, and is not to be rejected.
    """
    if policy is BadRowPolicy.FAIL:
        return _count(settings, file, FailOnBadRows())
    with rejects_part(settings.work, file).open("wb") as stream:
        return _count(settings, file, RejectBadRows(stream))


def _count(settings: ItemSettings, file: int, bad_rows: BadRows) -> Found:
    units, found = Units(1024, 1 << 20), [0]
    for batch in settings.open_inputs().sources[file].batches(bad_rows):
        for number, piece in units.cut(batch):
            if number == len(found):
                found.append(0)
            found[number] += piece.num_rows
    return Found(tuple(rows for rows in found if rows), bad_rows.count)


@dataclass(frozen=True)
class Plan:
    """All items of a run.

    Attributes:
        items: in the order of the rows.
        rejected: rows that can't be read.
    """

    items: tuple[Item, ...]
    rejected: int

    @classmethod
    def of(cls, found: Sequence[Found], items: int) -> Self:
        """Share out what the inputs hold.

        Args:
            found: of each input.
            items: about how many there should be; one is of one input, and of 64 units at most.
        """
        units = sum(len(its.units) for its in found)
        per_item = min(max(units // max(items, 1), 1), _MOST_UNITS)
        # Without a row there is an item, too: a part tells the columns.
        cut = tuple(_items(found, per_item)) or (Item(0, 0, 0, 0, 0),)
        return cls(cut, sum(its.rejected for its in found))

    @property
    def rows(self) -> int:
        """Of all items."""
        return sum(item.rows for item in self.items)

    def to_bytes(self) -> bytes:
        """As JSON."""
        return json.dumps({"items": self.items, "rejected": self.rejected}).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """What ``to_bytes`` made."""
        record = json.loads(content)
        return cls(tuple(Item(*its) for its in record["items"]), record["rejected"])


def _items(found: Sequence[Found], per_item: int) -> Iterator[Item]:
    number = first_row = 0
    for file, its in enumerate(found):
        start = 0
        for at in range(0, len(its.units), per_item):
            rows = sum(its.units[at : at + per_item])
            yield Item(number, file, start, rows, first_row)
            number, start, first_row = number + 1, start + rows, first_row + rows
