"""``labelf merge``."""

from pathlib import Path
from typing import Annotated

import typer


def merge(
    shards: Annotated[
        list[str],
        typer.Argument(metavar="SHARD...", help="Outputs of --shard, all of them; globs, URIs."),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where the whole table goes, a URI too."
        ),
    ],
    rejects: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="All rejected rows, a URI too; OUT.rejects.jsonl if not given."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the summary as JSON.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Join the outputs of labelf classify --shard to the bytes of an unsharded run.

    A shard that is missing, there twice, of another run, or not as it was written is named, and
    the exit code is 2.

    Example: labelf merge s*.parquet -o whole.parquet
    """
    from labelf_cli.cli.console import check_report, show_summary, write_report
    from labelf_cli.jobs import merge as job
    from labelf_cli.storage.location import Location

    if report:
        check_report(report)
    place = None if rejects is None else Location(rejects)
    settings = job.MergeSettings(tuple(shards), Location(output), place, report)
    summary = job.merge(settings)
    if report:
        write_report(report, summary)
    if not quiet:
        show_summary(summary)
    raise typer.Exit(3 if summary.statuses["failed"] or summary.rejected else 0)
