"""What a service says of itself may quote what it was sent: texts and tokens are masked."""

import re
from collections.abc import Sequence

_MASK = "…"
_PIECE = 12
"""A text shows when so many of its characters stand in a message."""
_LONGEST = 200
_READ = 2000
"""Of a message, before it is masked and cut."""


def one_line(message: str, texts: Sequence[str] = (), secrets: Sequence[str] = ()) -> str:
    """A message of a service, cut to a line, without what must not be shown.

    Args:
        message: as it came.
        texts: that were classified; neither they nor pieces of them stay.
        secrets: that were sent.
    """
    line = " ".join(message[:_READ].split())
    for secret in secrets:
        line = line.replace(secret, _MASK)
    for text in texts:
        line = _without(line, " ".join(text.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _without(line: str, text: str) -> str:
    """Mask each stretch of a line that comes from a text; short texts where they are words."""
    if len(text) < _PIECE:
        return re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", _MASK, line) if text else line
    kept, place = [], 0
    while place < len(line):
        size = _common(line, place, text)
        kept.append(_MASK if size else line[place])
        place += size or 1
    return "".join(kept)


def _common(line: str, place: int, text: str) -> int:
    """How many characters from a place on stand in a text, if they are enough to show it."""
    size = _PIECE
    if place + size > len(line) or line[place : place + size] not in text:
        return 0
    while place + size < len(line) and line[place : place + size + 1] in text:
        size += 1
    return size
