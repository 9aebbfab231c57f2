"""What several commands share: options, and the extras that they need."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from labelf_cli.errors import UsageError

ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="TOML file that lists the models.")
]
TextColumn = Annotated[
    list[str] | None,
    typer.Option(
        "--text-column",
        metavar="NAME",
        help="Column with the text; give it again to join several by a newline.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Worker threads; all usable cores if not given."),
]
ModelNames = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="Only this model; give it again for more."),
]


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Imports inside the block come with an extra of the distribution.

    Raises:
        UsageError: one is missing; it names the line that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"this command needs {error.name}", todo=f"Run: pip install 'labelf-cli[{name}]'"
        ) from None
