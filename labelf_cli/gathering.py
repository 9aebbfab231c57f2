"""Small calls of several chunks, put together where a worker takes one of them.

A table's chunks fill their calls. Those of requests to a server do not; but where some wait, they
may share a call, since a score does not depend on its company.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from threading import Lock

import numpy as np

from labelf_cli.answers import Questions
from labelf_cli.classifiers.interface import Batching, Group, Reply
from labelf_cli.schedule import CALLS_PER_BUDGET
from labelf_cli.spent import Spent
from labelf_cli.tokens import join


@dataclass(frozen=True, eq=False)
class Call:
    """What one chunk asks a group at once.

    Attributes:
        questions: what is asked.
        answered: takes what is said to them, and what it cost.
        alone: asks by itself.
    """

    questions: Questions
    answered: Callable[[Reply], None]
    alone: Callable[[], None]


class Gathering:
    """The small calls of a group that wait for a worker."""

    def __init__(self, group: Group, batching: Batching) -> None:
        """Of a group, whose texts may share padded calls or not."""
        self._group, self._is_padded = group, batching is Batching.PADDED
        self._worth = group.token_budget / CALLS_PER_BUDGET
        self._waiting: dict[Call, None] = {}
        self._lock = Lock()

    def runs(self, calls: Sequence[Call]) -> list[Callable[[], None]]:
        """What each call is to run, once; the small ones wait from now on."""
        is_small = [self._is_small(call.questions) for call in calls]
        with self._lock:
            self._waiting.update(dict.fromkeys(compress(calls, is_small)))
        return [
            partial(self._run, call) if small else call.alone
            for call, small in zip(calls, is_small, strict=True)
        ]

    def _is_small(self, questions: Questions) -> bool:
        """Whether there is room for as much again."""
        return self._is_padded and 2 * questions.cells <= self._group.token_budget

    def _run(self, call: Call) -> None:
        """Answer a call, unless it has been with another one; and those that go with it."""
        calls = self._take(call)
        if len(calls) == 1:
            call.alone()
        elif calls:
            self._run_together(calls)

    def _take(self, first: Call) -> list[Call]:
        """A call and those whose padding costs less than calls of their own, none if it is taken.

        Those of the most similar length come first.
        """
        with self._lock:
            if first not in self._waiting:
                return []
            longest = _longest(first)
            near = sorted(self._waiting, key=lambda call: abs(_longest(call) - longest))
            taken: list[Call] = []
            texts = 0
            for call in [first, *(call for call in near if call is not first)]:
                count, length = len(call.questions.lengths), _longest(call)
                both = max(longest, length)
                padding = (both - longest) * texts + (both - length) * count
                if taken and padding > self._worth:
                    break
                if taken and both * (texts + count) > self._group.token_budget:
                    continue
                taken.append(call)
                longest, texts = both, texts + count
            for call in taken:
                del self._waiting[call]
            return taken

    def _run_together(self, calls: Sequence[Call]) -> None:
        began = time.thread_time()
        ids = join([call.questions.ids.take(call.questions.rows) for call in calls])
        try:
            reply = self._group.ask(ids, np.arange(len(ids.lengths)))
        except Exception:  # the fault of one of them, which is found out where each is alone
            for call in calls:
                call.alone()
            return
        seconds = time.thread_time() - began
        lengths = [call.questions.lengths for call in calls]
        longest, texts = max(map(_longest, calls)), sum(map(len, lengths))
        end = 0
        for number, (call, its) in enumerate(zip(calls, lengths, strict=True)):
            begin, end = end, end + len(its)
            tokens = int(its.sum())
            spent = Spent(
                calls=int(number == 0),
                models=seconds * len(its) / texts,
                tokens=tokens,
                padding=longest * len(its) - tokens,
            )
            call.answered(Reply(tuple(one[begin:end] for one in reply.logits), spent=spent))


def _longest(call: Call) -> int:
    return int(call.questions.lengths.max())
