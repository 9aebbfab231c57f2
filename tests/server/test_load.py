"""Too much at once: refusals, health that answers, flat memory; and senders that are too slow."""

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import httpx2
import pytest
from conftest import ROOT, WriteModel, write_endless_model
from served import Served, served

from labelf_cli.config import Config
from labelf_cli.server.serving import open_server
from labelf_cli.server.settings import Limits, ServeSettings

CONFIG = ROOT / "configs" / "models.toml"
WAITING = 8
SLOW = 200


class Load:
    """Clients that ask again and again, whatever they are told.

    Attributes:
        statuses: what they were told.
        without_date: refusals that did not say when to come again.
        health: seconds that each look at the server's health took.
        resident: bytes of its memory, as time goes by.
    """

    def __init__(self, server: Served, seconds: float) -> None:
        self._server, self._until = server, time.monotonic() + seconds
        self.statuses: Counter[int] = Counter()
        self.without_date = 0
        self.health: list[float] = []
        self.resident: list[int] = []

    def run(self, clients: int) -> None:
        with ThreadPoolExecutor(1) as beside:
            looks = beside.submit(self._look)
            asyncio.run(self._ask_all(clients))
            looks.result()

    async def _ask_all(self, clients: int) -> None:
        limits = httpx2.Limits(max_connections=clients)
        async with (
            httpx2.AsyncClient(base_url=self._server.url, limits=limits, timeout=30) as client,
            asyncio.TaskGroup() as tasks,
        ):
            for number in range(clients):
                tasks.create_task(self._ask(client, number))

    async def _ask(self, client: httpx2.AsyncClient, number: int) -> None:
        words = " ".join(f"broadband{number} bill{n}" for n in range(2000))
        for again in range(1_000_000):
            if time.monotonic() > self._until:
                return
            body = {"texts": [f"{again} {words}"], "max_predictions": 1}
            reply = await client.post("/v2/models/42/inference", json=body)
            self.statuses[reply.status_code] += 1
            self.without_date += reply.status_code == 429 and "retry-after" not in reply.headers

    def _look(self) -> None:
        with httpx2.Client(base_url=self._server.url) as client:
            while time.monotonic() < self._until:
                began = time.monotonic()
                for path in ("/health/live", "/health/ready"):
                    assert client.get(path).status_code == 200
                self.health.append(time.monotonic() - began)
                self.resident.append(self._server.resident)
                time.sleep(0.1)


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.long)])
def test_ten_times_what_may_wait_is_refused_in_flat_memory(
    seconds: int, survived: Callable[[str, int], None]
) -> None:
    with served(CONFIG, "--threads", "1", "--max-waiting", str(WAITING)) as server:
        load = Load(server, seconds)
        load.run(clients=10 * WAITING)
        assert server.end() == 0
    assert set(load.statuses) == {200, 429}
    assert min(load.statuses.values()) > 20
    assert load.without_date == 0
    assert len(load.health) > 5
    assert max(load.health) < 10
    settled = load.resident[len(load.resident) // 3 :]
    assert max(settled) - settled[0] < 32 << 20
    survived("requests too many", load.statuses[429])


def test_what_is_alone_may_be_more_than_may_wait(tmp_path: Path) -> None:
    write_endless_model(tmp_path / "m")
    config = tmp_path / "models.toml"
    config.write_text('[[models]]\nname = "m"\nid = 1\npath = "m"\n')
    with served(config, "--max-waiting", "1") as server:
        body = {"texts": ["tv", "my bill"]}
        assert httpx2.post(f"{server.url}/v2/models/1/inference", json=body).status_code == 200


HEAD = b"POST /v2/models/42/inference HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"


def test_200_slow_senders_stop_nobody() -> None:
    with served(CONFIG) as server, ExitStack() as opened:
        slow = [opened.enter_context(socket.create_connection(server.address)) for _ in range(SLOW)]
        for number, connection in enumerate(slow):
            connection.sendall(HEAD + (b"\r\n" if number % 2 else b""))
        body = {"texts": ["my bill is too high"]}
        for _ in range(10):
            for connection in slow:
                connection.sendall(b" ")
            reply = httpx2.post(f"{server.url}/v2/models/42/inference", json=body, timeout=10)
            assert reply.status_code == 200
        assert server.resident < 1 << 30
        server.process.terminate()
        for connection in slow:  # who goes on sending will not hold it up beyond its own time
            connection.close()
        assert server.process.wait(30) == 0


Bound = Callable[[Limits], tuple[str, int]]


@pytest.fixture
def bound(write_model: WriteModel, make_config: Callable[..., Config]) -> Iterator[Bound]:
    """A function that serves a tiny model within bounds, in this process; gives the address."""
    config = make_config({"name": "m", "id": 42, "path": write_model()})

    @contextmanager
    def serve(limits: Limits) -> Iterator[tuple[str, int]]:
        with open_server(ServeSettings(config, 1, port=0, limits=limits)) as server:
            thread = Thread(target=server.run)
            thread.start()
            its = httpx2.URL(server.addresses[0])
            yield its.host, its.port or 0
            server.stop()
            thread.join()

    with ExitStack() as servers:
        yield lambda limits: servers.enter_context(serve(limits))


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes, or breaks off."""
    parts = []
    try:
        while part := connection.recv(4096):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def is_live(connection: socket.socket) -> bool:
    """Whether a whole answer of /health/live comes."""
    reply = b""
    while part := connection.recv(4096):
        reply += part
        if reply.endswith(b'{"status":"live"}'):
            return reply.startswith(b"HTTP/1.1 200 OK")
    return False


def test_a_head_that_is_too_slow_is_given_up(bound: Bound) -> None:
    address = bound(Limits(head_seconds=0.3))
    with socket.create_connection(address, 10) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        began = time.monotonic()
        assert read_all(connection) == b""
        assert 0.2 < time.monotonic() - began < 20


def test_so_is_a_second_one(bound: Bound) -> None:
    address = bound(Limits(head_seconds=0.3))
    with socket.create_connection(address, 10) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert is_live(connection)
        time.sleep(0.5)  # between two requests a connection may be idle for longer
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert is_live(connection)
        connection.sendall(b"G")
        assert read_all(connection) == b""


def test_a_body_that_is_too_slow_is_told(bound: Bound) -> None:
    address = bound(Limits(body_seconds=0.3))
    with socket.create_connection(address, 10) as connection:
        connection.sendall(HEAD + b"Connection: close\r\n\r\n{")
        head, body = read_all(connection).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["error_code"] == "TOO_SLOW"


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(bound: Bound) -> None:
    address = bound(Limits(texts=1, characters=10))
    with socket.create_connection(address, 10) as connection:
        head = HEAD.replace(b"100000", b"9" * 12) + b"Expect: 100-continue\r\n"
        connection.sendall(head + b"Connection: close\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_cut_off_where_it_is_too_large(bound: Bound) -> None:
    address = bound(Limits(texts=1, characters=10))
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = HEAD.replace(b"Content-Length: 100000", b"Transfer-Encoding: chunked")
    with socket.create_connection(address, 10) as connection:
        connection.sendall(head + b"\r\n" + 17 * chunk)
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_where_connections_run_out_the_slowest_makes_room(bound: Bound) -> None:
    address = bound(Limits(connections=20, head_seconds=60))
    with ExitStack() as opened:
        slow = [opened.enter_context(socket.create_connection(address, 10)) for _ in range(60)]
        for connection in slow[-10:]:
            connection.sendall(b"GET /health")
        reply = httpx2.get(f"http://{address[0]}:{address[1]}/health/live")
        assert reply.status_code == 200
        assert read_all(slow[0]) == b""
        slow[-1].sendall(b"/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert is_live(slow[-1])
