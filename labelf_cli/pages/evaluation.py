"""The page of ``labelf evaluate``."""

from collections.abc import Sequence
from dataclasses import dataclass

from labelf_cli.evaluation.intervals import Interval
from labelf_cli.evaluation.metrics import Mistake, figure_names, mistakes
from labelf_cli.evaluation.reliability import Reliability
from labelf_cli.jobs.evaluate import Evaluation
from labelf_cli.pages.heat import HeatTable, square_table
from labelf_cli.pages.plots import Plot, reliability_diagram
from labelf_cli.pages.render import render

_SHOWN_MISTAKES = 15


@dataclass(frozen=True)
class Line:
    """One figure; None where it can't be had, or no interval was asked for."""

    name: str
    value: float | None
    interval: Interval | None


@dataclass(frozen=True)
class EvaluationCard:
    """One model on the page.

    Attributes:
        its: figures.
        lines: the plain ones.
        confusion: gold × answer; None where several labels may hold.
        mistakes: the commonest, where the table pools labels.
        diagram: of reliability; None where not all scores are known.
    """

    its: Evaluation
    lines: tuple[Line, ...]
    confusion: HeatTable | None
    mistakes: tuple[Mistake, ...]
    diagram: Plot | None


def evaluation_page(found: Sequence[Evaluation], source: str, title: str | None = None) -> str:
    """The page, as HTML.

    Args:
        found: a model each.
        source: name of the labelled table.
        title: None for one that names the table.
    """
    return render(
        "evaluation.html",
        title=title or f"How good the models are: {source}",
        source=source,
        cards=[_card(one) for one in found],
    )


def _card(one: Evaluation) -> EvaluationCard:
    figures = one.figures
    names = figure_names(multi_label=one.multi_label)
    lines = [
        Line(name, getattr(figures, key), figures.intervals.get(key)) for key, name in names.items()
    ]
    labels = [its.label for its in figures.per_label]
    confusion = None
    if not one.multi_label and figures.confusion.any():
        confusion = square_table([*labels, None], figures.confusion)
    is_pooled = confusion is not None and confusion.is_pooled
    commonest = mistakes(figures, _SHOWN_MISTAKES) if is_pooled else ()
    return EvaluationCard(one, tuple(lines), confusion, tuple(commonest), _diagram(one.reliability))


def _diagram(its: Reliability | None) -> Plot | None:
    return None if its is None else reliability_diagram(its.confidence, its.right)
