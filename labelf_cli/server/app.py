"""The routes: what is asked where, and what answers."""

from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from labelf_cli.errors import did_you_mean
from labelf_cli.server.access import Access
from labelf_cli.server.bodies import Bodies
from labelf_cli.server.inference import Inference, ServedModel
from labelf_cli.server.messages import (
    Asked,
    Health,
    InferenceRequest,
    ModelInferenceRequest,
)
from labelf_cli.server.metrics import Metrics
from labelf_cli.server.openapi import document
from labelf_cli.server.page import Page
from labelf_cli.server.problems import (
    Code,
    RequestError,
    on_fault,
    on_http_exception,
    on_problem,
)
from labelf_cli.server.settings import Limits
from labelf_cli.server.tokens import Tokens

Endpoint = Callable[[Request], Awaitable[Response]]


class _ModelId(Convertor[int]):
    """An id in a path; no number is so long that Python would refuse to read it."""

    regex = "-?[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("model_id", _ModelId())


class Api:
    """The HTTP API over a kernel.

    Attributes:
        app: the ASGI application.
        access: what stands around every request.
        stopping: whether no new requests are accepted.
    """

    def __init__(self, inference: Inference, limits: Limits, tokens: tuple[str, ...]) -> None:
        self._inference, self._limits, self._tokens = inference, limits, Tokens(tokens)
        self._bodies = Bodies(limits)
        self._metrics = Metrics(lambda: inference.admission.texts)
        self._document = document(limits, needs_token=bool(tokens))
        self._page = Page.read()
        self.stopping = False
        app = Starlette(
            routes=self._routes(),
            exception_handlers={
                RequestError: on_problem,
                HTTPException: on_http_exception,
                Exception: on_fault,
            },
        )
        app.router.redirect_slashes = False
        self.access = Access(app, self._metrics)
        self.app: ASGIApp = self.access

    def _routes(self) -> list[Route]:
        def route(path: str, endpoint: Endpoint, method: str = "GET") -> Route:
            return Route(path, endpoint, methods=[method])

        guarded = self._guarded
        return [
            route("/v2/models/inference", guarded(self._infer), "POST"),
            route("/v2/models/{model_id:model_id}/inference", guarded(self._infer_one), "POST"),
            route("/v2/models", guarded(self._list_models)),
            route("/v2/models/{model_id:model_id}", guarded(self._show_model)),
            route("/metrics", guarded(self._show_metrics)),
            route("/health/live", self._live),
            route("/health/ready", self._ready),
            route("/openapi.json", self._show_document),
            route("/", self._show_page),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint for those who have a token."""

        async def guarded(request: Request) -> Response:
            if not self._tokens.allow(request.headers.get("authorization", "")):
                raise RequestError(
                    Code.UNAUTHORIZED,
                    "a token is needed, as in 'Authorization: Bearer …', and this is none",
                    {"WWW-Authenticate": "Bearer"},
                )
            return await endpoint(request)

        return guarded

    # Inference.

    async def _infer(self, request: Request) -> Response:
        self._require_open()
        its = await self._bodies.read(request, InferenceRequest)
        self._require_bounds(its.texts)
        self._require_settings(len(its.model_settings))
        models = [self._model(setting.model_id) for setting in its.model_settings]
        answers = await self._ask(
            request, its.texts, list(zip(models, its.model_settings, strict=True))
        )
        results = [
            {"model_id": model.info.id, "model_name": model.info.name, "predictions": answer}
            for model, answer in zip(models, answers, strict=True)
        ]
        return JSONResponse({"results": results})

    async def _infer_one(self, request: Request) -> Response:
        self._require_open()
        model = self._model(request.path_params["model_id"])
        its = await self._bodies.read(request, ModelInferenceRequest)
        self._require_bounds(its.texts)
        (answer,) = await self._ask(request, its.texts, [(model, its)])
        return JSONResponse(
            [
                {"text": text, "predictions": predictions}
                for text, predictions in zip(its.texts, answer, strict=True)
            ]
        )

    async def _ask(
        self, request: Request, texts: tuple[str, ...], asked: list[tuple[ServedModel, Asked]]
    ) -> list[Any]:
        request.scope["texts"] = len(texts)
        answers = await self._inference.answer(texts, [m.question(its) for m, its in asked])
        self._metrics.classified({model.config.name for model, _ in asked}, len(texts))
        return answers

    def _require_open(self) -> None:
        """Refuse before the body is read what would be refused after it."""
        if self.stopping:
            raise RequestError(Code.STOPPING, "the server is stopping. Try again later")
        self._inference.admission.require_room(1)

    def _require_bounds(self, texts: tuple[str, ...]) -> None:
        most, longest = self._limits.texts, self._limits.characters
        if len(texts) > most:
            raise RequestError(
                Code.INVALID_REQUEST, f"texts: {len(texts)} of them, more than {most}. Send fewer"
            )
        for number, text in enumerate(texts):
            if len(text) > longest:
                raise RequestError(
                    Code.INVALID_REQUEST,
                    f"texts[{number}]: {len(text)} characters, more than {longest}. Cut it",
                )

    def _require_settings(self, count: int) -> None:
        if count > self._limits.models:
            raise RequestError(
                Code.INVALID_REQUEST,
                f"model_settings: {count} of them, more than {self._limits.models}. Send fewer",
            )

    # Models.

    def _model(self, number: int) -> ServedModel:
        models = self._inference.models
        if number not in models:
            hint = did_you_mean(str(number)[:80], [str(its) for its in models])
            raise RequestError(Code.NOT_FOUND, f"no model has the id {str(number)[:80]}. {hint}")
        return models[number]

    async def _list_models(self, _: Request) -> Response:
        return JSONResponse([model.info.model_dump() for model in self._inference.models.values()])

    async def _show_model(self, request: Request) -> Response:
        return JSONResponse(self._model(request.path_params["model_id"]).info.model_dump())

    # All else.

    async def _live(self, _: Request) -> Response:
        return JSONResponse(Health(status="live").model_dump())

    async def _ready(self, _: Request) -> Response:
        if self.stopping:
            raise RequestError(Code.STOPPING, "the server is stopping")
        return JSONResponse(Health(status="ready").model_dump())

    async def _show_metrics(self, _: Request) -> Response:
        return Response(self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _show_document(self, _: Request) -> Response:
        return JSONResponse(self._document)

    async def _show_page(self, _: Request) -> Response:
        return self._page.response()
