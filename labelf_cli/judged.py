"""What a model says of texts, laid beside what people say, as arrays."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

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
