"""What came out of a run, at a glance, and the rows to look at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from labelf_cli.errors import InputError, UsageError, did_you_mean
from labelf_cli.gold import SEPARATOR, require_gold
from labelf_cli.outputs.rows import OutputRows, OutputTable
from labelf_cli.outputs.run_report import read_run_report
from labelf_cli.reported import PAIRED_MODELS, GoldReport, ModelReport, PairReport, Report
from labelf_cli.run import Progress
from labelf_cli.sources.files import STDIN
from labelf_cli.sources.interface import require_columns
from labelf_cli.tallies.answers import AnswerTally
from labelf_cli.tallies.chosen import Shown
from labelf_cli.tallies.drift import drift
from labelf_cli.tallies.failed import FailedTally
from labelf_cli.tallies.gold import GoldColumn, GoldTally
from labelf_cli.tallies.interface import Tally
from labelf_cli.tallies.least_certain import LeastCertainTally
from labelf_cli.tallies.statuses import StatusTally
from labelf_cli.tallies.table import PairTally, cramers_v, labelled

SHOWN = 100


@dataclass(frozen=True)
class ReportSettings:
    """What is reported.

    Attributes:
        table: the output.
        baseline: an output of an earlier run; None for none.
        gold: column by model.
        gold_separator: between several labels in a cell that is no JSON array.
        keys: columns that are shown with a row.
        run: what ``labelf classify --report`` wrote; None for none.
        shown: most rows in a list.
    """

    table: OutputTable
    baseline: OutputTable | None = None
    gold: dict[str, str] | None = None
    gold_separator: str = SEPARATOR
    keys: tuple[str, ...] = ()
    run: Path | None = None
    shown: int = SHOWN


def report(settings: ReportSettings, progress: Callable[[Progress], None]) -> Report:
    """Read an output once, and an earlier one, and count.

    Memory does not grow with the rows.

    Raises:
        UsageError: an output can't be used, or a column or model is not in it.
        BadRowError: a row can't be read.
    """
    rows = settings.table.open()
    _require(settings, rows)
    run = None if settings.run is None else read_run_report(settings.run)
    earlier = None if settings.baseline is None else settings.baseline.open()
    tallies = _Tallies(settings, rows)
    count = _count(rows, tallies.all, progress)
    before: dict[str, AnswerTally] = {}
    if earlier is not None:
        of_earlier = [AnswerTally(at, codes) for at, codes in enumerate(earlier.codes)]
        _count(earlier, of_earlier, progress)
        before = dict(zip(earlier.models, of_earlier, strict=True))
    return Report(
        rows.name,
        count,
        tallies.statuses.statuses,
        tallies.statuses.reasons,
        tuple(tallies.of_model(at, before.get(name)) for at, name in enumerate(rows.models)),
        tuple(name for name in before if name not in rows.models and not settings.table.models),
        tallies.of_pairs(),
        tuple(tallies.failed.lowest.rows),
        settings.keys,
        bool(rows.text_columns),
        None if earlier is None else earlier.name,
        run,
    )


def _require(settings: ReportSettings, rows: OutputRows) -> None:
    """Refuse what is not there.

    Raises:
        UsageError: it names what there is.
    """
    require_columns(rows.columns, settings.keys, rows.name, "--key")
    gold = settings.gold or {}
    require_gold(rows.columns, gold.values(), rows.name)
    for model in gold:
        if model not in rows.models:
            raise InputError(
                f"no model '{model}'",
                where=f"{rows.name}, --gold",
                todo=did_you_mean(model, list(rows.models)),
            )
    baseline = settings.baseline
    if baseline is not None and STDIN in (*settings.table.inputs, *baseline.inputs):
        both = [*settings.table.inputs, *baseline.inputs]
        if both.count(STDIN) > 1:
            raise UsageError("stdin can be read only once", where="--baseline", todo="Name a file")


def _count(rows: OutputRows, tallies: Sequence[Tally], progress: Callable[[Progress], None]) -> int:
    """Show all rows to all tallies; their number."""
    count = 0
    for batch in rows.batches():
        for tally in tallies:
            tally.add(batch)
        count += len(batch)
        progress(Progress(count, rows.expected(count)))
    return count


class _Tallies:
    """All that is counted of an output."""

    def __init__(self, settings: ReportSettings, rows: OutputRows) -> None:
        self._settings, self._rows = settings, rows
        status, error = (
            settings.table.separator.join(("labelf", part)) for part in ("status", "error")
        )
        shown, limit = Shown(settings.keys, status, error), settings.shown
        self.statuses = StatusTally(status, error)
        self.failed = FailedTally(shown, limit)
        codes = rows.codes
        numbers = range(len(rows.models))
        self._answers = [AnswerTally(at, codes[at]) for at in numbers]
        self._least = [LeastCertainTally(at, shown, limit) for at in numbers]
        self._gold = {
            at: GoldTally(at, GoldColumn(column, settings.gold_separator), codes[at], shown, limit)
            for at, column in self._gold_columns().items()
        }
        self._pairs = {pair: PairTally(*pair) for pair in combinations(numbers[:PAIRED_MODELS], 2)}

    def _gold_columns(self) -> dict[int, str]:
        gold = self._settings.gold or {}
        return {self._rows.models.index(model): column for model, column in gold.items()}

    @property
    def all(self) -> list[Tally]:
        """In any order."""
        per_model = (*self._answers, *self._least, *self._gold.values(), *self._pairs.values())
        return [self.statuses, self.failed, *per_model]

    def of_model(self, number: int, before: AnswerTally | None) -> ModelReport:
        """What was counted of one model."""
        answers, least = self._answers[number], self._least[number]
        multi_label = self._rows.multi_label[number]
        edges, histogram = answers.histogram
        return ModelReport(
            self._rows.models[number],
            multi_label,
            answers.labels,
            answers.unlabelled,
            answers.scored,
            answers.mean_score,
            edges,
            histogram,
            tuple(least.lowest.rows),
            self._rows.has_all_scores[number],
            None if before is None else drift(before, answers, multi_label=multi_label),
            self._of_gold(number),
        )

    def _of_gold(self, number: int) -> GoldReport | None:
        gold = self._gold.get(number)
        if gold is None:
            return None
        return GoldReport(
            self._gold_columns()[number],
            gold.rows,
            gold.right,
            tuple(self._rows.codes[number].names),
            gold.counts,
            tuple(gold.lowest.rows),
        )

    def of_pairs(self) -> tuple[PairReport, ...]:
        """What was counted of each pair of models, the closest first."""
        found = [self._of_pair(first, second) for first, second in self._pairs]
        return tuple(sorted(found, key=lambda pair: -(pair.cramers_v or 0)))

    def _of_pair(self, first: int, second: int) -> PairReport:
        rows = self._rows
        counts = self._pairs[first, second].counts
        several = rows.multi_label[first] or rows.multi_label[second]
        return PairReport(
            rows.models[first],
            rows.models[second],
            tuple(rows.codes[first].names),
            tuple(rows.codes[second].names),
            counts,
            None if several else cramers_v(labelled(counts)),
        )
