"""``labelf check``."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from labelf_cli.cli.options import (
    ConfigFile,
    Delimiter,
    Encoding,
    InputFormat,
    ModelNames,
    NoHeader,
    Separator,
    TextColumn,
    Threads,
)
from labelf_cli.formats import Layout

if TYPE_CHECKING:
    from rich.console import Console

    from labelf_cli.jobs.check import Check, Facts


def check(
    config: ConfigFile,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT]...", help="What is to be classified; files or globs."),
    ] = None,
    text_column: TextColumn = None,
    model: ModelNames = None,
    input_format: InputFormat = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    layout: Annotated[Layout, typer.Option(help="Of the output that is meant.")] = Layout.WIDE,
    separator: Separator = ".",
    threads: Threads = None,
) -> None:
    """Tell before a run what it would do: models, a probe text through each, columns, advice.

    Exit code 2 if it would fail; every reason is told. Each model of a service is sent the probe
    text, which may cost one request.

    Example: labelf check --config models.toml calls.csv
    """
    from labelf_cli.cli.console import StdoutConsole
    from labelf_cli.cli.logs import say
    from labelf_cli.config_file import load_config
    from labelf_cli.cores import usable_cores
    from labelf_cli.jobs import check as job

    settings = job.CheckSettings(
        config=load_config(config).only(tuple(model or ())),
        threads=threads or usable_cores(),
        inputs=tuple(inputs or ()),
        text_columns=tuple(text_column or ()),
        format=input_format,
        delimiter=delimiter,
        encoding=encoding,
        header=not no_header,
        layout=layout,
        separator=separator,
    )
    found = job.check(settings)
    _show(found, settings.threads, StdoutConsole())
    for fault in found.faults:
        say(fault)
    raise typer.Exit(2 if found.faults else 0)


def _show(check: "Check", threads: int, console: "Console") -> None:
    users = Counter(facts.tokenizer for facts in check.facts)
    lines = [_line(facts, users[facts.tokenizer]) for facts in check.facts]
    if not check.faults:
        runs = "; ".join(", ".join(names) for names in check.runs)
        if check.runs:
            lines.append(f"{len(check.runs)} graphs on {threads} threads: {runs}")
        if check.requests:
            asked = "; ".join(", ".join(names) for names in check.requests)
            lines.append(f"{len(check.requests)} requests to services a text or chunk: {asked}")
        lines.append(f"columns: {', '.join(check.columns)}")
    if sent := sum(facts.requests for facts in check.facts):
        lines.append(f"this check has sent {sent} requests to services")
    lines += (f"advice: {line}" for line in check.advice)
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def _line(facts: "Facts", users: int) -> str:
    """All that is known of one model."""
    model, limit = facts.model, facts.max_length.value
    unit, its = "characters", [facts.batching.rule]
    if not facts.requests:
        shared = f" of {users} models" if users > 1 else ""
        unit, its = "tokens", [f"tokenizer {facts.tokenizer[:8]}{shared}"]
        its.append(f"{facts.num_bytes / 1e6:.1f} MB")
    told = (
        f"{len(model.labels.value)} labels",
        model.activation.value,
        "any length" if limit is None else f"{limit} {unit}",
        facts.batching.value.value,
        *its,
        f"sha256 {facts.digest[:8]}",
        f"says {facts.says} to a probe",
    )
    return f"{model.name}: {', '.join(told)}"
