"""Around every request: its id, its line in the log, its count, and an answer whatever happens."""

import asyncio
import logging
import re
import time
import traceback
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labelf_cli.server.metrics import Metrics
from labelf_cli.server.problems import Code, RequestError, error_reply

_log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
_CLIENT_GONE = 499
"""Status of a request whose client went away, as nginx logs it; nobody sees it."""

_UNKNOWN = "(unknown)"
"""Stands for a path or a method of the client's own, which might be anything."""


class Access:
    """ASGI middleware.

    Attributes:
        cut: requests that were accepted and not answered, since the server ended before.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self.cut = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            return
        request_id = _id(Headers(scope=scope).get("x-request-id", ""))
        scope.update(request_id=request_id, texts=0)
        began, status = time.monotonic(), _CLIENT_GONE

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:
            self.cut += 1
            problem = RequestError(Code.STOPPING, "the server is stopping. Try again later")
            await error_reply(problem, request_id)(scope, receive, send_with_id)
        except Exception as error:
            _report(error, request_id)
            problem = RequestError(Code.INTERNAL_ERROR, "a fault in labelf; its log says more")
            if status == _CLIENT_GONE:
                await error_reply(problem, request_id)(scope, receive, send_with_id)
        self._tell(scope, status, time.monotonic() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log a request, by nothing that its client could have written."""
        route = scope.get("route")
        path = _UNKNOWN if route is None else route.path_format
        self._metrics.answered(path, status, seconds)
        its = {
            "method": scope["method"] if scope["method"] in _METHODS else _UNKNOWN,
            "path": path.format(**scope.get("path_params", {})),
            "status": status,
            "seconds": round(seconds, 4),
            "request_id": scope["request_id"],
            "texts": scope["texts"],
        }
        line = "%(method)s %(path)s %(status)d in %(seconds).4f s, %(texts)d texts, %(request_id)s"
        _log.info(line, its, extra={"fields": its})


def _id(given: str) -> str:
    """That of the client, if it is one."""
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _report(error: Exception, request_id: str) -> None:
    """Where a fault happened and of what kind it is; what it says might quote a text."""
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    _log.error("%s, request %s\n%s", type(error).__name__, request_id, frames)
