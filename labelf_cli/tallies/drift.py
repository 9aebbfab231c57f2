"""What changed between an earlier run and this one, as far as counts tell."""

from collections import Counter
from dataclasses import dataclass

from labelf_cli.predictions import Floats
from labelf_cli.tallies.answers import AnswerTally
from labelf_cli.tallies.interface import Ints


@dataclass(frozen=True)
class LabelDrift:
    """The share of one label before and now; None for no label."""

    label: str | None
    before: float
    now: float

    @property
    def change(self) -> float:
        """From before to now."""
        return self.now - self.before


@dataclass(frozen=True)
class Drift:
    """How a model's answers drifted.

    Attributes:
        rows_before: of the earlier run.
        labels: those that moved most first.
        distance: total variation distance of the labels' shares, see ``total_variation``; None
            where several labels may hold for one text.
        new, gone: labels that only this run has, or only the earlier one.
        score_before, score_now: mean scores of the best labels; None where there is none.
        edges_before, histogram_before: see ``AnswerTally.histogram``.
    """

    rows_before: int
    labels: tuple[LabelDrift, ...]
    distance: float | None
    new: tuple[str, ...]
    gone: tuple[str, ...]
    score_before: float | None
    score_now: float | None
    edges_before: Floats
    histogram_before: Ints

    @property
    def score_change(self) -> float | None:
        """Of the mean score."""
        if self.score_before is None or self.score_now is None:
            return None
        return self.score_now - self.score_before


def drift(before: AnswerTally, now: AnswerTally, *, multi_label: bool) -> Drift:
    """Compare two tallies of the same model."""
    first, second = _shares(before), _shares(now)
    labels = [
        LabelDrift(label, first.get(label, 0.0), second.get(label, 0.0))
        for label in dict.fromkeys((*second, *first))
    ]
    labels.sort(key=lambda one: -abs(one.change))
    named = before.labels.keys(), now.labels.keys()
    return Drift(
        before.rows,
        tuple(labels),
        None if multi_label else total_variation(labels),
        tuple(label for label in named[1] if label not in named[0]),
        tuple(label for label in named[0] if label not in named[1]),
        before.mean_score,
        now.mean_score,
        *before.histogram,
    )


def _shares(tally: AnswerTally) -> dict[str | None, float]:
    counts: Counter[str | None] = Counter(dict(tally.labels))
    if tally.unlabelled:
        counts[None] = tally.unlabelled
    return {label: count / max(tally.rows, 1) for label, count in counts.items()}


def total_variation(labels: list[LabelDrift]) -> float:
    """Total variation distance: half the sum of the shares' absolute changes, from 0 to 1.

    It is the share of rows that need another label for both runs to have the same shares (Levin,
    Peres and Wilmer, Markov Chains and Mixing Times, 2009, proposition 4.2).
    """
    return sum(abs(one.change) for one in labels) / 2
