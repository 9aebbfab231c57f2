"""``labelf serve`` as a process: what curl gets, when it listens, how it ends, what it logs."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from conftest import ROOT, Labelf, write_endless_model
from served import Served, served

CONFIG = ROOT / "configs" / "models.toml"
TOKEN = "a-token-of-the-tests"
TEXT = "Hi, my räkning is too high again & the TV shows nothing. 🙁"
REQUEST = {
    "texts": [TEXT],
    "model_settings": [
        {"model_id": 42, "max_predictions": 1},
        {"model_id": 87, "max_predictions": 2},
        {"model_id": 156, "max_predictions": 3},
        {"model_id": 201, "label_filter": ["Frustrated", "Angry", "Neutral", "Satisfied"]},
    ],
}
"""That of the documentation."""


def curl(server: Served, path: str, *options: str) -> dict[str, Any]:
    """What curl gets from a path."""
    command = ["curl", "--silent", "--show-error", *options, server.url + path]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    reply: dict[str, Any] = json.loads(done.stdout)
    return reply


def as_float(score: float) -> bytes:
    return np.float32(score).tobytes()


def test_curl_gets_what_classify_says_to_the_bit(tmp_path: Path, labelf: Labelf) -> None:
    table = json.dumps({"text": TEXT}).encode()
    options = ("-", "--config", CONFIG, "--input-format", "jsonl", "--layout", "nested")
    row = json.loads(labelf("classify", *options, stdin=table).stdout)
    names = ["product", "issue_type", "root_cause", "sentiment"]
    (tmp_path / "request.json").write_text(json.dumps(REQUEST))
    with served(CONFIG, token=TOKEN) as server:
        authorization = ("-H", f"Authorization: Bearer {TOKEN}")
        answer = curl(
            server, "/v2/models/inference", *authorization, "-d", f"@{tmp_path}/request.json"
        )
    assert [(its["model_id"], its["model_name"]) for its in answer["results"]] == [
        (42, "Product"),
        (87, "Issue type"),
        (156, "Root cause"),
        (201, "Sentiment"),
    ]
    for name, result in zip(names, answer["results"], strict=True):
        (found,) = result["predictions"]
        expected = row[name]["predictions"]
        assert [its["label"] for its in found] == [its["label"] for its in expected]
        assert [as_float(its["score"]) for its in found] == [
            as_float(its["score"]) for its in expected
        ]


REMOTE = """
[defaults]
kind = "labelf-api"
base_url = "{url}/v2"
token_env = "LABELF_TEST_TOKEN"

[[models]]
name = "product"
model_id = 42
max_predictions = 1

[[models]]
name = "issue_type"
model_id = 87
max_predictions = 2

[[models]]
name = "root_cause"
model_id = 156
max_predictions = 3

[[models]]
name = "sentiment"
model_id = 201
labels = ["Angry", "Frustrated", "Neutral", "Satisfied", "Worried"]
label_filter = ["Frustrated", "Angry", "Neutral", "Satisfied"]
"""


@pytest.mark.parametrize("layout", ["wide", "nested", "long"])
def test_a_config_that_asks_the_server_gives_the_table_of_the_models_themselves(
    layout: str, tmp_path: Path, labelf: Labelf
) -> None:
    command = ("classify", ROOT / "sample_data" / "calls.csv", "--layout", layout, "--config")
    here = labelf(*command, CONFIG, "--quiet")
    with served(CONFIG, token=TOKEN) as server:
        config = tmp_path / "remote.toml"
        config.write_text(REMOTE.format(url=server.url))
        there = labelf(*command, config, "--quiet", env={"LABELF_TEST_TOKEN": TOKEN})
    assert (here.returncode, there.returncode, there.stderr) == (0, 0, b"")
    assert there.stdout == here.stdout


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A config of a model that never answers "angry"."""
    write_endless_model(tmp_path / "m")
    config = tmp_path / "models.toml"
    config.write_text('[[models]]\nname = "m"\nid = 1\npath = "m"\n')
    return config


def ask(server: Served, text: str) -> httpx2.Response:
    return httpx2.post(f"{server.url}/v2/models/1/inference", json={"texts": [text]}, timeout=60)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_was_accepted(signum: signal.Signals) -> None:
    text = " ".join(f"bill{n} broadband" for n in range(9000))
    many = {"texts": [f"{n} {text}"[:99_000] for n in range(8)], "max_predictions": 1}
    with served(CONFIG, "--threads", "1") as server, ThreadPoolExecutor(4) as pool:
        url = f"{server.url}/v2/models/42/inference"
        asked = [pool.submit(httpx2.post, url, json=many, timeout=60) for _ in range(4)]
        while _waiting(server) < 8:
            time.sleep(0.01)
        assert server.end(signum) == 0
        replies = [future.result() for future in asked if not future.exception()]
    assert replies
    assert {reply.status_code for reply in replies} <= {200, 503}
    accepted = sum("/inference 200" in line for line in server.log)
    assert accepted == [reply.status_code for reply in replies].count(200) >= 1
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(server.url)


def _waiting(server: Served) -> float:
    (line,) = re.findall(
        r"^labelf_texts_waiting (\S+)", httpx2.get(f"{server.url}/metrics").text, re.M
    )
    return float(line)


