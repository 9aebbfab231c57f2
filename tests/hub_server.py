"""A small hub on loopback: what huggingface_hub asks of huggingface.co when it fetches files."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

LARGE = (".onnx", ".onnx_data", ".bin")
"""Suffixes of the files that stand in another place, which answers are redirected to."""


class Request(NamedTuple):
    """One that came in."""

    method: str
    path: str
    token: str | None
    host: str


@dataclass
class Hub:
    """Repositories, and the requests that came in.

    Attributes:
        endpoint: its address, for ``HF_ENDPOINT``.
        commits: of each repository, content of the files by commit.
        branches: of each repository, commits by branch or tag.
        refusals: of a repository, the status and error code that requests are answered with.
        requests: in their order.
    """

    endpoint: str = ""
    commits: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    branches: dict[str, dict[str, str]] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def push(self, name: str, folder: Path, more: Mapping[str, bytes] | None = None) -> str:
        """Make a commit of a folder, and of more files by their names, on main; its hash."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        } | dict(more or {})
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits.setdefault(name, {})[commit] = files
        self.branches.setdefault(name, {})["main"] = commit
        return commit

    def fetched(self) -> list[str]:
        """Names of the files whose content was asked for, in the order of the alphabet."""
        resolved = (r.path for r in self.requests if "/resolve/" in r.path)
        return sorted({path.split("/resolve/")[1].partition("/")[2] for path in resolved})


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub that answers while the block runs."""
    hub = Hub()

    class Handler(_Handler):
        its = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    its: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._respond()

    def do_GET(self) -> None:
        self._respond()

    def _respond(self) -> None:
        path = self.path.partition("?")[0]
        host = self.headers["Host"].partition(":")[0]
        request = Request(self.command, path, self.headers["Authorization"], host)
        self.its.requests.append(request)
        match path.strip("/").split("/"):
            case ["api", "models", owner, name, kind, revision]:
                self._tell(f"{owner}/{name}", kind, revision)
            case [owner, name, "resolve", revision, *file]:
                self._resolve(f"{owner}/{name}", revision, "/".join(file))
            case ["cdn", owner, name, commit, *file]:
                self._send(200, self.its.commits[f"{owner}/{name}"][commit]["/".join(file)])
            case _:
                self._send(404)

    def _commit(self, name: str, revision: str) -> str | None:
        """The commit, or None once the request is refused."""
        commits, branches = self.its.commits.get(name), self.its.branches.get(name, {})
        status, code = self.its.refusals.get(name, (0, ""))
        # The real one tells of a gated repository to everybody, and keeps its files.
        if status and not (code == "GatedRepo" and self.path.startswith("/api/")):
            self._send(status, headers={"X-Error-Code": code} if code else {})
        elif commits is None:
            self._send(404, headers={"X-Error-Code": "RepoNotFound"})
        elif (commit := branches.get(revision, revision)) in commits:
            return commit
        else:
            self._send(404, headers={"X-Error-Code": "RevisionNotFound"})
        return None

    def _tell(self, name: str, kind: str, revision: str) -> None:
        if (commit := self._commit(name, revision)) is None:
            return
        files = self.its.commits[name][commit]
        if kind == "revision":
            siblings = [{"rfilename": file} for file in files]
            self._send_json({"id": name, "sha": commit, "siblings": siblings})
        else:
            self._send_json([_described(file, content) for file, content in files.items()])

    def _resolve(self, name: str, revision: str, file: str) -> None:
        if (commit := self._commit(name, revision)) is None:
            return
        content = self.its.commits[name][commit].get(file)
        headers = {"X-Repo-Commit": commit}
        if content is None:
            self._send(404, headers=headers | {"X-Error-Code": "EntryNotFound"})
        elif file.endswith(LARGE):
            port = self.its.endpoint.rpartition(":")[2]
            moved = {
                "Location": f"http://localhost:{port}/cdn/{name}/{commit}/{file}",
                "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            }
            self._send(302, headers=headers | moved)
        else:
            self._send(200, content, headers | {"ETag": f'"{_described(file, content)["oid"]}"'})

    def _send_json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(
        self, status: int, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def _described(file: str, content: bytes) -> dict[str, Any]:
    """A file as the listing of a commit tells of it."""
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    told = {"type": "file", "path": file, "size": len(content), "oid": oid}
    if file.endswith(LARGE):
        sha256 = hashlib.sha256(content).hexdigest()
        told["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
    return told
