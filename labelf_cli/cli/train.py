"""``labelf train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelf_cli.cli.options import TextColumn
from labelf_cli.errors import extra
from labelf_cli.formats import Format

if TYPE_CHECKING:
    from labelf_cli.jobs.train import Trained


def train(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Labelled tables; globs, or - for stdin."),
    ],
    label_column: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="Column with the labels; again for more models."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="The model's folder; with several label columns, one folder each under it.",
        ),
    ],
    encoder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Frozen sentence encoder whose embeddings the models are heads over; "
            "without one, a bag of subwords.",
        ),
    ] = None,
    text_column: TextColumn = None,
    input_format: Annotated[
        Format | None, typer.Option(help="Instead of what the suffix says.")
    ] = None,
    folds: Annotated[
        int, typer.Option(min=0, help="Folds of the cross-validation; 0 for none.")
    ] = 5,
) -> None:
    """Train small classifiers from a labelled table, in seconds and without torch.

    Example: labelf train labelled.csv --label-column product -o models/product
    """
    with extra("train"):
        from labelf_cli.jobs import train as job

    settings = job.TrainSettings(
        inputs=tuple(inputs),
        label_columns=tuple(label_column),
        output=output,
        text_columns=tuple(text_column or ("text",)),
        format=input_format,
        folds=folds,
        encoder=encoder,
    )
    _show(job.train(settings))


def _show(models: "list[Trained]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD)
    for heading in ("model", "rows", "labels", "accuracy", "macro F1"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for model in models:
        figures = [f"{f:.3f}" if f is not None else "-" for f in (model.accuracy, model.macro_f1)]
        table.add_row(Text(str(model.path)), f"{model.rows:,}", str(len(model.labels)), *figures)
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "Accuracy and macro F1 are cross-validated: on texts that the model had not seen."
    )
