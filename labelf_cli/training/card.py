"""What a model folder says of itself: ``training.json`` for programs, a card for people."""

import datetime
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelf_cli.evaluation.metrics import Figures

TRAINING = "training.json"
CARD = "README.md"


@dataclass(frozen=True)
class HeldOut:
    """How good a model of the same kind is on texts that it has not seen.

    Attributes:
        parts: how often texts were held out: folds, or 1.
        figures: of all of them; equal texts are held out together.
    """

    parts: int
    figures: Figures


@dataclass(frozen=True)
class Trained:
    """One trained model.

    Attributes:
        path: its folder.
        name: of what it answers, which is that of the label column.
        rows: how many rows had a text and a label.
        labels: number of rows by label.
        problem_type: as transformers names it.
        features: what it looks at, in words.
        data_sha256: over what it learned from: for each row a JSON array of text and labels and a
            line end.
        date: when it was made; None where the folder is not to tell.
        held_out: how good it is; None where a label has too few texts for that, or nobody asked.
    """

    path: Path
    name: str
    rows: int
    labels: dict[str, int]
    problem_type: str
    features: str
    data_sha256: str
    date: datetime.date | None
    held_out: HeldOut | None

    @property
    def accuracy(self) -> float | None:
        """Share of right answers; where several labels may hold, of texts with just those."""
        return self._figure("accuracy")

    @property
    def macro_f1(self) -> float | None:
        """Mean F1 of the labels."""
        return self._figure("macro_f1")

    @property
    def folds(self) -> int:
        """How often texts were held out."""
        return 0 if self.held_out is None else self.held_out.parts

    def _figure(self, name: str) -> float | None:
        return None if self.held_out is None else float(getattr(self.held_out.figures, name))

    def files(self) -> dict[str, str]:
        """Content by file name."""
        training = json.dumps(self._as_json(), ensure_ascii=False, indent=2) + "\n"
        return {TRAINING: training, CARD: "\n".join(self._lines()) + "\n"}

    def _as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "rows": self.rows,
            "labels": self.labels,
            "problem_type": self.problem_type,
            "data_sha256": self.data_sha256,
            **({} if self.date is None else {"date": self.date.isoformat()}),
            **{name: self._figure(name) for name in ("accuracy", "macro_f1", "micro_f1")},
            "folds": self.folds,
            "held_out": 0 if self.held_out is None else self.held_out.figures.rows,
        }

    def _lines(self) -> Iterator[str]:
        """The card, as the Hugging Face hub lays it out."""
        yield from ("---", *self._front_matter(), "---", "")
        yield from (
            f"# {self.name}",
            "",
            "A text classifier made by `labelf train`.",
        )
        kind = {"single_label_classification": "one label a text"}
        facts = {
            "answers": kind.get(self.problem_type, "any number of labels a text"),
            "features": self.features,
            "learned from": f"{self.rows:,} rows",
            "data": f"sha256 `{self.data_sha256}`",
            **({} if self.date is None else {"date": self.date.isoformat()}),
        }
        yield from _table(("", ""), facts.items())
        yield "The hash is over a JSON array of text and labels, and a line end, for each row."
        yield from self._figures()

    def _front_matter(self) -> Iterator[str]:
        # JSON is YAML, so that no name can break it.
        yield "library_name: labelf"
        yield "pipeline_tag: text-classification"
        if self.held_out is None:
            return
        metrics = [
            {"type": name.removeprefix("macro_"), "value": round(self._figure(name) or 0, 4)}
            for name in ("accuracy", "macro_f1")
        ]
        result = {
            "task": {"type": "text-classification"},
            "dataset": {"type": "table", "name": f"sha256 {self.data_sha256[:12]}"},
            "metrics": metrics,
        }
        index = [{"name": self.name, "results": [result]}]
        yield f"model-index: {json.dumps(index, ensure_ascii=False)}"

    def _figures(self) -> Iterator[str]:
        yield from ("", "## Labels")
        if self.held_out is None:
            yield from _table(("label", "rows"), self.labels.items())
            yield "There are no figures: nothing was held out."
            return
        figures = self.held_out.figures
        rows = [
            (its.label, self.labels[its.label], *_short(its.precision, its.recall, its.f1))
            for its in figures.per_label
        ]
        yield from _table(("label", "rows", "precision", "recall", "F1"), rows)
        how = "in one part" if self.folds == 1 else f"in {self.folds} folds"
        yield from ("## Figures", "")
        yield f"On {figures.rows:,} texts that were held out {how}, equal ones together."
        yield "The model itself learned from all texts."
        names = {"accuracy": "accuracy", "macro_f1": "macro F1", "micro_f1": "micro F1"}
        lines = [
            (name, *_short(getattr(figures, key)), " to ".join(_short(*figures.intervals[key])))
            for key, name in names.items()
        ]
        yield from _table(("", "figure", "95% interval"), lines)


def _short(*figures: float) -> list[str]:
    return [f"{figure:.3f}" for figure in figures]


def _table(header: tuple[str, ...], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """A table in Markdown, with an empty line on either side."""
    yield from ("", f"| {' | '.join(header)} |", f"|{'---|' * len(header)}")
    for row in rows:
        cells = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
        yield f"| {' | '.join(cells)} |"
    yield ""
