"""What a person sees on stderr: progress, the summary, log lines; and JSON on stdout."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console, Group, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.progress import Progress as ProgressBar
from rich.progress_bar import ProgressBar as Bar
from rich.table import Table
from rich.text import Text

from labelf_cli.cli.logs import LogFormat, log_line, say
from labelf_cli.cli.signals import raise_if_stopped
from labelf_cli.errors import OutputError, WriteError
from labelf_cli.run import Progress
from labelf_cli.spent import Spent
from labelf_cli.summary import Summary

_SHOWN_LABELS = 12
_BAR_WIDTH = 24


class _Pace(ProgressColumn):
    """Rows a second and time left, over the whole run so far.

    rich's own columns begin anew whenever the expected number of rows is corrected.
    """

    def render(self, task: Task) -> Text:
        """What the column shows."""
        rate = task.completed / task.elapsed if task.elapsed else 0.0
        text = f"{rate:,.0f} rows/s"
        if rate and task.total is not None:
            left = timedelta(seconds=round(max(task.total - task.completed, 0) / rate))
            text += f", {left} left"
        return Text(text, style="progress.data.speed")


class StdoutConsole(Console):
    """Tables on stdout; a reader that has gone ends the command quietly, as everywhere."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> NoReturn:
        """Say nothing; rich's own way is exit code 1."""
        raise BrokenPipeError


@contextmanager
def show_progress(
    *, hidden: bool, doing: str = "classifying"
) -> Iterator[Callable[[Progress], None]]:
    """A progress bar on stderr while the block runs; none off a terminal."""
    console = Console(stderr=True)
    if hidden or not console.is_terminal:
        yield lambda _: raise_if_stopped()
        return
    bar = ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        _Pace(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task(doing, total=None)

        def show(at: Progress) -> None:
            raise_if_stopped()
            bar.update(task, completed=at.rows, total=at.expected)

        yield show


@contextmanager
def show_doing() -> Iterator[Callable[[str], None]]:
    """What is being done, as it is told, on stderr while the block runs; nothing off a terminal."""
    with Console(stderr=True).status("") as status:

        def show(what: str) -> None:
            raise_if_stopped()
            status.update(what)

        yield show


def print_json(content: dict[str, Any]) -> None:
    """One object on stdout."""
    print(json.dumps(content, ensure_ascii=False, indent=2))


def show_summary(summary: Summary, log_format: LogFormat = LogFormat.TEXT) -> None:
    """The summary on stderr: rows, statuses, seconds, and the share of each label as a bar."""
    if log_format is LogFormat.JSON:
        print(log_line("info", "done", summary=summary.as_json()), file=sys.stderr)
        return
    console = Console(stderr=True, highlight=False)
    statuses = ", ".join(f"{n:,} {status}" for status, n in summary.statuses.most_common())
    rate = summary.rows / summary.seconds if summary.seconds else 0
    done = f"{summary.rows:,} rows in {summary.seconds:.1f} s ({rate:,.0f}/s)"
    console.print(f"{done}: {statuses}" if statuses else done)
    if summary.rejected:
        console.print(f"{summary.rejected:,} rows rejected")
    if summary.spent.requests:
        console.print(_cost(summary.spent))
    for name, counts in summary.labels.items():
        console.print(_shares(name, counts.most_common(), sum(counts.values())))


def _cost(spent: Spent) -> str:
    """What services were asked."""
    tokens = f"{spent.prompt_tokens:,} prompt and {spent.completion_tokens:,} completion tokens"
    return f"{spent.requests:,} requests" + (f", {tokens}" if spent.prompt_tokens else "")


def _shares(name: str, counts: list[tuple[str | None, int]], total: int) -> RenderableType:
    table = Table(title=Text(name), title_justify="left", box=None, show_header=False)
    table.add_column(min_width=24, max_width=40, no_wrap=True)
    table.add_column(width=_BAR_WIDTH)
    table.add_column(justify="right")
    table.add_column(justify="right")
    for label, count in counts[:_SHOWN_LABELS]:
        shown = Text("(no label)", style="dim") if label is None else Text(label)
        bar = Bar(total=total, completed=count, width=_BAR_WIDTH)
        table.add_row(shown, bar, f"{100 * count / total:.1f}%", f"{count:,}")
    rest = counts[_SHOWN_LABELS:]
    more = Text(f"… and {len(rest)} more labels", style="dim") if rest else Text("")
    return Group(table, more)


def show_that_nothing_was_usable(summary: Summary, rejects: object) -> None:
    """That the inputs seem to be something else than was said, on stderr, even when quiet."""
    say(
        f"not one row could be read, {summary.rejected:,} were rejected: {rejects} says why. "
        "Check --delimiter, --encoding and --input-format",
        level="warning",
    )


def check_report(path: Path) -> None:
    """Find out before the run whether the report can be written.

    Raises:
        OutputError: its folder is absent or can't be written to.
    """
    if path.is_dir() or not os.access(path.resolve().parent, os.W_OK):
        raise OutputError("can't be written", where=path, todo="Choose another --report")


def write_report(path: Path, summary: Summary) -> None:
    """The summary as JSON.

    Raises:
        WriteError: the file can't be written.
    """
    try:
        text = json.dumps(summary.as_json(), ensure_ascii=False, indent=2) + "\n"
        path.write_text(text, "utf-8")
    except OSError as error:
        raise WriteError(f"can't be written ({error.strerror})", where=path) from None
