"""A client of one service: what is sent, sent again, and given up; comes with the extra remote."""

import asyncio
import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import httpx2
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from labelf_cli.classifiers.remote.availability import RESUMABLE, Flight, InARow
from labelf_cli.classifiers.remote.budget import Budget, Meter
from labelf_cli.classifiers.remote.confidential import one_line
from labelf_cli.classifiers.remote.credentials import Credentials
from labelf_cli.classifiers.remote.endpoint import Endpoint
from labelf_cli.classifiers.remote.event_loop import EventLoop
from labelf_cli.classifiers.remote.exchange import (
    Answer,
    BadReplyError,
    CallError,
    Request,
    bounded,
    described,
    error_of,
    parsed,
)
from labelf_cli.classifiers.remote.retry_after import retry_after
from labelf_cli.errors import ServiceError

T = TypeVar("T")

_log = logging.getLogger(__name__)
logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would tell of every request

_CONNECT_SECONDS = 10.0
_OF_THE_TEXT = ("context_length_exceeded", "string_above_max_length", "content_filter")
"""Error codes of OpenAI's API that only other texts would avoid."""


@dataclass(frozen=True)
class Patience:
    """How long a service is asked again.

    Attributes:
        attempts: for one request.
        wait_initial, wait_max, wait_jitter: seconds between them, doubled each time, where the
            service does not say how many.
        retry_after_max: most seconds that the service can ask for.
        failures_in_a_row: calls, of all threads, after which it is held to be down.
    """

    attempts: int = 8
    wait_initial: float = 0.5
    wait_max: float = 30.0
    wait_jitter: float = 1.0
    retry_after_max: float = 120.0
    failures_in_a_row: int = 10


class _AgainError(Exception):
    """To be asked again, after some seconds if the service said so."""

    def __init__(self, reason: str, status: int, after: float | None) -> None:
        super().__init__(reason)
        self.status, self.after = status, after


