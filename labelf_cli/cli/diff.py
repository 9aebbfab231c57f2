"""``labelf diff``."""

from typing import TYPE_CHECKING, Annotated

import typer

from labelf_cli.cli.options import AsJson, ModelNames, Separator
from labelf_cli.formats import Format

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from labelf_cli.jobs.diff import Diff, ModelDiff, RowMove

_SHOWN_TEXT = 120


def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="An output of labelf classify.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="Another one.")],
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Column that tells which rows belong together; again for more. Without, their "
            "position tells.",
        ),
    ] = None,
    model: ModelNames = None,
    text_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column whose text is shown with a row.")
    ] = None,
    max_changed: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Exit code 1 if a model's labels changed for a larger share of rows."
        ),
    ] = None,
    shown: Annotated[
        int, typer.Option(min=0, help="Most moves, rows and keys that are listed.")
    ] = 10,
    separator: Separator = ".",
    input_format: Annotated[
        Format | None, typer.Option(help="Of both, instead of what the suffixes say.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two outputs, of two runs or of two versions of a model: which labels changed.

    Both are in the wide layout, of whatever format. Memory holds their keys, labels and scores.

    Example: labelf diff monday.parquet tuesday.parquet --key id --text-column text
    """
    from labelf_cli.cli.console import StdoutConsole, print_json
    from labelf_cli.jobs import diff as job

    settings = job.DiffSettings(
        before=before,
        after=after,
        keys=tuple(key or ()),
        models=tuple(model or ()),
        text_column=text_column,
        format=input_format,
        separator=separator,
        shown=shown,
    )
    found = job.diff(settings)
    if as_json:
        print_json(found.as_json())
    else:
        _show(found, StdoutConsole())
    if max_changed is not None:
        found.require(max_changed)


def _show(found: "Diff", console: "Console") -> None:
    lines = [f"{found.rows:,} rows in both"]
    for count, keys, where in (
        (found.only_before, found.keys_only_before, "before"),
        (found.only_after, found.keys_only_after, "after"),
    ):
        if count:
            some = "; ".join(", ".join(key) for key in keys)
            lines.append(f"{count:,} rows only {where}: {some}")
    if found.models_in_one:
        lines.append(f"models in one alone: {', '.join(found.models_in_one)}")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
    console.print(_shares(found))
    for model in found.models:
        if model.moves:
            console.print(_moves(model))
        _show_rows(f"{model.name}, rows whose label changed", model.examples, console)
        more = tuple(row for row in model.largest if row not in model.examples)
        _show_rows(f"{model.name}, more rows whose score changed", more, console)


def _shares(found: "Diff") -> "Table":
    from rich.text import Text

    from labelf_cli.cli.tables import figures_table

    table = figures_table("model", "changed", "rows", "score change", "at most")
    for model in found.models:
        changes = f"{model.mean_change:.4f}", f"{model.largest_change:.4f}"
        table.add_row(Text(model.name), f"{model.share:.2%}", f"{model.changed:,}", *changes)
    return table


def _moves(model: "ModelDiff") -> "Table":
    from rich.text import Text

    from labelf_cli.cli.tables import figures_table

    table = figures_table("before", "after", "rows", words=2, title=f"{model.name}, moves")
    for move in model.moves:
        table.add_row(Text(move.before or "-"), Text(move.after or "-"), f"{move.rows:,}")
    return table


def _show_rows(title: str, rows: "tuple[RowMove, ...]", console: "Console") -> None:
    """A line for each row: where it stands, its labels, the score that changed most, its text."""
    if not rows:
        return
    console.print(f"\n{title}", soft_wrap=True, markup=False)
    for row in rows:
        where = ", ".join(row.key) or f"row {row.row:,}"
        label = "score" if row.label is None else row.label
        scores = " → ".join(
            "-" if score is None else f"{score:.3f}"
            for score in (row.score_before, row.score_after)
        )
        labels = f"{row.before or '-'} → {row.after or '-'}"
        text = "" if row.text is None else f": {' '.join(row.text.split())[:_SHOWN_TEXT]}"
        console.print(
            f"  {where}  {labels}  ({label} {scores}){text}", soft_wrap=True, markup=False
        )
