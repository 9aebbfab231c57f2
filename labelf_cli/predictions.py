"""Scores to accepted predictions: filter, threshold, rank."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelf_cli.config import AnyModel
from labelf_cli.errors import ConfigError, did_you_mean
from labelf_cli.model_keys import Activation
from labelf_cli.spent import Spent

Floats = npt.NDArray[np.float32]
Statuses = npt.NDArray[np.uint8]

NO_LABEL = -1
"""Stands in ``Accepted.labels`` where a row has fewer accepted predictions."""

MULTI_LABEL_THRESHOLD = 0.5


def activate(logits: Floats, activation: Activation, temperature: float = 1.0) -> Floats:
    """Scores from logits, both [rows × labels] float32.

    Computed in float64, so that a score does not depend on where its row stands in the array.
    Before softmax and sigmoid, logits are divided by the temperature (Guo et al. 2017).
    """
    if activation == "none":
        return logits
    x = logits.astype(np.float64) / temperature
    if activation == "sigmoid":
        e = np.exp(-np.abs(x))
        scores = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
    else:
        with np.errstate(invalid="ignore"):  # infinite logits give NaN, which fails the row
            e = np.exp(x - x.max(axis=1, keepdims=True))
        scores = e / e.sum(axis=1, keepdims=True)
    return np.asarray(scores, np.float32)


@dataclass(frozen=True)
class Rules:
    """What becomes of one model's scores.

    Attributes:
        kept: the labels that pass the filter, as positions among the model's labels.
        labels: their names, in the model's order; the none label is last if it is set and new.
        thresholds: the least score that is accepted, [kept] float32.
        max_predictions: cap on accepted labels, None for all.
        none_label: position in ``labels`` of the answer when nothing passes, or None.
        multi_label: whether several labels may hold for one text.
        gives_scores: whether what ranks the labels is a score.
    """

    kept: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    thresholds: Floats
    max_predictions: int | None = None
    none_label: int | None = None
    multi_label: bool = False
    gives_scores: bool = True

    @property
    def score_labels(self) -> tuple[str, ...]:
        """Names of the kept labels, without a none label that no score stands for."""
        return self.labels[: len(self.kept)]

    @property
    def num_scores(self) -> int:
        """Width of the score arrays that these rules can take."""
        return int(self.kept.max()) + 1

    @property
    def ranks(self) -> int:
        """How many predictions a text has room for."""
        return self.max_predictions or len(self.labels)


def rules(config: AnyModel, labels: Sequence[str], *, multi_label: bool) -> Rules:
    """Settle one model's rules once its labels are known.

    Raises:
        ConfigError: the filter or a threshold names a label that the model does not have.
    """
    for key, named in (
        ("label_filter", config.label_filter or ()),
        ("thresholds", tuple(config.thresholds)),
    ):
        for label in named:
            if label not in labels:
                raise ConfigError(
                    f"the model has no label '{label}'",
                    where=f"model '{config.name}', {key}",
                    todo=did_you_mean(label, list(labels)),
                )
    default = MULTI_LABEL_THRESHOLD if multi_label and config.gives_scores else -np.inf
    threshold = default if config.threshold is None else config.threshold
    kept = [i for i, name in enumerate(labels) if name in (config.label_filter or labels)]
    names = [labels[i] for i in kept]
    thresholds = np.array([config.thresholds.get(name, threshold) for name in names], np.float32)
    none_label = None
    if config.none_label is not None:
        if config.none_label not in names:
            names.append(config.none_label)
        none_label = names.index(config.none_label)
    return Rules(
        np.array(kept, np.int64),
        tuple(names),
        thresholds,
        config.max_predictions,
        none_label,
        multi_label,
        config.gives_scores,
    )


@dataclass(frozen=True)
class Accepted:
    """The accepted predictions of one model, best first.

    Attributes:
        labels: positions in ``Rules.labels``, ``NO_LABEL`` past the last, [rows × ranks] int32.
        scores: their scores, NaN where there is none, [rows × ranks] float32.
        answered: whether the model has an answer for the row, if only that nothing passes, [rows].
    """

    labels: npt.NDArray[np.int32]
    scores: Floats
    answered: npt.NDArray[np.bool_]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Number of accepted predictions, [rows] int64."""
        return np.asarray((self.labels != NO_LABEL).sum(axis=1), np.int64)

    def take(self, rows: npt.NDArray[np.int64]) -> "Accepted":
        """The predictions of some rows, in the order that is given."""
        return Accepted(self.labels[rows], self.scores[rows], self.answered[rows])


def accept(scores: Floats, rules: Rules) -> Accepted:
    """Filter, threshold, sort by score (ties by the model's label order), cap.

    Args:
        scores: [rows × the model's labels] float32; a row of NaN has no answer, a label of
            negative infinity was not given.
        rules: of the model.
    """
    kept = scores[:, rules.kept]
    answered = np.asarray(~np.isnan(kept).any(axis=1))
    passes = (kept >= rules.thresholds) & (kept != -np.inf) & answered[:, None]
    order = np.lexsort((-kept, ~passes), axis=1)[:, : rules.ranks]
    taken = np.take_along_axis(passes, order, axis=1)
    labels = np.where(taken, order, NO_LABEL).astype(np.int32)
    shown = taken if rules.gives_scores else np.zeros_like(taken)
    best = np.where(shown, np.take_along_axis(kept, order, axis=1), np.float32(np.nan))
    missing = rules.ranks - labels.shape[1]
    if missing:  # the cap exceeds the labels, or the none label has no score of its own
        labels = np.pad(labels, ((0, 0), (0, missing)), constant_values=NO_LABEL)
        best = np.pad(best, ((0, 0), (0, missing)), constant_values=np.nan)
    if rules.none_label is not None:
        labels[answered & (labels[:, 0] == NO_LABEL), 0] = rules.none_label
    return Accepted(labels, best, answered)


class Status(IntEnum):
    """What happened to a text; the worst over its models counts."""

    OK = 0
    EMPTY = 1
    TRUNCATED = 2
    FAILED = 3


@dataclass(frozen=True)
class Answers:
    """What all models say about the rows of one chunk.

    Attributes:
        scores: one array per model, [rows × its labels] float32, NaN where there is no answer.
        accepted: one per model.
        status: a ``Status`` per row, [rows] uint8.
        errors: for failed rows, the models and their reasons; else null, [rows] string.
        spent: what they cost.
    """

    scores: tuple[Floats, ...]
    accepted: tuple[Accepted, ...]
    status: Statuses
    errors: pa.StringArray
    spent: Spent = field(default_factory=Spent)
