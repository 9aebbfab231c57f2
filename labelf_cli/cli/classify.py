"""``labelf classify``."""

from pathlib import Path
from typing import Annotated

import typer

from labelf_cli.cli.logs import LogFormat, log_to_stderr
from labelf_cli.cli.options import (
    ConfigFile,
    Delimiter,
    Encoding,
    InputFormat,
    ModelNames,
    NoHeader,
    TextColumn,
    Threads,
)
from labelf_cli.formats import Engine, Format, Layout
from labelf_cli.shard import Shard
from labelf_cli.sources.rejects import BadRowPolicy, MaxRejects


def classify(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, folders, globs, URIs such as s3://bucket/calls/*.csv, or - for stdin.",
        ),
    ],
    config: ConfigFile,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the table goes; DIR/ is a folder of Parquet files. URIs too; else stdout.",
        ),
    ] = None,
    text_column: TextColumn = None,
    model: ModelNames = None,
    layout: Annotated[
        Layout, typer.Option(help="How answers stand beside the input's columns.")
    ] = Layout.WIDE,
    separator: Annotated[
        str, typer.Option(help="Between the parts of a column name; _ suits warehouses.")
    ] = ".",
    input_format: InputFormat = None,
    output_format: Annotated[
        Format | None, typer.Option(help="Instead of what the suffix says.")
    ] = None,
    partition_by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="For -o DIR/: a column that folders NAME=value tell; again for folders in these.",
        ),
    ] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    threads: Threads = None,
    chunk_rows: Annotated[
        int | None, typer.Option(min=1, help="Most rows that are classified together.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Stop after so many rows.")] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="SQLite file that keeps what models say of a text, for this run and others. "
            "Labels, filters, thresholds and activation may change; the model's files may not.",
        ),
    ] = None,
    max_requests: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Most requests to services, repeated ones included. The run ends when they are "
            "used up; the same command goes on from there, with as many again.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Answer only every Nth unit of 4,096 rows or 4 MiB, from the Kth on; "
            "labelf merge joins the outputs of all N.",
        ),
    ] = None,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Throw away what an unfinished run of other settings has left."
        ),
    ] = False,
    bad_rows: Annotated[
        BadRowPolicy,
        typer.Option(
            help="A row that can't be read ends the run, or goes to the file of rejects. "
            "JSON objects with new keys or values of another type are not bad: "
            "what does not fit the columns goes to a column labelf.rest."
        ),
    ] = BadRowPolicy.FAIL,
    max_rejects: Annotated[
        str | None,
        typer.Option(metavar="N|P%", help="More rejects than that end the run."),
    ] = None,
    rejects: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="JSON Lines of file, line, offset, reason and bytes of each rejected row, a URI "
            "too; OUT.rejects.jsonl if not given.",
        ),
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="Where texts are classified: here, or on a Ray cluster.")
    ] = Engine.LOCAL,
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of the cluster for --engine ray; else RAY_ADDRESS, or one on this machine.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the summary as JSON.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what is done.")] = False,
    log_format: Annotated[
        LogFormat, typer.Option(help="Of messages, errors and the summary on stderr.")
    ] = LogFormat.TEXT,
) -> None:
    """Read a table, classify its texts with every model of the config, write it back.

    A run that was broken off goes on when the same command is given again, unless it reads stdin or
    writes to stdout.

    Example: labelf classify calls.csv --config models.toml -o labelled.parquet
    """
    from labelf_cli.cli.console import (
        check_report,
        show_progress,
        show_summary,
        show_that_nothing_was_usable,
        write_report,
    )
    from labelf_cli.config_file import load_config
    from labelf_cli.cores import usable_cores
    from labelf_cli.engines.choose import engine_run
    from labelf_cli.run_settings import CHUNK_ROWS, RunSettings
    from labelf_cli.storage.location import Location

    log_to_stderr(log_format, verbose)
    if report:
        check_report(report)
    settings = RunSettings(
        config=load_config(config).only(tuple(model or ())),
        inputs=tuple(inputs),
        output=None if output is None else Location(output),
        text_columns=tuple(text_column or ()),
        input_format=input_format,
        output_format=output_format,
        partition_by=tuple(partition_by or ()),
        delimiter=delimiter,
        encoding=encoding,
        header=not no_header,
        layout=layout,
        separator=separator,
        threads=threads or (usable_cores() if engine is Engine.LOCAL else 1),
        chunk_rows=chunk_rows or CHUNK_ROWS,
        limit=limit,
        cache=cache,
        max_requests=max_requests,
        restart=restart,
        shard=None if shard is None else Shard.parse(shard),
        bad_rows=bad_rows,
        max_rejects=None if max_rejects is None else MaxRejects.parse(max_rejects),
        rejects=None if rejects is None else Location(rejects),
        report=report,
    )
    with show_progress(hidden=quiet or log_format is LogFormat.JSON) as progress:
        summary = engine_run(engine, ray_address)(settings, progress)
    if report:
        write_report(report, summary)
    if not quiet:
        show_summary(summary, log_format)
    if summary.rejected and not summary.rows:
        show_that_nothing_was_usable(summary, settings.rejects_file)
    raise typer.Exit(3 if summary.statuses["failed"] or summary.rejected else 0)
