"""The steps of a chunk: what follows begins when all have ended, and never where one failed."""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from functools import partial
from threading import Barrier

import pytest

from labelf_cli.classifiers.interface import Stopped
from labelf_cli.schedule import Workers
from labelf_cli.steps import Steps


class Rounds:
    """Steps after which one more follows, so many times.

    Attributes:
        steps: what counts them.
        ended: how often none was left.
        errors: of which it was told.
        over: done after the last round, or the first error.
    """

    def __init__(self, workers: Workers, most: int = 1) -> None:
        self.steps = Steps(self._follow, self._fail)
        self.ended = 0
        self.errors: list[BaseException] = []
        self.over: Future[None] = Future()
        self._workers, self._most = workers, most

    def submit(self, *steps: Callable[[], None]) -> None:
        runs = [partial(self.steps.run, step) for step in steps]
        self.steps.submit(self._workers, [(0,)] * len(runs), runs)

    def _follow(self) -> bool:
        self.ended += 1
        if self.ended == self._most:
            self.over.set_result(None)
            return False
        self.submit(lambda: None)
        return True

    def _fail(self, error: BaseException) -> None:
        self.errors.append(error)
        self.over.set_result(None)


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(4)
    yield workers
    workers.close()


def test_rounds_follow_each_other_until_nothing_is_left(workers: Workers) -> None:
    rounds = Rounds(workers, most=200)
    rounds.submit(*[lambda: None] * 20)
    rounds.over.result(timeout=20)
    assert (rounds.ended, rounds.errors) == (200, [])


def test_steps_that_a_step_submits_come_before_what_follows(workers: Workers) -> None:
    rounds = Rounds(workers)
    ran: list[int] = []

    def step(depth: int) -> None:
        if depth:
            rounds.submit(partial(step, depth - 1), partial(step, depth - 1))
        ran.append(depth)

    rounds.submit(partial(step, 6))
    rounds.over.result(timeout=20)
    assert (len(ran), rounds.ended) == (2**7 - 1, 1)


def test_of_errors_the_first_is_told_and_nothing_follows(workers: Workers) -> None:
    rounds, together = Rounds(workers), Barrier(4)

    def fail() -> None:
        together.wait(timeout=20)
        raise ValueError("it")

    rounds.submit(*[fail] * 4, lambda: None)
    rounds.over.result(timeout=20)
    workers.close()
    assert (rounds.ended, list(map(str, rounds.errors))) == (0, ["it"])


def test_a_step_that_is_stopped_cancels(workers: Workers) -> None:
    rounds = Rounds(workers)

    def stop() -> None:
        raise Stopped

    rounds.submit(stop)
    rounds.over.result(timeout=20)
    assert (rounds.ended, list(map(type, rounds.errors))) == (0, [CancelledError])


def test_what_others_do_is_waited_for_however_it_ends(workers: Workers) -> None:
    rounds = Rounds(workers)
    done: Future[None] = Future()
    done.set_result(None)
    others: list[Future[None]] = [Future(), done, Future()]
    rounds.steps.wait_for(others)
    others[0].set_exception(ValueError("it"))
    assert rounds.ended == 0
    others[2].set_result(None)
    assert (rounds.ended, rounds.errors) == (1, [])


def test_nothing_to_wait_for_is_no_wait(workers: Workers) -> None:
    rounds = Rounds(workers)
    rounds.steps.wait_for([])
    assert rounds.ended == 1
