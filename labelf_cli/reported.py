"""What a report tells, as data."""

from collections import Counter
from dataclasses import dataclass

from labelf_cli.outputs.run_report import RunReport
from labelf_cli.predictions import Floats
from labelf_cli.tallies.chosen import ChosenRow
from labelf_cli.tallies.drift import Drift
from labelf_cli.tallies.interface import Ints

PAIRED_MODELS = 6
"""So many models are compared with each other."""


@dataclass(frozen=True)
class GoldReport:
    """How far a model's answers are those that people gave.

    Attributes:
        column: with the gold labels.
        rows: that have them.
        right: how many of them have just those labels.
        labels: names of the rows and columns of ``counts``; the first, None, for no label.
        counts: rows by gold and by answer, [labels × labels] int64 or fewer of both; empty where
            several labels may hold.
        wrong: some rows that are not right, the surest first.
    """

    column: str
    rows: int
    right: int
    labels: tuple[str | None, ...]
    counts: Ints
    wrong: tuple[ChosenRow, ...]


@dataclass(frozen=True)
class ModelReport:
    """What one model says.

    Attributes:
        name: of the model.
        multi_label: whether several labels may hold for one text.
        labels: rows by accepted label, the commonest first.
        unlabelled: rows without one.
        scored: rows whose best label has a score.
        mean_score: of these; None where there are none.
        edges, histogram: see ``AnswerTally.histogram``.
        least_certain: some rows, the least certain first.
        has_margins: whether all labels' scores are there, so that one can tell how certain.
        drift: against the earlier run; None where that has no such model, or is not given.
        gold: None where it is not given.
    """

    name: str
    multi_label: bool
    labels: Counter[str]
    unlabelled: int
    scored: int
    mean_score: float | None
    edges: Floats
    histogram: Ints
    least_certain: tuple[ChosenRow, ...]
    has_margins: bool
    drift: Drift | None
    gold: GoldReport | None


@dataclass(frozen=True)
class PairReport:
    """How the labels of two models come together.

    Attributes:
        first, second: names of the models.
        first_labels, second_labels: names of rows and columns; the first, None, for no label.
        counts: rows by labels, [first × second] int64; one that has several counts for each.
        cramers_v: see there, of the rows in which both have a label; None where several may hold,
            or one has fewer than two.
    """

    first: str
    second: str
    first_labels: tuple[str | None, ...]
    second_labels: tuple[str | None, ...]
    counts: Ints
    cramers_v: float | None


@dataclass(frozen=True)
class Report:
    """What came out of a run.

    Attributes:
        source: name of the output.
        rows: of it.
        statuses: rows by status; empty where the output has none.
        reasons: failed rows by reason.
        models: what each says.
        models_gone: models that only the earlier run has.
        pairs: of the first ``PAIRED_MODELS`` models, the closest first.
        failed: some of the rows that failed.
        keys: names of the columns that are shown with a row.
        has_text: whether a text is shown.
        baseline: name of the earlier output; None for none.
        run: what happened; None where it is not known.
    """

    source: str
    rows: int
    statuses: Counter[str]
    reasons: Counter[str]
    models: tuple[ModelReport, ...]
    models_gone: tuple[str, ...]
    pairs: tuple[PairReport, ...]
    failed: tuple[ChosenRow, ...]
    keys: tuple[str, ...]
    has_text: bool
    baseline: str | None
    run: RunReport | None
