"""The engine that a command asks for."""

from collections.abc import Callable

from labelf_cli.engines.ray import RayEngine
from labelf_cli.errors import UsageError
from labelf_cli.formats import Engine
from labelf_cli.run import Progress, run
from labelf_cli.run_settings import RunSettings
from labelf_cli.summary import Summary

Run = Callable[[RunSettings, Callable[[Progress], None]], Summary]


def engine_run(engine: Engine, address: str | None) -> Run:
    """What runs on an engine.

    Raises:
        UsageError: an address is given, but not for Ray.
    """
    if engine is Engine.RAY:
        return RayEngine(address).run
    if address is not None:
        raise UsageError("it is for --engine ray", where="--ray-address", todo="Leave it out")
    return run
