"""What a model says of texts, laid beside what people say."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from labelf_cli.gold import Labels, indicators, unknown

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """What one model says of texts, beside what people say.

    Attributes:
        labels: first those that a score stands for, then what else was answered or is gold.
        gold: which labels are right, [texts × labels].
        answers: which labels were answered, [texts × labels]; none where nothing was accepted.
        covered: whether a prediction was accepted, [texts].
        answered: whether there is an answer, if only that nothing passes, [texts].
        scores: [texts × the first labels] float32, NaN where there is no answer; None where only
            some of them are known.
        multi_label: whether several labels may hold for one text.
    """

    labels: tuple[str, ...]
    gold: Booleans
    answers: Booleans
    covered: Booleans
    answered: Booleans
    scores: Floats | None
    multi_label: bool

    @property
    def right(self) -> Booleans:
        """Whether the answer is just the gold one, [texts]; no answer is wrong."""
        return np.asarray((self.gold == self.answers).all(axis=1) & self.answered)

    def take(self, rows: Ints) -> "Judged":
        """Some of the texts, by their positions."""
        return replace(
            self,
            gold=self.gold[rows],
            answers=self.answers[rows],
            covered=self.covered[rows],
            answered=self.answered[rows],
            scores=None if self.scores is None else self.scores[rows],
        )


@dataclass(frozen=True)
class Said:
    """What a model says of rows.

    Attributes:
        labels: names; first those that a score stands for.
        answers: which of them were answered, [rows × labels].
        covered: whether a prediction was accepted, [rows].
        answered: whether there is an answer, if only that nothing passes, [rows].
        scores: [rows × the first labels] float32, NaN where there is no answer; None where only
            some are known.
        none_label: the answer when nothing passes, if no score stands for it.
    """

    labels: tuple[str, ...]
    answers: Booleans
    covered: Booleans
    answered: Booleans
    scores: Floats | None
    none_label: str | None


@dataclass(frozen=True)
class Evaluated:
    """What is measured of one model, and what is left out of it.

    Attributes:
        name: of the model.
        judged: what it says beside what people say.
        ungold: rows without a gold label, which are left out.
        unanswered: rows with one, but no answer: failed, blank or not asked. They count as wrong.
        unknown: rows by gold label that the model can't give. They count as wrong.
    """

    name: str
    judged: Judged
    ungold: int
    unanswered: int
    unknown: Counter[str]


def judge(
    name: str, said: Said, gold: Sequence[Labels], ungold: int, *, multi_label: bool
) -> Evaluated:
    """Compare answers with gold.

    A none label says that no label holds. Where one label holds, it is one like any other if gold
    has it.

    Args:
        name: of the model.
        said: by the model.
        gold: of the same rows.
        ungold: how many more rows there were, without gold.
        multi_label: whether several labels may hold for one text.
    """
    answers = said.answers
    is_gold = any(said.none_label in labels for labels in gold)
    if said.none_label is not None and (multi_label or not is_gold):
        gold = [tuple(one for one in labels if one != said.none_label) for labels in gold]
        answers = answers & (np.array(said.labels) != said.none_label)
    strange = unknown(gold, said.labels)
    labels = (*said.labels, *sorted(strange))
    answers = np.pad(answers, ((0, 0), (0, len(strange))))
    compared = Judged(
        labels,
        indicators(gold, labels),
        answers,
        said.covered,
        said.answered,
        said.scores,
        multi_label,
    )
    return Evaluated(name, compared, ungold, int((~said.answered).sum()), strange)
