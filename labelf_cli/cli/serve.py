"""``labelf serve``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from labelf_cli.cli.logs import LogFormat, log_requests
from labelf_cli.cli.options import ConfigFile, ModelNames, Threads


def serve(
    config: ConfigFile,
    host: Annotated[
        str, typer.Option(help="Address to listen at; beyond this machine it takes a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen at; 0 for any that is free.")
    ] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Bearer tokens that are accepted, one a line, beside that in LABELF_API_TOKEN.",
        ),
    ] = None,
    model: ModelNames = None,
    threads: Threads = None,
    max_texts: Annotated[int, typer.Option(min=1, help="Most texts in a request.")] = 8,
    max_characters: Annotated[
        int, typer.Option(min=1, help="Most characters in a text.")
    ] = 100_000,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Most texts that wait for an answer; more is status 429.")
    ] = 256,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds for an answer; more is status 504.")
    ] = 30.0,
    grace: Annotated[
        float, typer.Option(min=0.0, help="Seconds to finish what was accepted, after a signal.")
    ] = 30.0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Log warnings and errors only.")
    ] = False,
    log_format: Annotated[
        LogFormat, typer.Option(help="Of the log on stderr, which has a line for each request.")
    ] = LogFormat.TEXT,
) -> None:
    """Answer requests over HTTP by the models of a config, and show a page to try them.

    Ends in order on SIGTERM or SIGINT, with exit code 0 if all that was accepted is answered.

    Example: labelf serve --config models.toml
    """
    from labelf_cli.cli.signals import signals_call
    from labelf_cli.config_file import load_config
    from labelf_cli.cores import usable_cores
    from labelf_cli.errors import extra

    log_requests(log_format, quiet=quiet)
    with extra("serve"):
        from labelf_cli.server.serving import open_server
    from labelf_cli.server.settings import Limits, ServeSettings
    from labelf_cli.server.tokens import TOKEN_VARIABLE, read_tokens

    settings = ServeSettings(
        config=load_config(config),
        models=tuple(model or ()),
        threads=threads or usable_cores(),
        host=host,
        port=port,
        tokens=read_tokens(os.environ.get(TOKEN_VARIABLE, ""), token_file),
        limits=Limits(
            texts=max_texts,
            characters=max_characters,
            waiting=max_waiting,
            answer_seconds=timeout,
            grace_seconds=grace,
        ),
    )
    with open_server(settings) as server, signals_call(server.stop):
        is_finished = server.run()
    raise typer.Exit(0 if is_finished else 1)
