"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from labelf_cli.formats import Format

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
_GOLD = typer.Option(
    "--gold",
    metavar="MODEL=COLUMN",
    help="Column with the labels that people gave, for a model; again for more models.",
)
Gold = Annotated[list[str], _GOLD]
GoldIfAny = Annotated[list[str] | None, _GOLD]
GoldSeparator = Annotated[
    str,
    typer.Option(
        help="Between several labels in one gold cell, where it is no JSON array; of models that "
        "give several."
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="SQLite file that keeps what models say, as of labelf classify."
    ),
]
Separator = Annotated[str, typer.Option(help="Between the parts of a column name.")]
InputFormat = Annotated[Format | None, typer.Option(help="Instead of what the suffix says.")]
Delimiter = Annotated[
    str | None, typer.Option(metavar="CHAR", help="Between the fields of a CSV input.")
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="Of CSV and JSON Lines inputs; else what a byte order mark says, else UTF-8."
    ),
]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="CSV inputs begin with data: column_1, column_2, …")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout instead of tables.")
]
LabelledTables = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help="Labelled tables; globs, or - for stdin."),
]
