"""Services on loopback that answer by a script: an OpenAI-compatible one and labelf's own API.

They speak over real sockets, refuse requests that the real ones would, and record what came.
"""

import json
import re
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

Json = dict[str, Any]
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Respond:
    """Answer with a status and a body, JSON or bytes."""

    status: int
    body: object = b""
    headers: Headers = field(default_factory=dict)


class Reset:
    """Reset the connection in the middle of the body."""


class Hang:
    """Say nothing until the server ends."""


Act = Respond | Reset | Hang


def in_seconds(seconds: float = 0, status: int = 429) -> Respond:
    """Come again after some seconds."""
    return Respond(status, {"error": {"message": "slow down"}}, {"Retry-After": f"{seconds:.0f}"})


def at_date(seconds: float = 0, status: int = 429) -> Respond:
    """Come again at a date."""
    date = datetime.now(UTC) + timedelta(seconds=seconds)
    return Respond(status, b"", {"Retry-After": format_datetime(date, usegmt=True)})


class Sent:
    """A request that came in."""

    def __init__(self, method: str, path: str, token: str | None, content: bytes) -> None:
        self.method, self.path, self.token, self.content = method, path, token, content
        self.body: Json = json.loads(content) if content.startswith(b"{") else {}

    @property
    def texts(self) -> list[str]:
        """That are asked about."""
        if "messages" in self.body:
            return [self.body["messages"][-1]["content"]]
        return list(self.body.get("texts", ()))

    @property
    def keys(self) -> list[str]:
        """Properties that are asked for."""
        return list(schema_of(self.body)["properties"])


def schema_of(body: Json) -> Json:
    """That of a request for a chat completion."""
    form: Json = body["response_format"]
    schema: Json = (
        form["json_schema"]["schema"] if form["type"] == "json_schema" else form["schema"]
    )
    return schema


Say = Callable[[str, str, Json], object]
"""From a text, a property and its schema to the property's value."""


def words_of_the_list(text: str, _: str, schema: Json) -> object:
    """The labels that stand in the text, in the order of the list; else ``none``, or the first."""
    choices = (schema.get("items") or schema)["enum"]
    found = [label for label in choices if label.casefold() in text.casefold()]
    found = found or [label for label in choices if label == "none"]
    return found if schema["type"] == "array" else (found or choices)[0]


@dataclass
class Remote:
    """A service, what it does, and what came in.

    Attributes:
        url: its address without a version.
        script: what is done with the next POSTs, before the regular answers begin.
        by_text: the same for those that hold a text; None in it stands for the regular answer.
        say: what the language model answers.
        reply: makes the chat completion of its content; see ``completion``.
        labels: of the models of the API, by id.
        score: of a label, by text, model and label.
        token: that requests have to carry; None for any.
        requests: in their order.
        answered: of texts (and properties) how often they had a regular answer.
    """

    url: str = ""
    script: deque[Act] = field(default_factory=deque)
    by_text: dict[str, deque[Act | None]] = field(default_factory=dict)
    say: Say = words_of_the_list
    reply: Callable[[str, Sent], Json] | None = None
    labels: dict[int, tuple[str, ...]] = field(default_factory=dict)
    score: Callable[[str, int, str], float] | None = None
    score_key: str = "score"
    token: str | None = None
    tokens_given: list[str] = field(default_factory=list)
    lifetime: float = 3600
    requests: list[Sent] = field(default_factory=list)
    answered: Counter[tuple[str, ...]] = field(default_factory=Counter)
    delay: float = 0.0
    lock: Lock = field(default_factory=Lock)
    ended: Event = field(default_factory=Event)

    @property
    def v1(self) -> str:
        """Base address of the OpenAI-compatible service."""
        return f"{self.url}/v1"

    @property
    def v2(self) -> str:
        """Base address of the inference API."""
        return f"{self.url}/v2"

    def posts(self, end: str = "") -> list[Sent]:
        """The requests whose path ends so."""
        return [r for r in self.requests if r.method == "POST" and r.path.endswith(end)]

    def asked(self) -> Counter[str]:
        """How often each text was sent."""
        return Counter(text for request in self.posts() for text in request.texts)

    def next_act(self, sent: Sent) -> Act | None:
        """What the script wants done with a request."""
        with self.lock:
            if self.script:
                return self.script.popleft()
            for text in sent.texts:
                for part, acts in self.by_text.items():
                    if part in text and acts:
                        return acts.popleft()
        return None


