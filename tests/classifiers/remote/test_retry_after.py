"""How long a service wants to be left alone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.classifiers.remote.retry_after import retry_after

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("Wed, 25 Nov 2026 12:00:30 GMT", 30),
        ("Wednesday, 25-Nov-26 12:01:00 GMT", 60),
        ("Wed Nov 25 12:00:07 2026", 7),
        ("Wed, 25 Nov 2026 13:00:10 +0100", 10),
        ("Wed, 25 Nov 2026 11:59:30 GMT", 0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_seconds_and_dates(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@given(st.text() | st.integers().map(str))
def test_whatever_is_said_is_no_error(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(0, 10**6))
def test_both_forms_say_the_same(seconds: int) -> None:
    date = (NOW + timedelta(seconds=seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert retry_after(date, NOW) == retry_after(str(seconds), NOW) == seconds
