"""Bodies of requests: received within bounds, then read strictly."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from labelf_cli.errors import did_you_mean
from labelf_cli.server.messages import Incoming, ModelSetting
from labelf_cli.server.problems import Code, RequestError
from labelf_cli.server.settings import Limits

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Read = TypeVar("Read", bound=Incoming)

_SHOWN = 5
"""Faults of one request that are told."""


class Bodies:
    """Receives and reads bodies within the bounds of one and of all that come in at once."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._buffered = limits, 0

    async def read(self, request: Request, kind: type[Read]) -> Read:
        """The body as a message of some kind.

        Raises:
            RequestError: it is too long or too slow, no JSON, or not of this kind.
        """
        self._require_length(request.headers.get("content-length", ""))
        with self._room() as chunks:
            await self._receive(request, chunks)
            return _parse(bytes(chunks), kind)

    def _require_length(self, announced: str) -> None:
        """Refuse what is announced to be too long before it is sent."""
        if announced.isdecimal() and len(announced) < 20:
            self._require_bytes(int(announced))

    def _require_bytes(self, length: int) -> None:
        most = self._limits.body_bytes
        if length > most:
            raise RequestError(
                Code.BODY_TOO_LARGE,
                f"the body is larger than {most} bytes. Send fewer or shorter texts",
            )

    @contextmanager
    def _room(self) -> Iterator[bytearray]:
        """A buffer that counts among those of all requests."""
        chunks = bytearray()
        try:
            yield chunks
        finally:
            self._buffered -= len(chunks)

    async def _receive(self, request: Request, chunks: bytearray) -> None:
        seconds = self._limits.body_seconds
        try:
            async with asyncio.timeout(seconds):
                async for chunk in request.stream():
                    self._require_bytes(len(chunks) + len(chunk))
                    if self._buffered + len(chunk) > self._limits.buffered_bytes:
                        raise RequestError(
                            Code.OVERLOADED,
                            "too many bodies come in at once. Try again later",
                            {"Retry-After": "1"},
                        )
                    self._buffered += len(chunk)
                    chunks += chunk
        except TimeoutError:
            raise RequestError(
                Code.TOO_SLOW, f"the body took longer than {seconds:g} s. Try again"
            ) from None


def _parse(body: bytes, kind: type[Read]) -> Read:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    told = [_explain(fault, kind) for fault in faults if not _is_echo(fault, faults)]
    is_json = faults[0]["type"] != "json_invalid"
    code = Code.INVALID_REQUEST if is_json else Code.BAD_REQUEST
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    raise RequestError(code, "; ".join(told[:_SHOWN]) + more)


def _is_echo(fault: "ErrorDetails", faults: Sequence["ErrorDetails"]) -> bool:
    """Whether a list counts as empty only since its items are bad."""
    place = fault["loc"]
    return fault["type"] == "too_short" and any(
        its["loc"][: len(place)] == place and its["loc"] != place for its in faults
    )


def _explain(fault: "ErrorDetails", kind: type[Incoming]) -> str:
    """One of pydantic's errors as ``path: reason``."""
    place, reason = fault["loc"], fault["msg"]
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p[:80]}" for p in place).lstrip(".")
    if fault["type"] == "extra_forbidden":
        section = kind if len(place) == 1 else ModelSetting
        reason = f"unknown key. {did_you_mean(str(place[-1]), list(section.model_fields))}"
    if fault["type"] == "too_short":
        reason = "it is empty"
    if fault["type"] == "json_invalid":
        reason = reason.replace("Invalid JSON", "the body is not JSON")
    return f"{path}: {reason}" if path else reason
