"""Who may wait: a bounded queue, so that overload costs a refusal and no memory."""

import math
import time
from collections.abc import Callable

from labelf_cli.server.problems import Code, RequestError

_MOST_SECONDS = 60
_WEIGHT = 0.2
"""Of the latest request in the running mean."""


class Admission:
    """Counts the texts that are accepted and not yet answered.

    Attributes:
        texts: how many there are.
    """

    def __init__(self, most: int) -> None:
        """Let so many texts wait; a request that is alone may have more."""
        self._most, self.texts = most, 0
        self._seconds = 0.0

    def require_room(self, texts: int) -> None:
        """Refuse a request with so many texts where they find no room.

        Raises:
            RequestError: it tells when to come again.
        """
        if self.texts and self.texts + texts > self._most:
            raise RequestError(
                Code.OVERLOADED,
                f"{self.texts} texts are waiting already. Try again later",
                {"Retry-After": str(self.retry_after)},
            )

    @property
    def retry_after(self) -> int:
        """Seconds in which those that wait now should be answered: what the last ones took."""
        return min(max(1, math.ceil(self._seconds)), _MOST_SECONDS)

    def enter(self, texts: int) -> Callable[[], None]:
        """Let texts wait.

        Returns:
            What is to be called once they are answered.

        Raises:
            RequestError: there is no room.
        """
        self.require_room(texts)
        self.texts += texts
        began = time.monotonic()

        def leave() -> None:
            self.texts -= texts
            self._seconds += _WEIGHT * (time.monotonic() - began - self._seconds)

        return leave
