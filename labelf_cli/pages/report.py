"""The page of ``labelf report``."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from labelf_cli.pages.heat import NO_LABEL, HeatTable, heat_table, square_table
from labelf_cli.pages.plots import Plot, Reals, score_histogram
from labelf_cli.pages.render import render
from labelf_cli.pages.rows import Reason, row_lists
from labelf_cli.predictions import Floats
from labelf_cli.reported import PAIRED_MODELS, GoldReport, ModelReport, PairReport, Report
from labelf_cli.tallies.drift import Drift
from labelf_cli.tallies.interface import Ints

_SHOWN_LABELS = 12
_LEAST_MORE = 3
_STATUSES = ("ok", "truncated", "empty", "failed")


@dataclass(frozen=True)
class Bar:
    """The share of one label.

    Attributes:
        name: of the label.
        count: rows that have it.
        share: of all rows.
        length: of the bar, from 0 to 1: the longest one is as wide as can be.
    """

    name: str
    count: int
    share: float
    length: float


@dataclass(frozen=True)
class Bin:
    """Scores from one bound to another."""

    low: float
    high: float
    count: int
    share: float


@dataclass(frozen=True)
class ModelCard:
    """One model on the page.

    Attributes:
        its: figures.
        bars: of its commonest labels.
        more: of the others.
        plot: of its scores; None where there are none.
        has_line: whether it shows the earlier run, too.
        bins: the same as figures.
        gold: gold label × answer; None where that is not known.
    """

    its: ModelReport
    bars: tuple[Bar, ...]
    more: tuple[Bar, ...]
    plot: Plot | None
    has_line: bool
    bins: tuple[Bin, ...]
    gold: HeatTable | None


@dataclass(frozen=True)
class PairCard:
    """How the labels of two models come together."""

    its: PairReport
    table: HeatTable


def report_page(report: Report, title: str | None = None) -> str:
    """The page, as HTML.

    Args:
        report: what it shows.
        title: None for one that names the output.
    """
    return render(
        "report.html",
        report=report,
        title=title or f"What came out: {report.source}",
        statuses=_statuses(report.statuses),
        models=[_model_card(model, report.rows) for model in report.models],
        pairs=[_pair_card(pair) for pair in report.pairs],
        paired=PAIRED_MODELS,
        lists=row_lists(_reasons(report)),
    )


def _statuses(statuses: Counter[str]) -> list[tuple[str, int]]:
    """In the order in which they get worse."""
    names = [*_STATUSES, *(name for name in sorted(statuses) if name not in _STATUSES)]
    return [(name, statuses[name]) for name in names if statuses[name]]


def _model_card(model: ModelReport, rows: int) -> ModelCard:
    bars = tuple(_bars(model, rows))
    shown = _SHOWN_LABELS if len(bars) > _SHOWN_LABELS + _LEAST_MORE else len(bars)
    shares, before = _shares(model.histogram), _shares_before(model.drift, model.edges)
    return ModelCard(
        model,
        bars[:shown],
        bars[shown:],
        score_histogram(model.edges, shares, before) if model.scored else None,
        before is not None,
        tuple(_bins(model, shares)),
        _gold_table(model.gold),
    )


def _gold_table(gold: GoldReport | None) -> HeatTable | None:
    if gold is None or not gold.counts.any():
        return None
    return square_table(gold.labels, gold.counts)


def _bars(model: ModelReport, rows: int) -> Iterator[Bar]:
    counts = list(model.labels.items())
    if model.unlabelled:
        counts.append((NO_LABEL, model.unlabelled))
    longest = max((count for _, count in counts), default=1)
    for name, count in counts:
        yield Bar(name, count, count / max(rows, 1), count / longest)


def _shares(histogram: Ints) -> Reals:
    return np.asarray(histogram / max(int(histogram.sum()), 1), np.float64)


def _shares_before(drift: Drift | None, edges: Floats) -> Reals | None:
    """Those of the earlier run, if they are of the same bins."""
    if drift is None or not drift.histogram_before.any():
        return None
    if not np.array_equal(drift.edges_before, edges):
        return None
    return _shares(drift.histogram_before)


def _bins(model: ModelReport, shares: Reals) -> Iterator[Bin]:
    bounds = model.edges.tolist()
    counts = model.histogram.tolist()
    for low, high, count, share in zip(bounds, bounds[1:], counts, shares.tolist(), strict=False):
        if count:
            yield Bin(low, high, count, share)


def _pair_card(pair: PairReport) -> PairCard:
    return PairCard(pair, heat_table(pair.first_labels, pair.second_labels, pair.counts))


def _reasons(report: Report) -> Iterator[Reason]:
    for model in report.models:
        if model.gold is not None:
            yield Reason("gold", model.name, False, model.gold.wrong)
    for model in report.models:
        yield Reason("uncertain", model.name, model.has_margins, model.least_certain)
    yield Reason("failed", None, False, report.failed)
