"""From a template and what it shows to a page of one file."""

from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from labelf_cli import __version__
from labelf_cli.page_policy import inline_source


def render(template: str, **shown: Any) -> str:  # noqa: ANN401  # a template takes anything
    """A page that holds all it needs, and whose policy forbids it to ask for more.

    Args:
        template: name of the file.
        shown: what the template speaks of; text in it is escaped.
    """
    style, script = _file("page.css"), _file("rows.js")
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src {inline_source(script)}; style-src {inline_source(style)}"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            **shown,
            style=Markup(style),  # our own
            script=Markup(script),
            policy=policy,
            version=__version__,
        )
    )


def _file(name: str) -> str:
    return (resources.files("labelf_cli.pages") / "templates" / name).read_text("utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("labelf_cli.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"count": count, "percent": percent, "figure": figure, "points": points}
    return environment


def count(number: int) -> str:
    """With commas between thousands."""
    return f"{number:,}"


def percent(share: float) -> str:
    """A share; what is not nothing, nor all, does not look so."""
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{share:.1%}"


def figure(value: float | None, digits: int = 3) -> str:
    """A figure; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def points(change: float, digits: int = 1, *, scale: float = 100) -> str:
    """A change with its sign, in percentage points."""
    value = round(change * scale, digits) + 0.0
    return f"{value:+.{digits}f}".replace("-", "−") if value else f"{0:.{digits}f}"
