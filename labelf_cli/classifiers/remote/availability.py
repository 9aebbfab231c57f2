"""Whether a service is to be asked at all: what is under way, and what has failed in a row."""

from threading import Condition, Lock
from types import TracebackType

from labelf_cli.errors import ServiceError

RESUMABLE = "What is answered is kept; the same command goes on from there"


class Flight:
    """The calls that are under way.

    Once the service has refused one, no other is sent; the refusal is told when those that have
    been sent are answered, since they may have been paid for.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._changed = Condition()
        self._count = 0
        self._refusal: ServiceError | None = None

    def require_open(self) -> None:
        """See that requests may be sent.

        Raises:
            ServiceError: one has been refused.
        """
        if self._refusal is not None:
            raise self._refusal

    def __enter__(self) -> None:
        with self._changed:
            if self._refusal is not None:
                self._land()
            self.require_open()
            self._count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()
            if isinstance(error, ServiceError):
                self._refusal = self._refusal or error
                self._land()

    def _land(self) -> None:
        """Wait for the calls that are under way; the lock is held."""
        self._changed.wait_for(lambda: not self._count, self._timeout)


class InARow:
    """Counts the calls that fail without one between them that succeeds."""

    def __init__(self, where: str, most: int) -> None:
        self._where, self._most = where, most
        self._lock = Lock()
        self._count = 0
        self._is_reached = False

    def clear(self) -> None:
        """A call has an answer."""
        with self._lock:
            self._count, self._is_reached = 0, True

    def add(self, reason: str) -> None:
        """A call has failed.

        Raises:
            ServiceError: as have all of the last ones.
        """
        with self._lock:
            self._count += 1
            down = self._count >= self._most
        if down:
            raise ServiceError(
                f"the last {self._most} calls failed, the last one with: {reason}",
                where=self._where,
                todo=RESUMABLE,
            )

    def require_reached(self, reason: str) -> None:
        """There is no connection.

        Raises:
            ServiceError: there has never been an answer.
        """
        with self._lock:
            if not self._is_reached:
                raise ServiceError(
                    f"can't be reached ({reason})",
                    where=self._where,
                    todo="Check base_url, and that the service is up",
                )
