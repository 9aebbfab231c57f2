"""What happened in a run, as data; the summaries of parts add up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from labelf_cli.predictions import Answers, Rules, Status
from labelf_cli.spent import Spent


@dataclass(frozen=True)
class Summary:
    """Counts of a run or of a part of it.

    Attributes:
        rows: rows that were written.
        statuses: number of rows by status.
        labels: for each model the number of rows by best label; None counts rows without one.
        seconds: wall-clock time, loading included.
        loading: the part of it before the first row was read.
        spent: what the answers cost.
        rejected: rows of the inputs that could not be read.
    """

    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str | None]] = field(default_factory=dict)
    seconds: float = 0.0
    loading: float = 0.0
    spent: Spent = field(default_factory=Spent)
    rejected: int = 0

    @classmethod
    def of(cls, answers: Answers, models: Sequence[tuple[str, Rules]]) -> "Summary":
        """Count the answers of a chunk, given each model's name and rules."""
        counts = np.bincount(answers.status, minlength=len(Status)).tolist()
        statuses = Counter({s.name.lower(): n for s, n in zip(Status, counts, strict=True) if n})
        labels: dict[str, Counter[str | None]] = {}
        for (name, rules), accepted in zip(models, answers.accepted, strict=True):
            names = (None, *rules.labels)
            counts = np.bincount(accepted.labels[:, 0] + 1, minlength=len(names)).tolist()
            labels[name] = Counter()
            for label, count in zip(names, counts, strict=True):
                if count:
                    labels[name][label] += count
        return cls(len(answers.status), statuses, labels, spent=answers.spent)

    def __add__(self, other: "Summary") -> "Summary":
        """Both together."""
        return Summary(
            self.rows + other.rows,
            self.statuses + other.statuses,
            {
                name: self.labels.get(name, Counter()) + other.labels.get(name, Counter())
                for name in {**self.labels, **other.labels}
            },
            self.seconds + other.seconds,
            self.loading + other.loading,
            self.spent + other.spent,
            self.rejected + other.rejected,
        )

    def to_record(self) -> dict[str, Any]:
        """Plain values from which ``from_record`` makes the same summary."""
        labels = {name: list(counts.items()) for name, counts in self.labels.items()}
        return {**vars(self), "labels": labels, "spent": vars(self.spent)}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Summary":
        """The summary of a record, which may have been JSON meanwhile."""
        labels = {name: Counter(dict(counts)) for name, counts in record["labels"].items()}
        statuses, spent = Counter(record["statuses"]), Spent(**record["spent"])
        return cls(**{**record, "statuses": statuses, "labels": labels, "spent": spent})

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--report``; rows without a label stand under ``unlabelled``."""
        return {
            "rows": self.rows,
            "rejected": self.rejected,
            "statuses": dict(self.statuses),
            "seconds": round(self.seconds, 3),
            "loading_seconds": round(self.loading, 3),
            "spent": self.spent.as_json(),
            "models": {
                name: {
                    "labels": {label: n for label, n in counts.most_common() if label is not None},
                    "unlabelled": counts[None],
                }
                for name, counts in self.labels.items()
            },
        }
