"""Micro-batches: which texts share a call of a model, and in which order the calls run."""

import heapq
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

import numpy as np

from labelf_cli.classifiers.interface import Batching, Group, Service
from labelf_cli.tokens import Ints

CALLS_PER_BUDGET = 32
"""As many calls as cost, beyond their tokens, what the tokens of a whole budget cost.

Measured for MiniLM's shape, where it is 16 tokens a call. The budget is larger where calls weigh
more.
"""


def calls(group: Group, batching: Batching, lengths: Ints) -> Iterator[Ints]:
    """Cut texts into calls of a group.

    Args:
        group: who answers.
        batching: how its texts may share a call.
        lengths: sequence length of each text, [texts] int64.

    Yields:
        Positions of the texts of one call, [n] int64.
    """
    if not isinstance(group, Service):
        yield from micro_batches(lengths, batching, group.token_budget)
        return
    # Of similar length: a service, too, may pad what comes together.
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), group.texts_per_call):
        yield order[start : start + group.texts_per_call]


def micro_batches(lengths: Ints, batching: Batching, budget: int) -> Iterator[Ints]:
    """Cut texts into calls, the longest texts first, so that no worker is left with a long one.

    Args:
        lengths: sequence length of each text, [texts] int64.
        batching: how the model's texts may share a call.
        budget: tokens in one call, padding included; a longer text makes a call of its own.

    Yields:
        Positions of the texts of one call, [n] int64.
    """
    order = np.argsort(-lengths, kind="stable")
    ordered = lengths[order]
    start = 0
    while start < len(order):
        length = int(ordered[start])
        count = 1 if batching is Batching.ONE_TEXT else max(1, budget // max(length, 1))
        if batching is Batching.EQUAL_LENGTH:
            count = min(count, int(np.searchsorted(-ordered, -length, side="right")) - start)
        elif batching is Batching.PADDED:
            count = _worth_padding(ordered[start : start + count], budget / CALLS_PER_BUDGET)
        yield order[start : start + count]
        start += count


def _worth_padding(lengths: Ints, call: float) -> int:
    """How many of some texts, the longest first, to pad to its length.

    All, unless a call of their own for the last of them saves more padding than it costs.
    """
    saved = (lengths[0] - lengths) * np.arange(len(lengths), 0, -1)
    most = int(saved.argmax())
    return most if saved[most] > call else len(lengths)


Answer = TypeVar("Answer")
Urgency = tuple[int, ...]
"""Steps with the least of these tuples run first."""


class Workers:
    """A pool of threads, one a core, whose free worker always takes the most urgent step.

    A step never waits for another; what it makes possible, it submits.

    Attributes:
        numbers: of the chunks that come, for the urgency of their steps.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="labelf")
        self._waiting: list[tuple[Urgency, int, Callable[[], None], Callable[[], None]]] = []
        self._count, self.numbers = itertools.count(), itertools.count()
        self._lock = Lock()

    def submit(
        self, urgency: Urgency, step: Callable[[], None], dropped: Callable[[], None]
    ) -> None:
        """Let a step run; it raises nothing. ``dropped`` is called if it never will.

        Raises:
            RuntimeError: the pool is closed.
        """
        with self._lock:
            heapq.heappush(self._waiting, (urgency, next(self._count), step, dropped))
        self._pool.submit(self._take)

    def call(self, function: Callable[[], Answer]) -> Answer:
        """Run something on a thread of the pool, so that a signal can end the waiting for it."""
        return self._pool.submit(function).result()

    def _take(self) -> None:
        with self._lock:
            _, _, step, _ = heapq.heappop(self._waiting)
        step()

    def close(self) -> None:
        """Drop the steps that have not begun and wait for those that have."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for _, _, _, dropped in self._waiting:
            dropped()
