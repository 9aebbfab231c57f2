"""Plots as SVG, drawn for light and for dark; no text of the user's goes into them."""

import base64
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# It warns of a home that it can't write to, as cron and systemd give it.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

import matplotlib as mpl  # noqa: E402
import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.axis import YAxis  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import MaxNLocator, PercentFormatter  # noqa: E402

from labelf_cli.predictions import Floats  # noqa: E402

Reals = npt.NDArray[np.float64]
Draw = Callable[[Axes, "Theme"], None]


@dataclass(frozen=True)
class Theme:
    """Colours, those of the pages' style."""

    ink: str
    line: str
    accent: str
    rest: str


LIGHT = Theme("#55625f", "#d9dfdd", "#0f766e", "#828f8b")
DARK = Theme("#a0aeaa", "#2e3836", "#4cc2b4", "#6d7a76")


@dataclass(frozen=True)
class Plot:
    """One plot.

    Attributes:
        light, dark: data URIs of SVG.
        width, height: in CSS pixels.
    """

    light: str
    dark: str
    width: int
    height: int


def score_histogram(edges: Floats, shares: Reals, before: Reals | None) -> Plot:
    """How scores are spread.

    Args:
        edges: of the bins, [bins + 1].
        shares: of all scores, in each bin, [bins].
        before: the same of an earlier run, if there is one.
    """

    def draw(axes: Axes, theme: Theme) -> None:
        axes.stairs(shares, edges, fill=True, color=theme.accent)
        if before is not None:
            axes.stairs(before, edges, color=theme.ink, linewidth=1.25)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0, max(float(shares.max()), *_most(before), 1e-9) * 1.05)
        axes.set_xticks(np.linspace(edges[0], edges[-1], 5))
        _as_percent(axes.yaxis)

    return _plot(draw, 440, 140)


def reliability_diagram(confidence: Reals, right: Reals) -> Plot:
    """Share of right answers against how sure the model was, with the line of a perfect one.

    Args:
        confidence: mean of each bin that has answers, [bins].
        right: share of right ones there, [bins].
    """

    def draw(axes: Axes, theme: Theme) -> None:
        axes.plot([0, 1], [0, 1], color=theme.rest, linewidth=1, linestyle=(0, (3, 3)))
        axes.plot(confidence, right, color=theme.accent, linewidth=1.75, marker="o", markersize=4)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xticks(np.linspace(0, 1, 5))
        _as_percent(axes.yaxis)

    return _plot(draw, 440, 220)


def _most(before: Reals | None) -> tuple[float, ...]:
    return () if before is None else (float(before.max()),)


def _as_percent(axis: YAxis) -> None:
    axis.set_major_locator(MaxNLocator(3, prune="lower"))
    axis.set_major_formatter(PercentFormatter(1, decimals=0))


def _plot(draw: Draw, width: int, height: int) -> Plot:
    light, dark = (_drawn(draw, theme, width, height) for theme in (LIGHT, DARK))
    return Plot(light, dark, width, height)


def _drawn(draw: Draw, theme: Theme, width: int, height: int) -> str:
    """Draw in one theme; the bytes are the same every time, whatever a matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        axes = figure.subplots()
        draw(axes, theme)
        axes.set_axisbelow(True)
        axes.grid(axis="y", color=theme.line, linewidth=0.75)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(theme.line)
        axes.tick_params(length=0, pad=5, colors=theme.ink)
        content = io.BytesIO()
        figure.savefig(content, format="svg", transparent=True, metadata=_NO_METADATA)
    return f"data:image/svg+xml;base64,{base64.b64encode(content.getvalue()).decode()}"


_STYLE: dict[Any, Any] = {  # its keys are of a type that lists them all
    "svg.hashsalt": "labelf",
    "svg.fonttype": "none",  # text stays text
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],  # the first is what matplotlib measures
    "font.size": 9,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