def test_what_takes_longer_than_the_grace_time_is_cut_off(endless: Path) -> None:
    with served(endless, "--grace", "0.5") as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, server, "angry")
        while _waiting(server) < 1:
            time.sleep(0.01)
        began = time.monotonic()
        assert server.end() == 1
        assert time.monotonic() - began < 20
        assert (asked.result().status_code, asked.result().json()["error_code"]) == (
            503,
            "STOPPING",
        )
    assert any("1 requests were not answered in time" in line for line in server.log)
    assert "Traceback" not in "".join(server.log)


def test_a_second_signal_ends_it_at_once(endless: Path) -> None:
    with served(endless) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(ask, server, "angry")
        while _waiting(server) < 1:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert server.end() == 143


def test_a_timeout_is_told_and_frees_no_room_for_more(endless: Path) -> None:
    with served(endless, "--timeout", "0.3", "--max-waiting", "1", "--grace", "0") as server:
        assert ask(server, "angry").json()["error_code"] == "TIMEOUT"
        busy = ask(server, "tv")
        assert (busy.status_code, busy.json()["error_code"]) == (429, "OVERLOADED")
        assert int(busy.headers["retry-after"]) >= 1


def test_the_port_is_bound_once_the_models_are_loaded(endless: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    write_endless_model(endless.parent / "loads", since=0)  # its probe never ends
    endless.write_text('[[models]]\nname = "m"\nid = 1\npath = "loads"\n')
    command = ["serve", "--config", str(endless), "--port", str(port)]
    with subprocess.Popen(
        [sys.executable, "-m", "labelf_cli", *command], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "m: loading" in process.stderr.readline()
        time.sleep(0.5)
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            pass
        process.terminate()
        assert process.wait(10) == 143


def test_a_port_that_is_taken_is_named(endless: Path, labelf: Labelf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = labelf("serve", "--config", endless, "--port", str(port), "--quiet")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        f"error: 127.0.0.1 port {port}: can't be listened at (Address already in use). Choose "
        "another --port or --host\n"
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_beyond_loopback_it_needs_a_token(endless: Path, labelf: Labelf, host: str) -> None:
    done = labelf("serve", "--config", endless, "--host", host)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        f"error: --host: whoever reaches {host} could use the models. Set LABELF_API_TOKEN or "
        "--token-file, or listen on 127.0.0.1\n"
    )


def test_models_without_an_id_can_not_be_served(endless: Path, labelf: Labelf) -> None:
    endless.write_text(endless.read_text().replace("id = 1\n", ""))
    done = labelf("serve", "--config", endless)
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "error: a request names models by id, and there is none for 'm'. Give each model an id, as "
        "in id = 42, or leave it out with --model\n"
    )


def test_neither_texts_nor_tokens_are_logged(tmp_path: Path) -> None:
    secret = "Vertraulich"
    file = tmp_path / "tokens"
    file.write_text("hush-hush\n")
    with served(CONFIG, "--token-file", str(file), "--log-format", "json", token=TOKEN) as server:
        for token in ("hush-hush", TOKEN, f"{secret}-token"):
            headers = {"Authorization": f"Bearer {token}", "X-Request-ID": "of-mine"}
            with httpx2.Client(base_url=server.url, headers=headers) as client:
                one = {"texts": [secret, ""], "label_filter": [f"{secret} label"]}
                client.post("/v2/models/42/inference", json={"texts": [secret]})
                client.post("/v2/models/42/inference", json=one)
                client.post("/v2/models/42/inference", json={secret: [secret]})
                client.post("/v2/models/42/inference", content=f"{secret}")
                client.get(f"/{secret}?token={token}")
                client.get("/v2/models/42", headers={"X-Request-ID": f"{secret} and\tmore"})
                client.request(secret, "/v2/models")
        assert server.end() == 0
    lines = [json.loads(line) for line in server.log]
    everything = "".join(server.log)
    assert not [hidden for hidden in (secret, "hush-hush", TOKEN) if hidden in everything]
    asked = [line for line in lines if line.get("request_id") == "of-mine"]
    assert {"method", "path", "status", "seconds", "texts"} <= set(asked[0])
    assert [(a["path"], a["status"], a["texts"]) for a in asked[:5]] == [
        ("/v2/models/42/inference", 200, 1),
        ("/v2/models/42/inference", 422, 2),
        ("/v2/models/42/inference", 422, 0),
        ("/v2/models/42/inference", 400, 0),
        ("(unknown)", 404, 0),
    ]


def test_what_is_no_http_is_answered_as_all_errors_are(endless: Path) -> None:
    with served(endless) as server, socket.create_connection(server.address, 5) as connection:
        connection.sendall(b"COME \xff IN\r\n\r\n")
        reply = b"".join(iter(lambda: connection.recv(4096), b""))
    head, body = reply.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert list(json.loads(body)) == ["status", "message", "error_code", "request_id"]


def test_what_a_service_answers_for_is_refused(tmp_path: Path, labelf: Labelf) -> None:
    config = tmp_path / "remote.toml"
    config.write_text(REMOTE.format(url="http://127.0.0.1:1"))
    done = labelf("serve", "--config", config, env={"LABELF_TEST_TOKEN": TOKEN})
    assert (done.returncode, done.stdout) == (2, b"")
    names = "'product', 'issue_type', 'root_cause', 'sentiment'"
    assert done.stderr.decode() == (
        f"error: a service answers for {names}. Serve what runs here: name it with --model\n"
    )
