"""Tables on stdout."""

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text


def figures_table(*headings: str, words: int = 1, title: str | None = None) -> Table:
    """A table without rows, whose first columns hold words and the others figures."""
    heading = None if title is None else Text(title)
    table = Table(title=heading, title_justify="left", box=SIMPLE_HEAD)
    for place, name in enumerate(headings):
        table.add_column(Text(name), justify="left" if place < words else "right")
    return table


def facts_table(title: str, facts: Mapping[str, Text]) -> Table:
    """What there is to say of one thing, by name."""
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in facts.items():
        table.add_row(name, value)
    return table
