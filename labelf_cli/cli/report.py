"""``labelf report``."""

from pathlib import Path
from typing import Annotated

import typer

from labelf_cli.cli.options import (
    GoldIfAny,
    GoldSeparator,
    InputFormat,
    ModelNames,
    Separator,
    TextColumn,
)
from labelf_cli.errors import extra


def report(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="OUTPUT...", help="Outputs of labelf classify; globs, or - for stdin."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where the page goes; else stdout."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="An output of an earlier run, to tell what drifted."),
    ] = None,
    gold: GoldIfAny = None,
    gold_separator: GoldSeparator = ";",
    run: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What labelf classify --report wrote, for timings."),
    ] = None,
    model: ModelNames = None,
    text_column: TextColumn = None,
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Column that is shown with a row; again for more."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the page.")] = None,
    shown: Annotated[int, typer.Option(min=0, help="Most rows in a list.")] = 100,
    separator: Separator = ".",
    input_format: InputFormat = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Show an output as a page: what came out, what drifted, and which rows to look at by hand.

    The page is one file that works offline. Outputs are in the wide layout, or, in Parquet, in the
    nested one. Each is read once; memory does not grow with its rows.

    Example: labelf report labelled.parquet --baseline monday.parquet -o report.html
    """
    from labelf_cli.cli.console import show_progress
    from labelf_cli.gold import parse_gold
    from labelf_cli.jobs import report as job
    from labelf_cli.outputs.rows import OutputTable
    from labelf_cli.sinks.files import open_output, written_whole

    with extra("report"):
        from labelf_cli.pages.report import report_page

    table = OutputTable(
        tuple(inputs), tuple(model or ()), tuple(text_column or ()), input_format, separator
    )
    settings = job.ReportSettings(
        table=table,
        baseline=table.earlier(baseline) if baseline else None,
        gold=parse_gold(gold or ()),
        gold_separator=gold_separator,
        keys=tuple(key or ()),
        run=run,
        shown=shown,
    )
    with (
        written_whole(open_output(output)) as write,
        show_progress(hidden=quiet, doing="reading") as progress,
    ):
        write(report_page(job.report(settings, progress), title).encode())
