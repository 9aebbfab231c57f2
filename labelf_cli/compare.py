"""Two models over the same texts: how far they agree."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labelf_cli.chunk import text_chunks
from labelf_cli.classifiers.interface import Group
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Rules


@dataclass(frozen=True)
class Agreement:
    """How far one model agrees with another.

    Attributes:
        texts: how many the first could answer.
        share: of them, those with the same best label; with the same accepted labels where
            several may hold.
        largest_change: of a score.
    """

    texts: int
    share: float
    largest_change: float


def agreement(
    one: Group,
    other: Group,
    texts: Sequence[str],
    threads: int,
    progress: Callable[[int], None],
) -> Agreement:
    """What becomes of one model's answers in another with the same labels.

    Args:
        one: the model that counts as right.
        other: the model that is compared with it.
        texts: to classify.
        threads: size of the pool.
        progress: told how many texts are done.
    """
    answered, same, changes = 0, 0, [0.0]
    rules = one.models[0].rules
    for its, others in zip(
        _answers(one, texts, threads), _answers(other, texts, threads), strict=True
    ):
        answered += int(its.accepted[0].answered.sum())
        same += int(_same(its, others, rules).sum())
        moved = np.abs(its.scores[0] - others.scores[0])
        changes.append(float(moved[~np.isnan(moved)].max(initial=0)))
        progress(answered)
    return Agreement(answered, same / max(answered, 1), max(changes))


def _same(its: Answers, others: Answers, rules: Rules) -> npt.NDArray[np.bool_]:
    """For which rows both have an answer and say the same, [rows]."""
    one, other = its.accepted[0], others.accepted[0]
    if rules.multi_label:
        same = (np.sort(one.labels, axis=1) == np.sort(other.labels, axis=1)).all(axis=1)
    else:
        same = one.labels[:, 0] == other.labels[:, 0]
    return np.asarray(same & one.answered & other.answered)


def _answers(group: Group, texts: Sequence[str], threads: int) -> Iterator[Answers]:
    with Labeller([group], threads) as labeller:
        for _, answers in labeller.load().label(text_chunks(texts)):
            yield answers
