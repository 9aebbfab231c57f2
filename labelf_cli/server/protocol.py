"""Connections within bounds: heads that come in too slowly, and too many connections at once.

uvicorn has a time limit for connections that are idle between two requests, and none for those
that send the head of a request byte by byte.
"""

import asyncio
import socket
import uuid

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from labelf_cli.server.problems import Code, RequestError, error_reply
from labelf_cli.server.settings import Limits


class BoundedProtocol(H11Protocol):
    """A connection that has to send the head of its request in time.

    Where there are too many, the one that has been waited for longest makes room for a new one, so
    that slow senders stop each other and nobody else.
    """

    limits = Limits()
    _slow: "dict[BoundedProtocol, asyncio.TimerHandle]"

    @classmethod
    def within(cls, limits: Limits) -> type["BoundedProtocol"]:
        """The protocol of a server with these bounds."""
        return type("Bounded", (cls,), {"limits": limits, "_slow": {}})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        # Head and body of a reply are two packets; without this the second waits for the client's
        # acknowledgement of the first, 40 ms on Linux. asyncio sets it only on sockets whose
        # protocol is named, as that of socket.create_server is not.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > self.limits.connections:
            slowest = next(iter(self._slow), self)
            slowest._give_up()
        if not transport.is_closing():
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._have_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._expect_head()
        super().data_received(data)
        if self.cycle is not cycle:
            self._have_head()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as all errors are answered."""
        request_id = uuid.uuid4().hex
        reply = error_reply(RequestError(Code.BAD_REQUEST, msg), request_id)
        added = [(b"x-request-id", request_id.encode()), (b"connection", b"close")]
        headers = [*reply.raw_headers, *added]
        for event in (
            h11.Response(status_code=reply.status_code, headers=headers),
            h11.Data(data=bytes(reply.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _expect_head(self) -> None:
        """Let the time for the head run, unless it runs."""
        if self not in self._slow:
            timer = self.loop.call_later(self.limits.head_seconds, self._give_up)
            self._slow[self] = timer

    def _have_head(self) -> None:
        timer = self._slow.pop(self, None)
        if timer is not None:
            timer.cancel()

    def _give_up(self) -> None:
        self._have_head()
        self.transport.abort()
