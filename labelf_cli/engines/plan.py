"""The plan of a run in items: what the inputs hold, found by looking through each once."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from labelf_cli.engines.items import Item, ItemSettings
from labelf_cli.errors import write_errors
from labelf_cli.sources.rejects import (
    BadRowPolicy,
    BadRows,
    FailOnBadRows,
    RejectBadRows,
)
from labelf_cli.units import Units

_MOST_UNITS = 64
"""Of an item: 65,536 rows of a thousand a unit, a row group."""


class Unit(NamedTuple):
    """Consecutive rows of an input, which are never parted.

    Attributes:
        rows: how many there are.
        bookmark, before: see ``Item``.
    """

    rows: int
    bookmark: int | None = None
    before: int = 0


@dataclass(frozen=True)
class Found:
    """What an input holds.

    Attributes:
        units: in order.
        rejected: rows that can't be read.
    """

    units: tuple[Unit, ...]
    rejected: int


def look_through(settings: ItemSettings, file: int, policy: BadRowPolicy) -> Found:
    """Count the rows of an input, and write its bad ones down if they are to be rejected.

    Raises:
        BadRowError: a row can't be read, and is not to be rejected.
        WriteError: the bad ones can't be written down.
    """
    if policy is BadRowPolicy.FAIL:
        return _count(settings, file, FailOnBadRows())
    place = settings.files.place
    disk, draft = place.open(), settings.files.draft()
    with write_errors(place):
        with disk.create(draft) as stream:
            found = _count(settings, file, RejectBadRows(stream))
        disk.sync(draft)
        disk.replace(draft, settings.files.rejects(file))
    return found


def _count(settings: ItemSettings, file: int, bad_rows: BadRows) -> Found:
    source, cutter = settings.open_input(file), Units(1024, 1 << 20)
    found = [Unit(0)]
    rows, bookmark, before = 0, None, 0
    for batch in source.batches(bad_rows):
        if source.bookmark != bookmark:
            bookmark, before = source.bookmark, rows
        for number, piece in cutter.cut(batch):
            if number == len(found):
                found.append(Unit(0, bookmark, before))
            found[number] = found[number]._replace(rows=found[number].rows + piece.num_rows)
        rows += batch.num_rows
    return Found(tuple(unit for unit in found if unit.rows), bad_rows.count)


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
            units = its.units[at : at + per_item]
            rows = sum(unit.rows for unit in units)
            yield Item(number, file, start, rows, first_row, units[0].bookmark, units[0].before)
            number, start, first_row = number + 1, start + rows, first_row + rows
