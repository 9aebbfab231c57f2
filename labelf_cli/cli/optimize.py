"""``labelf optimize``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelf_cli.cli.options import (
    Delimiter,
    Encoding,
    InputFormat,
    TextColumn,
)
from labelf_cli.errors import extra
from labelf_cli.graphs.precision import Precision

if TYPE_CHECKING:
    from labelf_cli.jobs.optimize import Optimized


def optimize(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder or .onnx file.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The new model's folder."),
    ],
    precision: Annotated[
        Precision, typer.Option(help="fp32 leaves the numbers as they are.")
    ] = Precision.INT8,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Your own texts, to compare answers on; without, speed is measured on made-up "
            "ones. Again for more.",
        ),
    ] = None,
    text_column: TextColumn = None,
    input_format: InputFormat = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    limit: Annotated[int, typer.Option(min=1, help="Take only the first texts of them.")] = 2000,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Least share of equal labels, like 0.98; below it, make nothing."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.01, help="About how long one measurement takes.")
    ] = 2.0,
) -> None:
    """Make a model faster, and tell how far its answers stay the same.

    Example: labelf optimize models/mood -o models/mood-int8 --input calls.csv --min-agreement 0.98
    """
    from labelf_cli.cli.console import show_doing
    from labelf_cli.cores import usable_cores

    with extra("train"):
        from labelf_cli.jobs import optimize as job

    settings = job.OptimizeSettings(
        model=model,
        output=output,
        threads=usable_cores(),
        precision=precision,
        inputs=tuple(inputs or ()),
        text_columns=tuple(text_column or ("text",)),
        format=input_format,
        delimiter=delimiter,
        encoding=encoding,
        limit=limit,
        min_agreement=min_agreement,
        seconds=seconds,
    )
    with show_doing() as progress:
        optimized = job.optimize(settings, progress)
    _show(optimized)


def _show(optimized: "Optimized") -> None:
    from rich.text import Text

    from labelf_cli.cli.console import StdoutConsole
    from labelf_cli.cli.tables import facts_table

    before, after = optimized.bytes_before, optimized.bytes_after
    batching, rule = optimized.batching
    tuning = optimized.tuning
    off = ", ".join(tuning.disabled_optimizers) or "none"
    rows = {
        "size": f"{after / 1e6:.1f} MB, {after / before:.2f} of {before / 1e6:.1f} MB",
        "speed": f"{optimized.speed:.2f} times, on {optimized.texts:,} texts",
        "runs in": f"{batching.value} ({rule})",
        "settings": f"token budget {tuning.token_budget:,}; fusions switched off: {off}; "
        f"{len(optimized.trials)} others tried",
    }
    if (agreement := optimized.agreement) is not None:
        rows["equal labels"] = f"{agreement.share:.4f} of {agreement.texts:,} texts"
        rows["score change"] = f"{agreement.largest_change:.3g} at most"
    console = StdoutConsole()
    facts = {name: Text(value) for name, value in rows.items()}
    console.print(facts_table(str(optimized.path), facts))
    if agreement is None:
        console.print(
            "Speed was measured on made-up texts; whether the labels stay the same was not "
            "measured. Give your own texts with --input."
        )
