"""Micro-batches: every text once, under the budget, the longest first; and who runs them when."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from threading import Event, Thread
from time import sleep

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.classifiers.interface import Batching
from labelf_cli.schedule import CALLS_PER_BUDGET, Workers, micro_batches

lengths_ = st.lists(st.integers(1, 40), max_size=60)
budgets = st.integers(1, 120)
any_batching = st.sampled_from(Batching)


def calls_of(lengths: list[int], batching: Batching, budget: int) -> list[list[int]]:
    """The calls, each as positions of its texts."""
    return [call.tolist() for call in micro_batches(np.array(lengths, int), batching, budget)]


@given(lengths_, any_batching, budgets)
def test_every_text_is_in_exactly_one_call(
    lengths: list[int], batching: Batching, budget: int
) -> None:
    calls = calls_of(lengths, batching, budget)
    assert all(calls)
    assert sorted(text for call in calls for text in call) == list(range(len(lengths)))


@given(lengths_, any_batching, budgets)
def test_a_call_keeps_the_budget_unless_it_is_one_text_alone(
    lengths: list[int], batching: Batching, budget: int
) -> None:
    for call in calls_of(lengths, batching, budget):
        padded = len(call) * max(lengths[text] for text in call)
        assert padded <= budget or len(call) == 1


@given(lengths_, any_batching, budgets)
def test_longer_texts_come_first(lengths: list[int], batching: Batching, budget: int) -> None:
    in_order = [lengths[text] for call in calls_of(lengths, batching, budget) for text in call]
    assert in_order == sorted(lengths, reverse=True)


@given(lengths_, budgets)
def test_equal_length_calls_hold_texts_of_one_length(lengths: list[int], budget: int) -> None:
    for call in calls_of(lengths, Batching.EQUAL_LENGTH, budget):
        assert len({lengths[text] for text in call}) == 1


@given(lengths_, budgets)
def test_one_text_calls_hold_one_text(lengths: list[int], budget: int) -> None:
    assert all(len(call) == 1 for call in calls_of(lengths, Batching.ONE_TEXT, budget))


@given(lengths_, budgets)
def test_an_equal_length_call_ends_only_where_the_next_text_does_not_fit(
    lengths: list[int], budget: int
) -> None:
    for call, following in pairwise(calls_of(lengths, Batching.EQUAL_LENGTH, budget)):
        longest, other = lengths[call[0]], lengths[following[0]]
        assert (len(call) + 1) * longest > budget or other != longest


@given(lengths_, budgets)
def test_a_padded_call_ends_early_only_where_that_saves_padding(
    lengths: list[int], budget: int
) -> None:
    calls = calls_of(lengths, Batching.PADDED, budget)
    for number, call in enumerate(calls[:-1]):
        longest = lengths[call[0]]
        full = (len(call) + 1) * longest > budget
        later = [lengths[text] for other in calls[number + 1 :] for text in other]
        fitting = later[: budget // longest - len(call)]
        saved = len(fitting) * (longest - max(fitting, default=longest))
        assert full or saved > budget / CALLS_PER_BUDGET


def test_padding_is_worth_it_up_to_the_price_of_a_call() -> None:
    """At a budget of 96 a call costs 3 tokens."""
    assert calls_of([10, 9, 9, 9], Batching.PADDED, 96) == [[0, 1, 2, 3]]
    assert calls_of([10, 8, 8, 8], Batching.PADDED, 96) == [[0], [1, 2, 3]]
    assert calls_of([10, 9, 6, 5], Batching.PADDED, 96) == [[0, 1], [2, 3]]


class TestWorkers:
    """The pool, with one thread that is held up while others wait."""

    @pytest.fixture
    def gate(self) -> Event:
        return Event()

    @pytest.fixture
    def workers(self, gate: Event) -> Iterator[Workers]:
        workers, begun = Workers(1), Event()

        def hold() -> None:
            begun.set()
            assert gate.wait(timeout=20)

        workers.submit((0,), hold, lambda: None)
        assert begun.wait(timeout=20)
        yield workers
        gate.set()
        workers.close()

    def test_take_the_most_urgent_step_first(self, workers: Workers, gate: Event) -> None:
        done: list[tuple[int, ...]] = []
        over = Event()
        for urgency in ((1, 0, -5), (1, 1, -9), (0, 2), (1, 0, -7), (0, 1)):
            workers.submit(urgency, partial(done.append, urgency), lambda: None)
        workers.submit((2,), over.set, lambda: None)
        gate.set()
        assert over.wait(timeout=20)
        assert done == [(0, 1), (0, 2), (1, 0, -7), (1, 0, -5), (1, 1, -9)]

    def test_take_equally_urgent_steps_in_their_order(self, workers: Workers, gate: Event) -> None:
        done: list[int] = []
        over = Event()
        for number in range(20):
            workers.submit((1, 0), partial(done.append, number), lambda: None)
        workers.submit((2,), over.set, lambda: None)
        gate.set()
        assert over.wait(timeout=20)
        assert done == list(range(20))

    def test_tell_the_steps_that_closing_has_dropped(self, workers: Workers, gate: Event) -> None:
        told: list[str] = []
        workers.submit((1,), lambda: told.append("ran"), lambda: told.append("dropped"))
        closing = Thread(target=workers.close)
        closing.start()
        sleep(0.05)  # until it has dropped what waits
        gate.set()
        closing.join(timeout=20)
        assert told == ["dropped"]
        with pytest.raises(RuntimeError):
            workers.submit((1,), lambda: None, lambda: None)
