"""``labelf evaluate``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelf_cli.cli.options import (
    AsJson,
    Cache,
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
    from rich.console import Console
    from rich.table import Table

    from labelf_cli.jobs.evaluate import Evaluation

_SHOWN_LABELS = 12
_SHOWN_MISTAKES = 10


def evaluate(
    inputs: LabelledTables,
    gold: Gold,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="TOML file that lists the models; without one, INPUT is an output of labelf "
            "classify in the wide layout, and its answers are measured.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the figures as a page, too; one file."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the page.")] = None,
    text_column: TextColumn = None,
    gold_separator: GoldSeparator = ";",
    separator: Annotated[
        str, typer.Option(help="Between the parts of a column name of an output.")
    ] = ".",
    input_format: InputFormat = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples for the intervals; 0 for none.")
    ] = 1000,
    as_json: AsJson = False,
    cache: Cache = None,
    threads: Threads = None,
) -> None:
    """Measure models, or answers that are there already, against labels that people gave.

    What counts is the answer that labelf classify gives, thresholds and all: a row without one is
    wrong. Rows without a gold label are left out.

    Example: labelf evaluate labelled.csv --config models.toml --gold product=product_gold
    """
    from labelf_cli.cli.console import print_json, show_progress
    from labelf_cli.config_file import load_config
    from labelf_cli.cores import usable_cores
    from labelf_cli.gold import parse_gold

    with extra("train"):
        from labelf_cli.evaluation.labelled import LabelledTable
        from labelf_cli.jobs import evaluate as job

    columns = parse_gold(gold)
    settings = job.EvaluateSettings(
        table=LabelledTable(
            tuple(inputs),
            columns,
            tuple(text_column or ()),
            input_format,
            gold_separator,
            delimiter,
            encoding,
        ),
        config=load_config(config) if config else None,
        threads=threads or usable_cores(),
        cache=cache,
        separator=separator,
        resamples=resamples,
    )
    with _page(output, title, inputs[0]) as write_page:
        with show_progress(hidden=as_json) as progress:
            found = job.evaluate(settings, progress)
        write_page(found)
    if as_json:
        models = {one.name: one.as_json() for one in found}
        print_json({"models": models})
    else:
        _show(found)


@contextmanager
def _page(
    output: Path | None, title: str | None, source: str
) -> Iterator["Callable[[list[Evaluation]], None]"]:
    """What writes the page, if one is asked for; it is found out beforehand whether it can."""
    if output is None:
        yield lambda _: None
        return
    from labelf_cli.sinks.files import open_output, written_whole

    with extra("report"):
        from labelf_cli.pages.evaluation import evaluation_page
    with written_whole(open_output(output)) as write:
        yield lambda found: write(evaluation_page(found, source, title).encode())


def _show(found: "list[Evaluation]") -> None:
    from labelf_cli.cli.console import StdoutConsole

    console = StdoutConsole()
    for one in found:
        console.print(_summary(one))
        console.print(_per_label(one))
        if not one.multi_label:
            _show_mistakes(one, console)
        for line in _notes(one):
            console.print(line, soft_wrap=True, markup=False)


def _summary(one: "Evaluation") -> "Table":
    from labelf_cli.cli.tables import figures_table
    from labelf_cli.evaluation.metrics import figure_names

    figures = one.figures
    title = f"{one.name}, {figures.rows:,} rows"
    table = figures_table("", "figure", "95% interval", title=title)
    for key, name in figure_names(multi_label=one.multi_label).items():
        value = getattr(figures, key)
        low_high = figures.intervals.get(key)
        table.add_row(
            name,
            "-" if value is None else f"{value:.4f}",
            "" if low_high is None else f"{low_high[0]:.4f} to {low_high[1]:.4f}",
        )
    return table


def _per_label(one: "Evaluation") -> "Table":
    from rich.text import Text

    from labelf_cli.cli.tables import figures_table

    table = figures_table("label", "precision", "recall", "F1", "gold rows", "answered")
    for its in one.figures.per_label:
        shown = [f"{value:.3f}" for value in (its.precision, its.recall, its.f1)]
        table.add_row(Text(its.label), *shown, f"{its.support:,}", f"{its.answered:,}")
    return table


def _show_mistakes(one: "Evaluation", console: "Console") -> None:
    """The confusion matrix; of many labels, the commonest mistakes."""
    from rich.text import Text

    from labelf_cli.cli.tables import figures_table
    from labelf_cli.evaluation.metrics import mistakes

    labels = [its.label for its in one.figures.per_label]
    counts = one.figures.confusion
    if len(labels) <= _SHOWN_LABELS:
        table = figures_table("gold ↓ answer →", *labels)
        table.add_column("(none)")
        for label, row in zip(labels, counts.tolist(), strict=True):
            table.add_row(Text(label), *(f"{count:,}" if count else "·" for count in row))
    else:
        table = figures_table("gold", "answer", "rows", words=3)
        for its in mistakes(one.figures, _SHOWN_MISTAKES):
            table.add_row(Text(its.gold), Text(its.answer or "(none)"), f"{its.rows:,}")
    console.print(table)


def _notes(one: "Evaluation") -> list[str]:
    """What was left out, and what counts as wrong for another reason than a wrong answer."""
    notes = []
    if one.ungold:
        notes.append(f"{one.ungold:,} rows have no gold label and are left out.")
    if one.unanswered:
        notes.append(
            f"{one.unanswered:,} rows have no answer (failed, blank or not asked) and count as "
            "wrong."
        )
    if one.unknown:
        named = ", ".join(f"{label} ({rows:,} rows)" for label, rows in one.unknown.most_common())
        notes.append(f"Gold labels that the model can't give, and that count as wrong: {named}.")
    return notes
