"""What became of the rows, and why some of them failed."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.tallies.interface import RowBatch, Tally

MOST_REASONS = 200
"""So many are told apart; the rest are counted together."""

OTHER_REASONS = "(other reasons)"


class StatusTally(Tally):
    """Counts statuses, and errors by reason.

    Attributes:
        statuses: rows by status; empty where the output has none.
        reasons: failed rows by reason; numbers in it are ``N``, so that like ones fall together.
    """

    def __init__(self, status: str, error: str) -> None:
        """Count two columns of these names, as far as they are there."""
        self._status, self._error = status, error
        self.statuses: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def add(self, batch: RowBatch) -> None:
        """See ``Tally.add``."""
        names = batch.columns.schema.names
        if self._status in names:
            for name, rows in _counted(batch.columns.column(self._status)):
                self.statuses[name] += rows
        if self._error in names:
            errors = batch.columns.column(self._error)
            if errors.null_count == len(errors):
                return
            shown = pc.replace_substring_regex(errors.cast(pa.string()), r"\d[\d.,]*", "N")
            for reason, rows in _counted(shown):
                is_new = reason not in self.reasons and len(self.reasons) >= MOST_REASONS
                self.reasons[OTHER_REASONS if is_new else reason] += rows


def _counted(column: pa.Array) -> list[tuple[str, int]]:
    """Its values that are not null, with their number."""
    counted = column.cast(pa.string()).drop_null().value_counts()
    values, counts = (counted.field(at).to_pylist() for at in (0, 1))
    return list(zip(values, counts, strict=True))