@contextmanager
def serve() -> Iterator[Remote]:
    """A service that answers while the block runs."""
    remote = Remote()

    class Handler(_Handler):
        its = remote

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that was killed is no error here."""

    with Server(("127.0.0.1", 0), Handler) as server:
        remote.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield remote
        finally:
            remote.ended.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    its: Remote
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        """Say nothing."""

    def do_GET(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def _take(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"] or 0))
        sent = Sent(self.command, self.path, self.headers["Authorization"], content)
        with self.its.lock:
            self.its.requests.append(sent)
        if self.path == "/oauth2/token":
            self._give_token(sent)
            return
        act = self.its.next_act(sent) if self.command == "POST" else None
        if self.its.delay:
            self.its.ended.wait(self.its.delay)
        match act:
            case Hang():
                self.its.ended.wait(60)
                self.close_connection = True
            case Reset():
                self._reset()
            case Respond():
                self._send(act)
            case None:
                self._send(self._regular(sent))

    def _regular(self, sent: Sent) -> Respond:
        if self.its.token is not None and sent.token != f"Bearer {self.its.token}":
            return Respond(401, {"error": {"message": f"token {sent.token} is not known"}})
        if sent.path == "/v1/chat/completions":
            return self._chat(sent)
        if sent.path == "/v2/models/inference":
            return self._infer(sent)
        found = re.fullmatch(r"/v2/models/(\d+)", sent.path)
        if found and int(found[1]) in self.its.labels:
            labels = list(self.its.labels[int(found[1])])
            return Respond(200, {"model_id": int(found[1]), "labels": labels})
        return Respond(404, {"status": 404, "message": "no such model", "error_code": "not_found"})

    def _chat(self, sent: Sent) -> Respond:
        problems = chat_problems(sent.body)
        if problems:
            return Respond(400, {"error": {"message": "; ".join(problems)}})
        text = sent.texts[0]
        properties = schema_of(sent.body)["properties"]
        said = {key: self.its.say(text, key, schema) for key, schema in properties.items()}
        with self.its.lock:
            self.its.answered.update((text, key) for key in said)
        make = self.its.reply or (lambda content, _: completion(content))
        return Respond(200, make(json.dumps(said, ensure_ascii=False), sent))

    def _infer(self, sent: Sent) -> Respond:
        texts, settings = sent.body["texts"], sent.body["model_settings"]
        if not 1 <= len(texts) <= 8:
            return Respond(422, {"status": 422, "message": "1 to 8 texts", "error_code": "texts"})
        unknown = [s["model_id"] for s in settings if s["model_id"] not in self.its.labels]
        if unknown:
            message = f"there is no model {unknown[0]}"
            return Respond(404, {"status": 404, "message": message, "error_code": "not_found"})
        with self.its.lock:
            self.its.answered.update((text,) for text in texts)
        results = [
            {
                "model_id": setting["model_id"],
                "model_name": f"model {setting['model_id']}",
                "predictions": [self._predictions(text, setting) for text in texts],
            }
            for setting in settings
        ]
        return Respond(200, {"results": results})

    def _predictions(self, text: str, setting: Json) -> list[Json]:
        model = setting["model_id"]
        score = self.its.score or (
            lambda text, _, label: float(label.casefold() in text.casefold())
        )
        wanted = setting.get("label_filter")
        scored = [
            (label, score(text, model, label))
            for label in self.its.labels[model]
            if wanted is None or any(part in label for part in wanted)
        ]
        scored.sort(key=lambda pair: -pair[1])
        cut = scored[: setting.get("max_predictions")]
        return [{"label": label, self.its.score_key: value} for label, value in cut]

    def _give_token(self, sent: Sent) -> None:
        if not (sent.token or "").startswith("Basic "):
            self._send(Respond(401, {"error": "invalid_client"}))
            return
        with self.its.lock:
            token = f"token-{len(self.its.tokens_given) + 1}"
            self.its.tokens_given.append(token)
            self.its.token = token
        given = {"access_token": token, "token_type": "bearer", "expires_in": self.its.lifetime}
        self._send(Respond(200, given))

    def _reset(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"results": [')
        self.wfile.flush()
        linger = struct.pack("ii", 1, 0)  # closing it sends RST
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def _send(self, act: Respond) -> None:
        content = act.body if isinstance(act.body, bytes) else json.dumps(act.body).encode()
        self.send_response(act.status)
        for key, value in act.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def completion(
    content: str | None,
    *,
    finish_reason: str = "stop",
    refusal: str | None = None,
    tokens: list[Json] | None = None,
) -> Json:
    """A chat completion as OpenAI's API gives it."""
    return {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": refusal},
                "finish_reason": finish_reason,
                "logprobs": None if tokens is None else {"content": tokens, "refusal": None},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }


