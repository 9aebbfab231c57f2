"""``labelf tune``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelf_cli.choices import Part
from labelf_cli.cli.options import (
    AsJson,
    Cache,
    ConfigFile,
    Delimiter,
    Encoding,
    Gold,
    GoldSeparator,
    InputFormat,
    LabelledTables,
    TextColumn,
    Threads,
)
from labelf_cli.errors import extra

if TYPE_CHECKING:
    from rich.table import Table

    from labelf_cli.jobs.tune import Tuned


def tune(
    inputs: LabelledTables,
    config: ConfigFile,
    gold: Gold,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where the copy of the config goes."),
    ],
    precision: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="For each label the lowest threshold over which that share of its answers is "
            "right; without, the one with the best F1.",
        ),
    ] = None,
    only: Annotated[
        Part | None, typer.Option(help="Tune that and leave the other; both if not given.")
    ] = None,
    text_column: TextColumn = None,
    gold_separator: GoldSeparator = ";",
    input_format: InputFormat = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    as_json: AsJson = False,
    cache: Cache = None,
    threads: Threads = None,
) -> None:
    """Find thresholds and a calibration temperature, and write them into a copy of the config.

    The figures before and after are of held-out folds. Where they do not become better, a part is
    kept as it was, and the command says so; what --precision asks for is always written.

    Example: labelf tune labelled.csv -c models.toml --gold product=product_gold -o tuned.toml
    """
    from labelf_cli.cli.console import print_json, show_progress
    from labelf_cli.cores import usable_cores
    from labelf_cli.gold import parse_gold

    with extra("train"):
        from labelf_cli.evaluation.labelled import LabelledTable
        from labelf_cli.jobs import tune as job

    settings = job.TuneSettings(
        table=LabelledTable(
            tuple(inputs),
            parse_gold(gold),
            tuple(text_column or ()),
            input_format,
            gold_separator,
            delimiter,
            encoding,
        ),
        config=config,
        output=output,
        threads=threads or usable_cores(),
        cache=cache,
        precision=precision,
        parts=tuple(Part) if only is None else (only,),
    )
    with show_progress(hidden=as_json) as progress:
        tuned = job.tune(settings, progress)
    if as_json:
        models = {one.name: one.as_json() for one in tuned}
        print_json({"models": models})
    else:
        _show(tuned, output)


def _show(tuned: "list[Tuned]", output: Path) -> None:
    from labelf_cli.cli.console import StdoutConsole

    console = StdoutConsole()
    for one in tuned:
        console.print(_table(one))
        for line in _lines(one):
            console.print(line, soft_wrap=True, markup=False)
    console.print(f"\nwritten: {output}", soft_wrap=True, markup=False)


def _table(one: "Tuned") -> "Table":
    from labelf_cli.cli.tables import figures_table
    from labelf_cli.evaluation.metrics import figure_names

    title = f"{one.name}, {one.before.rows:,} rows, on held-out folds"
    table = figures_table("", "before", "after", title=title)
    for key, name in figure_names().items():
        values = (getattr(its, key) for its in (one.before, one.after))
        table.add_row(name, *("-" if value is None else f"{value:.4f}" for value in values))
    return table


def _lines(one: "Tuned") -> list[str]:
    lines = list(one.remarks)
    if one.temperature is not None:
        lines.append(f"calibration_temperature = {one.temperature:g}")
    if one.thresholds:
        lowest, highest = min(one.thresholds.values()), max(one.thresholds.values())
        lines.append(f"{len(one.thresholds)} thresholds, from {lowest:g} to {highest:g}")
    return lines
