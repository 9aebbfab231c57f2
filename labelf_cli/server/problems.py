"""Requests that are answered with an error: one JSON object of the same four members for all."""

from collections.abc import Mapping
from enum import Enum

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from labelf_cli.server.messages import ErrorReply


class Code(Enum):
    """The ``error_code`` of a reply, and its status."""

    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    TOO_SLOW = 408
    BODY_TOO_LARGE = 413
    INVALID_REQUEST = 422
    OVERLOADED = 429
    INTERNAL_ERROR = 500
    STOPPING = 503
    TIMEOUT = 504


class RequestError(Exception):
    """A request can't be answered as it was meant.

    Attributes:
        code: what kind of thing is wrong.
        message: what, where, and what to do now; it goes to the client, and into no log.
        headers: more headers of the reply.
    """

    def __init__(self, code: Code, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code.name)
        self.code, self.message, self.headers = code, message, headers


def error_reply(problem: RequestError, request_id: str) -> JSONResponse:
    """The reply to a request."""
    code = problem.code
    reply = ErrorReply(
        status=code.value, message=problem.message, error_code=code.name, request_id=request_id
    )
    return JSONResponse(reply.model_dump(), code.value, problem.headers)


async def on_problem(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler of ``RequestError``."""
    assert isinstance(error, RequestError)
    return error_reply(error, request.scope["request_id"])


async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler of its own errors: no such path, no such method."""
    assert isinstance(error, HTTPException)
    code = Code(error.status_code)
    messages = {
        Code.NOT_FOUND: "there is nothing at this path; see /openapi.json",
        Code.METHOD_NOT_ALLOWED: f"this path does not take {request.method}; see /openapi.json",
    }
    problem = RequestError(code, messages.get(code, error.detail), error.headers)
    return error_reply(problem, request.scope["request_id"])


async def on_fault(request: Request, _: Exception) -> JSONResponse:
    """Starlette's handler of all else; ``Access`` logs it."""
    problem = RequestError(Code.INTERNAL_ERROR, "a fault in labelf; its log says more")
    return error_reply(problem, request.scope["request_id"])
