"""A Ray cluster that a run connects to, or that it starts for itself."""

import logging
import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from labelf_cli.errors import RunError, UsageError, extra

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 10

_CHECK_ADDRESS = "Check the address, and set RAY_AUTH_MODE=token if the cluster asks for a token"

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_LOG_LEVEL": "ERROR"}
"""Ray sends no statistics, and says only what went wrong."""


def _own_token() -> dict[str, str]:
    """Variables by which a cluster that listens on all interfaces obeys this run alone.

    See Ray's documentation on token authentication.
    """
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """A connection to the cluster, unless there is one already."""
    # By itself Ray would join whatever cluster began last on this machine.
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    environment = _QUIET | (_own_token() if address == "local" else {})
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.ERROR)
    with extra("ray", "--engine ray"):
        import ray.data  # noqa: PLC0415  # it takes seconds
    if ray.is_initialized():
        yield
        return
    try:
        _require_answer(address)
        with _signals_stay():
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"no cluster answers ({error})", where="--ray-address", todo=_CHECK_ADDRESS
        ) from None
    try:
        yield
    except ray.exceptions.RayError as error:
        raise RunError(
            f"the cluster failed ({error})", where="--engine ray", todo="Run the same command again"
        ) from error
    finally:
        ray.shutdown()


@contextmanager
def _signals_stay() -> Iterator[None]:
    """Let SIGTERM do afterwards what it did before: Ray makes it an exit with code 15."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:  # of Ray's handler, or of ours
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _require_answer(address: str) -> None:
    """Find out whether a host listens, for which Ray would wait many minutes.

    Raises:
        OSError: it does not.
    """
    found = re.fullmatch(r"(?:ray://)?([^:/]+):([0-9]+)", address)
    if found:
        socket.create_connection((found[1], int(found[2])), _ANSWER_SECONDS).close()


def actors_of(threads: int) -> int:
    """How many actors of so many threads the nodes have room for.

    Raises:
        UsageError: none of them has room for one, for which Ray would wait for ever.
    """
    import ray  # noqa: PLC0415

    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    most = max(cores, default=0)
    if not most:  # a cluster that grows when it is asked may have none yet
        _log.warning("no node of the cluster has a core: waiting for one")
    elif most < threads:
        raise UsageError(
            f"no node of the cluster has as many cores, but {most} at most",
            where=f"--threads {threads}",
            todo="Choose fewer",
        )
    return max(sum(its // threads for its in cores), 1)
