"""``labelf train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelf_cli.choices import ClassWeight
from labelf_cli.cli.options import (
    Delimiter,
    Encoding,
    InputFormat,
    LabelledTables,
    TextColumn,
)
from labelf_cli.errors import UsageError, extra

if TYPE_CHECKING:
    from datetime import date

    from labelf_cli.training.card import Trained


def train(
    inputs: LabelledTables,
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
    input_format: InputFormat = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    folds: Annotated[
        int, typer.Option(min=0, help="Folds of the cross-validation; 0 for none.")
    ] = 5,
    holdout: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=0.5,
            metavar="SHARE",
            help="Figures from one held-out share of the texts, like 0.2, instead of folds.",
        ),
    ] = None,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="Several labels may hold for one text.")
    ] = False,
    label_separator: Annotated[
        str, typer.Option(help="Between several labels in one cell that is no JSON array.")
    ] = ";",
    class_weight: Annotated[
        ClassWeight, typer.Option(help="balanced: rare labels count as much as common ones.")
    ] = ClassWeight.NONE,
    min_examples: Annotated[
        int, typer.Option(min=1, help="Refuse labels with fewer different texts.")
    ] = 5,
) -> None:
    """Train small classifiers from a labelled table, in seconds and without torch.

    The models learn from all rows; figures are of others of their kind, on texts that they had not
    seen. The folder has a card, README.md, dated today or by SOURCE_DATE_EPOCH.

    Example: labelf train labelled.csv --label-column product -o models/product
    """
    today = _today()  # before scipy looks at the same variable
    with extra("train"):
        from labelf_cli.jobs import train as job

    settings = job.TrainSettings(
        inputs=tuple(inputs),
        label_columns=tuple(label_column),
        output=output,
        text_columns=tuple(text_column or ("text",)),
        format=input_format,
        delimiter=delimiter,
        encoding=encoding,
        folds=folds,
        encoder=encoder,
        holdout=holdout,
        multi_label=multi_label,
        label_separator=label_separator,
        class_weight=class_weight,
        min_examples=min_examples,
        date=today,
    )
    _show(job.train(settings))


def _today() -> "date":
    """The date in UTC, or what stands in its place for builds that are to be reproducible.

    See https://reproducible-builds.org/specs/source-date-epoch/.

    Raises:
        UsageError: the environment gives no time.
    """
    import os
    from datetime import UTC, datetime

    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        return datetime.now(UTC).date()
    try:
        return datetime.fromtimestamp(int(given), UTC).date()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"'{given}' is no number of seconds", where="SOURCE_DATE_EPOCH", todo="Correct it"
        ) from None


def _show(models: "list[Trained]") -> None:
    from rich.text import Text

    from labelf_cli.cli.console import StdoutConsole
    from labelf_cli.cli.tables import figures_table

    table = figures_table("model", "rows", "labels", "accuracy", "macro F1")
    for model in models:
        figures = [f"{f:.3f}" if f is not None else "-" for f in (model.accuracy, model.macro_f1)]
        table.add_row(Text(str(model.path)), f"{model.rows:,}", str(len(model.labels)), *figures)
    console = StdoutConsole()
    console.print(table)
    if not any(model.folds for model in models):
        return
    how = "of one held-out part" if models[0].folds == 1 else "cross-validated"
    console.print(
        f"Accuracy and macro F1 are {how}: on texts that the model had not seen. "
        "README.md in the folder tells more."
    )
