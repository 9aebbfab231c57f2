"""Signals that stop a run, and that no library on the way can swallow.

Python raises them wherever the main thread happens to be. Inside a library that drops what is
raised there (Arrow does while it looks for an optional module), the signal would be lost; so it is
kept, and raised again between two chunks.
"""

import signal
from types import FrameType
from typing import NoReturn

_received: list[int] = []


def catch_signals() -> None:
    """Let SIGINT and SIGTERM end the command in order."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _stop)


def received() -> int | None:
    """The first signal that came, None if there was none."""
    return _received[0] if _received else None


def raise_if_stopped() -> None:
    """Raise what a library may have dropped."""
    if _received:
        _raise(_received[0])


def _stop(signum: int, _: FrameType | None) -> None:
    _received.append(signum)
    _raise(signum)


def _raise(signum: int) -> NoReturn:
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + signum)