class Client:
    """Asks one endpoint; threads that ask wait, and ``stop`` ends their waiting."""

    def __init__(
        self, endpoint: Endpoint, budget: Budget, where: str, patience: Patience | None = None
    ) -> None:
        """Nothing is sent yet.

        Args:
            endpoint: what is asked.
            budget: of requests; those for tokens are free.
            where: the model that asks, for messages.
            patience: with failures.

        Raises:
            ConfigError: the endpoint can't be asked, or the environment lacks a secret.
        """
        endpoint.require(where)
        self.endpoint, self._budget = endpoint, budget
        self._credentials = Credentials.of(endpoint, where)
        self._patience = patience or Patience()
        self._failures = InARow(endpoint.base_url, self._patience.failures_in_a_row)
        self._flight = Flight(endpoint.timeout)
        self._not_before = 0.0
        timeout = httpx2.Timeout(endpoint.timeout, connect=min(_CONNECT_SECONDS, endpoint.timeout))
        limits = httpx2.Limits(max_connections=None)
        client = self._client = httpx2.AsyncClient(timeout=timeout, limits=limits)
        self._loop = EventLoop(client.aclose)

    def meter(self) -> Meter:
        """A new one, for one call."""
        return Meter(self._budget)

    def ask(self, request: Request, read: Callable[[object], T], meter: Meter) -> T:
        """Ask, again if need be, until there is an answer that can be read.

        Args:
            request: what to ask.
            read: from JSON to what is wanted of it; raises BadReplyError.
            meter: counts what it costs.

        Raises:
            CallError: there is no such answer.
            ServiceError: the service refuses, seems to be down, or the budget is used up.
            Stopped: it was stopped.
        """
        with self._flight:
            try:
                value = self._twice(request, read, meter)
            except CallError as error:
                if not error.depends_on_texts:
                    self._failures.add(error.reason)
                raise
        self._failures.clear()
        return value

    def _twice(self, request: Request, read: Callable[[object], T], meter: Meter) -> T:
        try:
            return read(parsed(self._loop.run(self._with_retries(request, meter))))
        except BadReplyError as error:
            why = self._line(str(error), request)
            _log.info("%s: %s; asked once more", self.endpoint.base_url, why)
        try:
            return read(parsed(self._loop.run(self._with_retries(request, meter))))
        except BadReplyError as error:
            raise CallError(self._line(str(error), request)) from None

    def stop(self) -> None:
        """End the requests in flight and refuse all that come, for ever."""
        self._loop.stop()

    # On the event loop.

    async def _with_retries(self, request: Request, meter: Meter) -> Answer:
        its = self._patience
        try:
            async for attempt in stamina.retry_context(
                on=self._is_worth_another,
                attempts=its.attempts,
                timeout=None,
                wait_initial=its.wait_initial,
                wait_max=its.wait_max,
                wait_jitter=its.wait_jitter,
            ):
                with attempt:
                    return await self._attempt(request, meter)
        except _AgainError as error:
            poison = error.status in {500, 502}  # one text may have broken it for all
            raise CallError(
                str(error), depends_on_texts=poison and len(request.texts) > 1
            ) from None
        except httpx2.RequestError as error:
            self._failures.require_reached(described(error))
            raise CallError(described(error)) from None
        except TimeoutError:
            raise CallError(f"no answer within {self.endpoint.timeout:g} s") from None
        raise AssertionError

    def _is_worth_another(self, error: Exception) -> bool | float:
        """Whether to ask again, and after how many seconds if the service said so."""
        if isinstance(error, _AgainError) and error.after is not None:
            # A little later than was said, so that not all threads come at once.
            after = min(error.after, self._patience.retry_after_max)
            self._not_before = max(self._not_before, asyncio.get_running_loop().time() + after)
            return after * random.uniform(1, 1.25)
        if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
            return False
        return isinstance(error, _AgainError | httpx2.RequestError | TimeoutError)

    async def _attempt(self, request: Request, meter: Meter) -> Answer:
        """One request, or two where the first finds that its token has expired."""
        self._flight.require_open()
        wait = self._not_before - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)
        token = await self._credentials.token(self._fetch_token)
        answer = await self._send(request, token, meter)
        if answer.status == 401 and self._credentials.reject(token):
            token = await self._credentials.token(self._fetch_token)
            answer = await self._send(request, token, meter)
        self._judge(answer, request)
        return answer

    async def _send(self, request: Request, token: str | None, meter: Meter) -> Answer:
        headers = {"Accept": "application/json"}
        content = None
        if request.body is not None:
            content = json.dumps(request.body, ensure_ascii=False, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        meter.spend()
        url = self.endpoint.base_url + request.path
        return await self._exchange(
            self._client.build_request(request.method, url, content=content, headers=headers)
        )

    async def _fetch_token(self, url: str, form: dict[str, str], headers: dict[str, str]) -> object:
        answer = await self._exchange(
            self._client.build_request("POST", url, data=form, headers=headers)
        )
        self._judge(answer, Request("POST", ""), url)
        try:
            return parsed(answer)
        except BadReplyError as error:
            raise ServiceError(str(error), where=url) from None

    async def _exchange(self, request: httpx2.Request) -> Answer:
        """Send a request and read its answer, in bounded time and memory."""
        async with asyncio.timeout(self.endpoint.timeout):
            # To follow a redirect might show texts and token to somebody else.
            response = await self._client.send(request, stream=True, follow_redirects=False)
            try:
                content = await bounded(response.aiter_bytes())
            finally:
                await response.aclose()
        return Answer(response.status_code, response.reason_phrase, response.headers, content)

    def _judge(self, answer: Answer, request: Request, url: str = "") -> None:
        """Let what is no answer be asked again, fail its texts, or end the run."""
        if 200 <= answer.status < 300:
            return
        where = url or self.endpoint.base_url
        code, message = error_of(answer.content)
        said = self._line(message, request)
        reason = f"{answer.status} {answer.reason}".strip() + (f": {said}" if said else "")
        if answer.status in {408, 429} or answer.status >= 500:
            after = retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))
            raise _AgainError(reason, answer.status, after)
        if answer.status == 413 or code in _OF_THE_TEXT or "context length" in message.lower():
            raise CallError(reason, depends_on_texts=True)
        if answer.status < 400:
            moved = one_line(answer.headers.get("Location", "elsewhere"))
            raise ServiceError(
                f"{reason}: it redirects to {moved}", where=where, todo="Name that address instead"
            )
        raise ServiceError(reason, where=where, todo=RESUMABLE)

    def _line(self, message: str, request: Request) -> str:
        return one_line(message, request.texts, self._credentials.secrets)


def _tell(details: RetryDetails) -> None:
    reason = details.caused_by
    told = described(reason) if isinstance(reason, httpx2.RequestError) else str(reason)
    _log.info("%s; asked again in %.1f s", told or "no answer in time", details.wait_for)


set_on_retry_hooks([_tell])
