"""An event loop on a thread of its own, so that what waits for a service can be stopped."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from threading import Lock, Thread
from typing import Any, TypeVar

from labelf_cli.classifiers.interface import Stopped

T = TypeVar("T")


class EventLoop:
    """Runs coroutines for threads that wait for them, until it is stopped.

    It ends with whoever holds it, or with the process.
    """

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        """Start the thread.

        Args:
            close: what is left to do on the loop at its end.
        """
        self._loop = asyncio.new_event_loop()
        self._lock = Lock()
        self._waiting: set[Future[Any]] = set()
        self._is_stopped = False
        Thread(target=_serve, args=(self._loop,), name="labelf-requests", daemon=True).start()
        self._end = weakref.finalize(self, _end, self._loop, close)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine on the loop.

        Raises:
            Stopped: it was stopped.
        """
        with self._lock:
            if self._is_stopped:
                coroutine.close()
                raise Stopped
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            self._waiting.add(future)
        try:
            return future.result()
        except CancelledError:
            raise Stopped from None
        finally:
            with self._lock:
                self._waiting.discard(future)

    def stop(self) -> None:
        """End what runs and refuse all that comes, for ever."""
        with self._lock:
            self._is_stopped = True
            waiting = tuple(self._waiting)
        for future in waiting:
            future.cancel()
        self._end()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _end(loop: asyncio.AbstractEventLoop, close: Callable[[], Awaitable[None]]) -> None:
    """Let the thread end, without waiting for it: this may be the thread itself."""
    asyncio.run_coroutine_threadsafe(_finish(loop, close), loop)


async def _finish(loop: asyncio.AbstractEventLoop, close: Callable[[], Awaitable[None]]) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    try:
        await close()
    finally:
        loop.stop()
