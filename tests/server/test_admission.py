"""The queue: what fits waits, the rest is told when to come again."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.server.admission import Admission
from labelf_cli.server.problems import Code, RequestError


@given(st.integers(1, 20), st.lists(st.integers(1, 8) | st.none(), max_size=40))
def test_no_more_wait_than_may(most: int, events: list[int | None]) -> None:
    """A number: so many texts come; None: the first that wait are answered."""
    admission = Admission(most)
    waiting: list[tuple[int, Callable[[], None]]] = []
    for texts in events:
        if texts is None:
            if waiting:
                waiting.pop(0)[1]()
        elif not waiting or sum(count for count, _ in waiting) + texts <= most:
            waiting.append((texts, admission.enter(texts)))
        else:
            with pytest.raises(RequestError, match=Code.OVERLOADED.name):
                admission.enter(texts)
        assert admission.texts == sum(count for count, _ in waiting)
    for _, leave in waiting:
        leave()
    assert admission.texts == 0


def test_a_refusal_tells_when_to_come_again() -> None:
    admission = Admission(2)
    leave = admission.enter(2)
    with pytest.raises(RequestError) as caught:
        admission.require_room(1)
    assert caught.value.headers == {"Retry-After": "1"}
    assert caught.value.message == "2 texts are waiting already. Try again later"
    leave()
    admission.require_room(2)
