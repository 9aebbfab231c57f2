"""The OpenAPI document, made of the messages that requests are read with."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from labelf_cli import __version__
from labelf_cli.server.messages import (
    ErrorReply,
    Health,
    InferenceReply,
    InferenceRequest,
    ModelInferenceRequest,
    ModelInfo,
    TextPredictions,
)
from labelf_cli.server.problems import Code
from labelf_cli.server.settings import Limits

Json = dict[str, Any]

_REF = "#/components/schemas/{model}"

_REASONS = {
    Code.BAD_REQUEST: "The body is not JSON.",
    Code.UNAUTHORIZED: "No token, or one that is not known.",
    Code.NOT_FOUND: "No model has this id.",
    Code.TOO_SLOW: "The body came in too slowly.",
    Code.BODY_TOO_LARGE: "The body is too large.",
    Code.INVALID_REQUEST: "The body is not what is asked for, or a text can't be classified.",
    Code.OVERLOADED: "Too much is waiting already; Retry-After tells when to come again.",
    Code.STOPPING: "The server is stopping.",
    Code.TIMEOUT: "There was no answer in time.",
}

_INFERENCE = (
    Code.BAD_REQUEST,
    Code.NOT_FOUND,
    Code.TOO_SLOW,
    Code.BODY_TOO_LARGE,
    Code.INVALID_REQUEST,
    Code.OVERLOADED,
    Code.STOPPING,
    Code.TIMEOUT,
)


@dataclass(frozen=True)
class _Operation:
    """One method of one path.

    Attributes:
        summary: what it does.
        reply: schema of its answer, by the type of its content.
        request: schema of its body, None for none.
        problems: what may be wrong, a missing token aside.
        is_guarded: whether it needs a token.
    """

    summary: str
    reply: tuple[str, Json]
    request: type[BaseModel] | None = None
    problems: tuple[Code, ...] = ()
    is_guarded: bool = True


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": _REF.format(model=model.__name__)}


def _json(schema: Json) -> tuple[str, Json]:
    return "application/json", schema


def _text(kind: str) -> tuple[str, Json]:
    return kind, {"type": "string"}


_OPERATIONS = {
    ("/v2/models/inference", "post"): _Operation(
        "Classify texts by several models",
        _json(_ref(InferenceReply)),
        InferenceRequest,
        _INFERENCE,
    ),
    ("/v2/models/{model_id}/inference", "post"): _Operation(
        "Classify texts by one model",
        _json({"type": "array", "items": _ref(TextPredictions)}),
        ModelInferenceRequest,
        _INFERENCE,
    ),
    ("/v2/models", "get"): _Operation(
        "All models", _json({"type": "array", "items": _ref(ModelInfo)})
    ),
    ("/v2/models/{model_id}", "get"): _Operation(
        "One model", _json(_ref(ModelInfo)), problems=(Code.NOT_FOUND,)
    ),
    ("/metrics", "get"): _Operation("Figures for Prometheus", _text("text/plain")),
    ("/health/live", "get"): _Operation(
        "Whether the process answers", _json(_ref(Health)), is_guarded=False
    ),
    ("/health/ready", "get"): _Operation(
        "Whether it takes requests",
        _json(_ref(Health)),
        problems=(Code.STOPPING,),
        is_guarded=False,
    ),
    ("/openapi.json", "get"): _Operation(
        "This document", _json({"type": "object"}), is_guarded=False
    ),
    ("/", "get"): _Operation("A page to try the models", _text("text/html"), is_guarded=False),
}


def document(limits: Limits, *, needs_token: bool) -> Json:
    """The document of a server with these bounds."""
    paths: dict[str, Json] = {}
    for (path, method), operation in _OPERATIONS.items():
        paths.setdefault(path, {})[method] = _described(path, operation, needs_token)
    components: Json = {"schemas": _schemas(limits)}
    if needs_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "labelf",
            "version": __version__,
            "description": "Classifies texts by several models.",
        },
        "paths": paths,
        "components": components,
    }


def _described(path: str, operation: _Operation, needs_token: bool) -> Json:
    kind, schema = operation.reply
    is_guarded = operation.is_guarded and needs_token
    problems = ((Code.UNAUTHORIZED,) if is_guarded else ()) + operation.problems
    described: Json = {
        "summary": operation.summary,
        "responses": {
            "200": {"description": "The answer.", "content": {kind: {"schema": schema}}},
            **{str(code.value): _problem(code) for code in problems},
        },
    }
    if is_guarded:
        described["security"] = [{"token": []}]
    if "{model_id}" in path:
        its: Json = {"name": "model_id", "in": "path", "required": True}
        described["parameters"] = [its | {"schema": {"type": "integer"}}]
    if operation.request is not None:
        content = {"application/json": {"schema": _ref(operation.request)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _problem(code: Code) -> Json:
    described: Json = {
        "description": _REASONS[code],
        "content": {"application/json": {"schema": _ref(ErrorReply)}},
    }
    if code is Code.OVERLOADED:
        seconds = {"type": "integer", "minimum": 1}
        described["headers"] = {"Retry-After": {"description": "In seconds.", "schema": seconds}}
    return described


def _schemas(limits: Limits) -> Json:
    """Schemas of all messages, with the bounds that they have here."""
    incoming = (InferenceRequest, ModelInferenceRequest)
    outgoing = (InferenceReply, TextPredictions, ModelInfo, Health, ErrorReply)
    _, schema = models_json_schema(
        [(m, "validation") for m in incoming] + [(m, "serialization") for m in outgoing],
        ref_template=_REF,
    )
    schemas: Json = schema["$defs"]
    for name in ("InferenceRequest", "ModelInferenceRequest"):
        texts = schemas[name]["properties"]["texts"]
        texts["maxItems"] = limits.texts
        texts["items"]["maxLength"] = limits.characters
    schemas["InferenceRequest"]["properties"]["model_settings"]["maxItems"] = limits.models
    return schemas
