"""The columns of a model in an output of the wide layout, found again by their names."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from labelf_cli.errors import InputError, did_you_mean
from labelf_cli.predictions import Floats


@dataclass(frozen=True)
class WideColumns:
    """The columns of one model in a wide output.

    Attributes:
        label, score: of the best prediction; no score where that column is absent.
        labels: of all accepted ones; None for a model of one label.
        scores: of each label, by label; empty where not all are there.
    """

    label: str
    score: str | None
    labels: str | None
    scores: dict[str, str]

    @classmethod
    def find(cls, model: str, names: Sequence[str], separator: str, where: str) -> "WideColumns":
        """Find them by their names.

        Raises:
            InputError: there is no such model.
        """
        label, score, labels = (separator.join((model, part)) for part in _PARTS)
        if label not in names:
            raise InputError(
                f"no column '{label}'",
                where=where,
                todo=f"{did_you_mean(label, list(names))} Or run the models with --config; "
                "of outputs only the wide layout is read",
            )
        prefix = score + separator
        capped = f"{label}_2" in names
        return cls(
            label,
            score if score in names else None,
            labels if labels in names else None,
            {} if capped else {n[len(prefix) :]: n for n in names if n.startswith(prefix)},
        )

    @property
    def all(self) -> list[str]:
        """Their names."""
        one = [name for name in (self.score, self.labels) if name is not None]
        return [self.label, *one, *self.scores.values()]

    def packed(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """The columns of some rows in little memory: labels by number, scores as float32.

        Raises:
            InputError: a score is no number.
        """
        found = {name: batch.column(name) for name in self.all}
        found[self.label] = found[self.label].cast(pa.string()).dictionary_encode()
        for name in (self.score, *self.scores.values()):
            if name is not None:
                found[name] = pa.array(score_numbers(found[name], name))
        return found


_PARTS = ("label", "score", "labels")


def model_names(columns: Sequence[str], separator: str) -> list[str]:
    """The models whose labels and scores stand among some columns, in their order."""
    label, score = f"{separator}label", f"{separator}score"
    names = (column.removesuffix(label) for column in columns if column.endswith(label))
    return [name for name in names if f"{name}{score}" in columns]


def score_numbers(column: pa.Array | pa.ChunkedArray, name: str) -> Floats:
    """The scores of a column, [rows] float32, NaN where there is none.

    Raises:
        InputError: one is no number.
    """
    try:
        return np.asarray(column.cast(pa.float32()))
    except pa.ArrowException as error:
        raise InputError(f"not a score ({error})", where=f"column '{name}'") from None
