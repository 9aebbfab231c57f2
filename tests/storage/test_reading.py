"""Inputs that are read many at a time."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.storage.reading import concurrently


@given(st.lists(st.integers(), max_size=40))
def test_what_is_read_at_a_time_comes_in_order(items: list[int]) -> None:
    assert list(concurrently(str, items)) == [str(item) for item in items]


def test_one_alone_is_read_where_a_signal_interrupts_it() -> None:
    """In the thread that waits for stdin, not in one that it waits for."""
    assert list(concurrently(lambda _: threading.current_thread(), ["-"])) == [
        threading.current_thread()
    ]
    others = concurrently(lambda _: threading.current_thread(), ["a", "b"])
    assert threading.current_thread() not in others
