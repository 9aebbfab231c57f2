"""Signals that stop a run in time, and that no library on the way can swallow.

Python raises them wherever the main thread happens to be. Inside a library that drops what is
raised there (Arrow does while it looks for an optional module), the signal would be lost; so it is
kept, and raised again between two chunks. What does not end in order by ``GRACE_SECONDS``, or by a
second signal, is ended at once; what is durable by then can be gone on with.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

GRACE_SECONDS = 1.7

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_received: list[int] = []


def catch_signals() -> None:
    """Let SIGINT and SIGTERM end the command."""
    for signum in _heeded():
        signal.signal(signum, _stop)


def _heeded() -> list[signal.Signals]:
    """Those that whoever began the command has not let it ignore, as shells do behind ``&``."""
    return [signum for signum in _SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]


def received() -> int | None:
    """The first signal that came, None if there was none."""
    return _received[0] if _received else None


def raise_if_stopped() -> None:
    """Raise what a library may have dropped."""
    if _received:
        _raise(_received[0])


@contextmanager
def signals_call(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first signal within the block call something that ends it in order, in its own time.

    A second one ends the command at once.
    """

    def on_signal(signum: int, _: FrameType | None) -> None:
        if _received:
            os._exit(128 + signum)
        _received.append(signum)
        stop()

    before = {signum: signal.signal(signum, on_signal) for signum in _heeded()}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _stop(signum: int, _: FrameType | None) -> None:
    if _received:
        os._exit(128 + signum)
    _received.append(signum)
    timer = threading.Timer(GRACE_SECONDS, os._exit, (128 + signum,))
    timer.daemon = True
    timer.start()
    _raise(signum)


def _raise(signum: int) -> NoReturn:
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + signum)
