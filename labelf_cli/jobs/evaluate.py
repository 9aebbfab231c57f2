"""How good models are, against labels that people gave."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelf_cli.config import Config
from labelf_cli.errors import UsageError
from labelf_cli.evaluation.intervals import RESAMPLES
from labelf_cli.evaluation.judged import Evaluated
from labelf_cli.evaluation.labelled import LabelledTable
from labelf_cli.evaluation.metrics import Figures, figures
from labelf_cli.evaluation.output import read_output
from labelf_cli.evaluation.reliability import Reliability, reliability
from labelf_cli.evaluation.scoring import judged, score
from labelf_cli.run import Progress


@dataclass(frozen=True)
class EvaluateSettings:
    """What is measured.

    Attributes:
        table: texts, or an output, with gold.
        config: the models; None for the answers that stand in the table.
        threads: size of the pool.
        separator: between the parts of a column name of an output.
        resamples: for the intervals; 0 for none.
        cache: file that keeps logits across runs; None for none.
    """

    table: LabelledTable
    config: Config | None
    threads: int
    separator: str = "."
    resamples: int = RESAMPLES
    cache: Path | None = None


@dataclass(frozen=True)
class Evaluation:
    """How good one model is.

    Attributes:
        name: of the model.
        multi_label: whether several labels may hold for one text.
        figures: what was measured.
        ungold: rows without a gold label, which are left out.
        unanswered: rows with one, but no answer: failed, blank or not asked. They count as wrong.
        unknown: rows by gold label that the model can't give. They count as wrong.
        reliability: None where not all scores are known.
    """

    name: str
    multi_label: bool
    figures: Figures
    ungold: int
    unanswered: int
    unknown: Counter[str]
    reliability: Reliability | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **self.figures.as_json(),
            "multi_label": self.multi_label,
            "without_gold": self.ungold,
            "without_answer": self.unanswered,
            "unknown_gold": dict(self.unknown.most_common()),
        }


def evaluate(settings: EvaluateSettings, progress: Callable[[Progress], None]) -> list[Evaluation]:
    """Measure each model that has a gold column.

    Raises:
        UsageError: the table, a column or a model can't be used.
        RunError: something broke on the way.
    """
    if not settings.table.gold:
        raise UsageError("there is nothing to compare with", todo="Say --gold model=column")
    if settings.config is None:
        found = read_output(settings.table, settings.separator)
    else:
        scored = score(settings.config, settings.threads, settings.cache, settings.table, progress)
        found = [judged(one) for one in scored]
    return [_measured(one, settings.resamples) for one in found]


def _measured(found: Evaluated, resamples: int) -> Evaluation:
    return Evaluation(
        found.name,
        found.judged.multi_label,
        figures(found.judged, resamples),
        found.ungold,
        found.unanswered,
        found.unknown,
        reliability(found.judged),
    )
