"""What is asked of a service, and what it answers; comes with the extra remote."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import httpx2

from labelf_cli.classifiers.remote.confidential import one_line

MOST_BYTES = 64 << 20
"""Of an answer."""


class CallError(Exception):
    """A call has no usable answer; that is the matter of its texts, not of the run.

    Attributes:
        reason: why.
        depends_on_texts: whether a call with fewer texts, or others, may fare better.
    """

    def __init__(self, reason: str, *, depends_on_texts: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.depends_on_texts = reason, depends_on_texts


class BadReplyError(Exception):
    """An answer is not of the form that was asked for; it is asked for once more."""


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        method, path: below the base address.
        body: JSON.
        texts: that are in it, so that no message shows them.
    """

    method: str
    path: str
    body: Mapping[str, object] | None = None
    texts: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """What came back, of whatever status."""

    status: int
    reason: str
    headers: httpx2.Headers
    content: bytes


async def bounded(chunks: AsyncIterator[bytes]) -> bytes:
    """All of an answer's body.

    Raises:
        CallError: it is larger than ``MOST_BYTES``.
    """
    parts, size = [], 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise CallError(f"an answer of more than {MOST_BYTES >> 20} MiB")
    return b"".join(parts)


def parsed(answer: Answer) -> object:
    """The JSON of an answer.

    Raises:
        BadReplyError: it is none.
    """
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        raise BadReplyError(f"{answer.status}, but the answer is no JSON") from None


def error_of(content: bytes) -> tuple[str, str]:
    """Code and message of an error, in the forms that services give them."""
    try:
        error = json.loads(content)
    except (ValueError, RecursionError):
        return "", content[:1000].decode(errors="replace")
    if isinstance(error, dict) and isinstance(error.get("error"), dict):
        error = error["error"]
    if not isinstance(error, dict):
        return "", ""
    messages = (error.get(key) for key in ("message", "error_description", "detail", "error"))
    message = next((text for text in messages if isinstance(text, str)), "")
    return str(error.get("code", "")), message


def described(error: httpx2.RequestError) -> str:
    """What broke, with the library's name for it where it says nothing else."""
    if isinstance(error, httpx2.TimeoutException):
        return "no answer in time"
    said = one_line(str(error))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
