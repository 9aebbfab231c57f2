"""Micro-batches: every text once, under the budget, the longest first."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.classifiers.interface import Batching
from labelf_cli.schedule import micro_batches

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


@given(lengths_, st.sampled_from([Batching.PADDED, Batching.EQUAL_LENGTH]), budgets)
def test_a_call_ends_only_where_the_next_text_does_not_fit(
    lengths: list[int], batching: Batching, budget: int
) -> None:
    for call, following in pairwise(calls_of(lengths, batching, budget)):
        longest, other = lengths[call[0]], lengths[following[0]]
        full = (len(call) + 1) * longest > budget
        assert full or (batching is Batching.EQUAL_LENGTH and other != longest)
