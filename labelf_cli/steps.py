"""The steps of one chunk that are under way: when the last has ended, what follows begins."""

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from threading import Lock

from labelf_cli.classifiers.interface import Stopped
from labelf_cli.schedule import Urgency, Workers


class Steps:
    """Counts the steps that have not ended.

    A step may submit others. One that fails never ends: nothing follows then.
    """

    def __init__(self, then: Callable[[], bool], failed: Callable[[BaseException], None]) -> None:
        """Take what follows.

        Args:
            then: called when no step is left; it tells whether it has submitted more.
            failed: takes the first error of a step or of ``then``, ``CancelledError`` where a step
                was stopped, or was dropped by the closing pool.
        """
        self._then, self._failed = then, failed
        self._open, self._has_failed = 0, False
        self._lock = Lock()

    def submit(
        self, workers: Workers, urgencies: Sequence[Urgency], runs: Sequence[Callable[[], None]]
    ) -> None:
        """Count steps, and let them run in a pool; each passes through ``run``."""
        self._count(len(runs))
        for urgency, run in zip(urgencies, runs, strict=True):
            workers.submit(urgency, run, self._drop)

    def run(self, step: Callable[[], None]) -> None:
        """Run a step that is counted, to its end."""
        try:
            step()
            self._end()
        except Stopped:
            self._drop()
        except BaseException as error:
            self._fail(error)

    def wait_for(self, futures: Sequence["Future[None]"]) -> None:
        """Count what others are at work on as steps, which end with it, even by an error."""
        self._count(len(futures) + 1)
        for future in futures:
            future.add_done_callback(lambda _: self.run(_nothing))
        self.run(_nothing)

    def _count(self, more: int) -> None:
        with self._lock:
            self._open += more

    def _end(self) -> None:
        with self._lock:
            self._open -= 1
            if self._open:
                return
            self._open = 1  # what follows counts as one, until it has submitted all
        if self._then():
            self._end()

    def _drop(self) -> None:
        self._fail(CancelledError())

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            is_first, self._has_failed = not self._has_failed, True
        if is_first:
            self._failed(error)


def _nothing() -> None:
    """A step that only ends."""