_STRICT = {"type", "enum", "properties", "required", "additionalProperties", "items"}
"""What strict mode is sure to take; it refuses uniqueItems, allOf, not, default and others."""


def chat_problems(body: Json) -> list[str]:
    """Why a request would be refused."""
    return list(_chat_problems(body))


def _chat_problems(body: Json) -> Iterator[str]:
    if not body.get("model"):
        yield "no model"
    if body.get("temperature") != 0:
        yield "temperature is not 0"
    if [message["role"] for message in body.get("messages", ())] != ["system", "user"]:
        yield "other messages than of system and user"
    form = body.get("response_format", {})
    if form.get("type") == "json_schema":
        described = form["json_schema"]
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", described.get("name", "")):
            yield "the schema's name"
        if described.get("strict") is not True:
            yield "not strict"
        yield from schema_problems(described.get("schema", {}), _STRICT)
    elif form.get("type") == "json_object":
        if "json" not in body["messages"][0]["content"].lower():
            yield "'messages' must contain the word 'json' in some form"
        yield from schema_problems(form.get("schema", {}), _STRICT | {"maxItems"})
    else:
        yield "response_format"


def schema_problems(schema: Json, keywords: set[str]) -> Iterator[str]:
    """What strict mode would refuse: the rules of OpenAI's guide to structured outputs."""
    if schema.get("type") != "object":
        yield "the root is no object"
    enums: list[str] = []
    names: list[str] = []

    def walk(node: Json, depth: int) -> Iterator[str]:
        strangers = set(node) - keywords
        if strangers:
            yield f"{sorted(strangers)} is not permitted"
        if depth > 10:
            yield "nested too deep"
        if node.get("type") == "object":
            if node.get("additionalProperties") is not False:
                yield "additionalProperties is not false"
            if sorted(node.get("required", ())) != sorted(node["properties"]):
                yield "not every property is required"
            names.extend(node["properties"])
            for its in node["properties"].values():
                yield from walk(its, depth + 1)
        elif node.get("type") == "array":
            yield from walk(node["items"], depth + 1)
        elif node.get("type") != "string":
            yield f"type {node.get('type')}"
        if "enum" in node:
            if len(set(node["enum"])) < len(node["enum"]):
                yield "an enum has a value twice"
            enums.extend(node["enum"])

    yield from walk(schema, 1)
    if not all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names):
        yield f"names of properties {names}"
    if len(enums) > 1000 or sum(map(len, (*enums, *names))) > 120_000:
        yield "too many values of enums"
