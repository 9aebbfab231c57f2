"""The bad rows of one shard."""

from typing import IO

from labelf_cli.sources.rejects import MaxRejects, Reject, RejectBadRows
from labelf_cli.units import ShardRows


class RejectInShard(RejectBadRows):
    """Those in the units of other shards are counted, for the limit, but not written down.

    Attributes:
        by_unit: how many were written down, by the position of the first row of their unit.
    """

    def __init__(self, stream: IO[bytes], limit: MaxRejects | None, share: ShardRows) -> None:
        """Write to a stream; ``share`` says which unit is open."""
        super().__init__(stream, limit)
        self._share = share
        self.by_unit: dict[int, int] = {}

    @property
    def told(self) -> int:
        """See ``BadRows.told``."""
        return sum(self.by_unit.values())

    def _write(self, reject: Reject) -> None:
        unit = self._share.open_unit
        if unit is not None:
            self.by_unit[unit] = self.by_unit.get(unit, 0) + 1
            super()._write(reject)
