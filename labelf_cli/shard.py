"""A shard's name: which of how many parts of a run's rows."""

import re
from dataclasses import dataclass

from labelf_cli.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """Every Nth unit of a run's rows.

    Attributes:
        number: which of them, from 1.
        count: how many there are.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``K/N``.

        Raises:
            UsageError: it is not that, or there is no such shard.
        """
        found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(
                f"'{text}' is no shard",
                where="--shard",
                todo="Give one such as 3/8, the third of eight; the first is 1/8",
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
