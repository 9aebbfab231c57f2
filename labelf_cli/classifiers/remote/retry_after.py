"""How long a service wants to be left alone: ``Retry-After``, RFC 9110, section 10.2.3."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from now on, never fewer than none; None where nothing usable is said.

    Args:
        value: of the header: seconds, or a date as HTTP writes it.
        now: with its time zone.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:  # "-0000": the time is in UTC, by RFC 5322
        date = date.replace(tzinfo=UTC)
    return max((date - now).total_seconds(), 0.0)
