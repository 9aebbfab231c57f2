"""The server's life: load, bind, serve, and finish what was accepted."""

import ipaddress
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import uvicorn

from labelf_cli.errors import UsageError
from labelf_cli.labeller import Labeller
from labelf_cli.server.app import Api
from labelf_cli.server.inference import Inference, require_servable, without_conditions
from labelf_cli.server.protocol import BoundedProtocol
from labelf_cli.server.settings import Limits, ServeSettings
from labelf_cli.server.tokens import require_safe

_log = logging.getLogger(__name__)

_LONGEST_HEAD = 16 << 10
_BACKLOG = 1024
_IDLE_SECONDS = 15
"""Until a connection without a request is closed."""


class _Uvicorn(uvicorn.Server):
    """uvicorn without its handlers of signals: they are the command's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """See ``uvicorn.Server``."""
        yield


class Server:
    """A server whose models are loaded and whose port is bound.

    Attributes:
        addresses: where it listens, as URLs.
    """

    def __init__(self, api: Api, sockets: Sequence[socket.socket], limits: Limits) -> None:
        self._api, self._sockets = api, list(sockets)
        self.addresses = tuple(map(_url, sockets))
        config = uvicorn.Config(
            api.app,
            http=BoundedProtocol.within(limits),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=limits.grace_seconds,  # type: ignore[arg-type]
            h11_max_incomplete_event_size=_LONGEST_HEAD,
        )
        self._uvicorn = _Uvicorn(config)

    def run(self) -> bool:
        """Serve until ``stop`` is called; whether all that was accepted has been answered."""
        _log.info("serving at %s", " and ".join(self.addresses))
        self._uvicorn.run(self._sockets)
        cut = self._api.access.cut
        if cut:
            _log.warning("%d requests were not answered in time", cut)
        return not cut

    def stop(self) -> None:
        """Accept nothing more, and end once all is answered; may be called by a signal."""
        self._api.stopping = True
        self._uvicorn.should_exit = True


@contextmanager
def open_server(settings: ServeSettings) -> Iterator[Server]:
    """Load the models, then bind the port.

    Raises:
        UsageError: a model can't be used, it would be open to all, or the port is not to be had.
    """
    addresses = _resolve(settings.host, settings.port)
    require_safe((address[0] for _, address in addresses), settings.tokens)
    with open_api(settings) as api, ExitStack() as bound:
        sockets = [bound.enter_context(_bind(*address)) for address in addresses]
        yield Server(api, sockets, settings.limits)


@contextmanager
def open_api(settings: ServeSettings) -> Iterator[Api]:
    """Load the models.

    Raises:
        UsageError: one can't be used, or has no id.
    """
    config = without_conditions(settings.config).only(settings.models)
    require_servable(config)
    with Labeller.open(config, settings.threads) as labeller:
        inference = Inference(labeller.load(), config, settings.limits)
        yield Api(inference, settings.limits, settings.tokens)
        labeller.stop()  # what nobody waits for any longer


Address = tuple[str, int]


def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, Address]]:
    """All addresses of a name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UsageError(f"is no address ({error.strerror})", where=f"--host {host}") from None
    return list(dict.fromkeys((family, (str(a[0]), int(a[1]))) for family, _, _, _, a in found))


def _bind(family: socket.AddressFamily, address: Address) -> socket.socket:
    try:
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except OSError as error:
        raise UsageError(
            f"can't be listened at ({os.strerror(error.errno or 0)})",
            where=f"{address[0]} port {address[1]}",
            todo="Choose another --port or --host",
        ) from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    is_v6 = ipaddress.ip_address(host.partition("%")[0]).version == 6
    return f"http://[{host}]:{port}" if is_v6 else f"http://{host}:{port}"
