"""What stands around every request: ids, the log, figures, and faults that quote nothing."""

import logging
from collections.abc import Callable

import pytest
from conftest import Serve, WriteModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from labelf_cli.config import Config
from labelf_cli.server.access import Access
from labelf_cli.server.metrics import Metrics
from labelf_cli.server.problems import on_fault
from labelf_cli.server.serving import open_api
from labelf_cli.server.settings import ServeSettings


@pytest.fixture
def client(serve: Serve, write_model: WriteModel) -> TestClient:
    return serve({"name": "m", "id": 1, "path": write_model()})


@pytest.mark.parametrize("given", ["req_7f3a9b2c", "0" * 64, "a.b-c"])
def test_an_id_of_the_client_comes_back(client: TestClient, given: str) -> None:
    reply = client.get("/v2/models/7", headers={"X-Request-ID": given})
    assert reply.headers["x-request-id"] == reply.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "0" * 65, "a b", "a\tb", "<script>", "é"])
def test_what_could_be_anything_does_not(client: TestClient, given: str) -> None:
    headers = {b"X-Request-ID": given.encode()}
    ids = {client.get("/", headers=headers).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert given not in ids


async def fail(request: Request) -> Response:
    raise ValueError(f"can't do '{(await request.body()).decode()}'")


def test_a_fault_is_logged_without_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics(lambda: 0)
    handlers = {Exception: on_fault}
    app = Starlette(routes=[Route("/", fail, methods=["POST"])], exception_handlers=handlers)
    client = TestClient(Access(app, metrics), raise_server_exceptions=False)
    with caplog.at_level(logging.INFO):
        reply = client.post("/", content="Vertraulich", headers={"X-Request-ID": "id-1"})
    assert (reply.status_code, reply.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert reply.json()["request_id"] == "id-1"
    assert "ValueError, request id-1" in caplog.text
    assert "in fail" in caplog.text
    assert "Vertraulich" not in caplog.text
    assert b'labelf_requests_total{path="/",status="500"} 1.0' in metrics.render()


def test_figures_have_no_label_that_a_client_chose(client: TestClient) -> None:
    client.get("/secret?of=mine")
    client.post("/v2/models/1/inference", json={"texts": ["tv", "my bill"]})
    client.post("/v2/models/1/inference", json={"texts": ["tv"]})
    client.post("/v2/models/9/inference", json={"texts": ["tv"]})
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=1.0.0")
    assert {
        'labelf_requests_total{path="(unknown)",status="404"} 1.0',
        'labelf_requests_total{path="/v2/models/{model_id}/inference",status="200"} 2.0',
        'labelf_requests_total{path="/v2/models/{model_id}/inference",status="404"} 1.0',
        'labelf_request_seconds_count{path="/v2/models/{model_id}/inference"} 3.0',
        'labelf_texts_total{model="m"} 3.0',
        "labelf_texts_waiting 0.0",
    } <= set(reply.text.splitlines())
    assert "secret" not in reply.text


def test_who_stops_is_not_ready(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    config = make_config({"name": "m", "id": 1, "path": write_model()})
    with open_api(ServeSettings(config, 1)) as api:
        client = TestClient(api.app)
        assert client.get("/health/ready").json() == {"status": "ready"}
        api.stopping = True
        ready = client.get("/health/ready")
        asked = client.post("/v2/models/1/inference", json={"texts": ["tv"]})
        for reply in (ready, asked):
            assert (reply.status_code, reply.json()["error_code"]) == (503, "STOPPING")
        assert client.get("/health/live").json() == {"status": "live"}
