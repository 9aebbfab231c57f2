"""Labels by number."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]

NONE = 0
"""The number of no label."""

MOST_LABELS = 2000
"""So many are told apart; the rest share a number, since a column may hold anything."""

OTHERS = "(other labels)"


class LabelCodes:
    """Numbers labels in the order in which they appear.

    Attributes:
        names: by number; the first, None, is that of no label.
    """

    def __init__(self, most: int = MOST_LABELS) -> None:
        self.names: list[str | None] = [None]
        self._numbers: dict[str | None, int] = {None: NONE, "": NONE}
        self._most = most

    def of(self, column: pa.Array) -> Ints:
        """The number of each cell's label, [rows] int64.

        Args:
            column: of text, or a dictionary of it.
        """
        encoded = column
        if not pa.types.is_dictionary(column.type):
            encoded = column.cast(pa.string()).dictionary_encode()
        names = encoded.dictionary.cast(pa.string()).to_pylist()
        numbers = np.array([*map(self._number, names), NONE], np.int64)
        # A null picks the last one.
        indices = encoded.indices.cast(pa.int64()).fill_null(_LAST)
        return np.asarray(numbers[indices.to_numpy()])

    def _number(self, name: str | None) -> int:
        found = self._numbers.get(name)
        if found is not None:
            return found
        if len(self.names) <= self._most:
            self._numbers[name] = len(self.names)
            self.names.append(name)
            return self._numbers[name]
        if len(self.names) == self._most + 1:
            self.names.append(OTHERS)
        return len(self.names) - 1


_LAST = pa.scalar(-1, pa.int64())
