"""``labelf bench``."""

from typing import TYPE_CHECKING, Annotated

import typer

from labelf_cli.cli.options import (
    ConfigFile,
    Delimiter,
    Encoding,
    InputFormat,
    ModelNames,
    TextColumn,
    Threads,
)

if TYPE_CHECKING:
    from rich.console import Console

    from labelf_cli.jobs.bench import Bench


def bench(
    config: ConfigFile,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="FILE", help="Your own texts; without, made-up ones."),
    ] = None,
    text_column: TextColumn = None,
    model: ModelNames = None,
    input_format: InputFormat = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    threads: Threads = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="About how long one measurement takes.")
    ] = 3.0,
) -> None:
    """Measure a config on this machine: speed, where the time goes, what would change it.

    Example: labelf bench --config models.toml --input calls.csv
    """
    from labelf_cli.cli.console import StdoutConsole, show_doing
    from labelf_cli.config_file import load_config
    from labelf_cli.cores import usable_cores
    from labelf_cli.jobs import bench as job

    settings = job.BenchSettings(
        config=load_config(config).only(tuple(model or ())),
        inputs=tuple(inputs or ()),
        threads=threads or usable_cores(),
        text_columns=tuple(text_column or ()),
        format=input_format,
        delimiter=delimiter,
        encoding=encoding,
        seconds=seconds,
    )
    with show_doing() as progress:
        measured = job.bench(settings, lambda what: progress(f"measuring {what}"))
    _show(measured, settings.threads, StdoutConsole())


def _show(bench: "Bench", threads: int, console: "Console") -> None:
    summary, spent, seconds = bench.summary, bench.summary.spent, bench.seconds
    console.print(
        f"{summary.rows:,} rows in {seconds:.2f} s on {threads} threads, loading aside "
        f"({summary.loading:.1f} s)"
    )
    for name, count in (
        ("rows", summary.rows),
        ("distinct texts", spent.texts - spent.recalled),
        ("tokens", spent.tokens),
    ):
        console.print(f"{count / seconds:12,.0f} {name}/s")
    console.print(f"{spent.padding_share:12.1%} of what went through models was padding")
    console.print("\nprocessor time")
    total = sum(spent.parts.values())
    for part, its in spent.parts.items():
        console.print(f"{its / total if total else 0:12.1%} {part}")
    for name, ratios in (("--threads", bench.threads), ("token_budget", bench.budgets)):
        console.print(f"\nspeed with another {name}")
        for value, ratio in ratios.items():
            console.print(f"{value:12,} {ratio:.2f} times")
