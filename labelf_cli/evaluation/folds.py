"""What is found about a model on some labelled texts, tried on others: temperature, thresholds."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import KFold

from labelf_cli.evaluation.calibration import fit_temperature, heated, loss
from labelf_cli.evaluation.judged import Booleans, Floats, Ints
from labelf_cli.evaluation.metrics import Figures, figures
from labelf_cli.evaluation.scoring import Scored, judged
from labelf_cli.evaluation.thresholds import Goal
from labelf_cli.gold import indicators
from labelf_cli.model_keys import Activation

FOLDS = 5

_SEED = 0


@dataclass(frozen=True)
class Heat:
    """A temperature beside the model's own: what is found on all texts, and without each fold."""

    final: float = 1.0
    by_fold: tuple[float, ...] = (1.0,) * FOLDS


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the labels that are kept by the filter.

    Attributes:
        final: found on all texts, [labels] float64; NaN where the model's own is kept.
        held_out: for each text those that are found without its fold, [texts × labels] float32.
    """

    final: npt.NDArray[np.float64]
    held_out: Floats


@dataclass(frozen=True)
class Folds:
    """A model's scores and gold, cut into folds.

    Attributes:
        scored: the scores.
        gold: which of the model's labels are right, [texts × labels].
        splits: for each fold the texts outside of it, and those in it.
    """

    scored: Scored
    gold: Booleans
    splits: tuple[tuple[Ints, Ints], ...]

    @classmethod
    def of(cls, scored: Scored) -> "Folds":
        """Cut at random, the same way every time; there are at least as many texts as folds."""
        labels = scored.model.labels.value
        known = [tuple(one for one in its if one in labels) for its in scored.gold]
        folds = KFold(FOLDS, shuffle=True, random_state=_SEED)
        return cls(scored, indicators(known, labels), tuple(folds.split(scored.scores)))

    def figures(self, heat: Heat, thresholds: Thresholds | None = None) -> Figures:
        """How good the model is with what was found, each text by what was found without it."""
        scored, rules = self._heated(heat), self.scored.model.rules
        if thresholds is not None:  # those of each text
            rules = replace(rules, thresholds=thresholds.held_out)
        return figures(judged(scored, rules).judged, resamples=0)

    def _heated(self, heat: Heat) -> Scored:
        scores = self.scored.scores.copy()
        for (_, unseen), temperature in zip(self.splits, heat.by_fold, strict=True):
            scores[unseen] = heated(scores[unseen], self._activation, temperature)
        return replace(self.scored, scores=scores)

    @property
    def _activation(self) -> Activation:
        return self.scored.model.activation.value

    def heat(self) -> Heat | None:
        """The temperature; None where held-out scores do not become better by it."""
        scores, gold = self.scored.scores, self.gold
        heat = Heat(
            fit_temperature(scores, gold, self._activation),
            tuple(fit_temperature(scores[s], gold[s], self._activation) for s, _ in self.splits),
        )
        before = loss(scores, gold, self._activation)
        after = loss(self._heated(heat).scores, gold, self._activation)
        return heat if after < before else None

    def thresholds(self, heat: Heat, goal: Goal) -> Thresholds:
        """The thresholds that reach a goal; labels of fewer texts than folds keep theirs."""
        own = self.scored.model.rules.thresholds
        held_out = np.empty((len(self.gold), len(own)), np.float32)
        for (seen, unseen), temperature in zip(self.splits, heat.by_fold, strict=True):
            found = self._found(seen, temperature, goal)
            held_out[unseen] = np.where(np.isnan(found), own, found)
        return Thresholds(self._found(np.arange(len(self.gold)), heat.final, goal), held_out)

    @property
    def is_rare(self) -> Booleans:
        """Which of the labels that are kept by the filter have fewer texts than folds."""
        rare = self.gold[:, self.scored.model.rules.kept].sum(axis=0) < FOLDS
        return np.asarray(rare)

    def _found(self, rows: Ints, temperature: float, goal: Goal) -> npt.NDArray[np.float64]:
        rules = self.scored.model.rules
        scores = heated(self.scored.scores[rows], self._activation, temperature)
        gold = self.gold[np.ix_(rows, rules.kept)]
        found = goal(scores[:, rules.kept], gold, self.is_rare, rules.multi_label)
        return np.where(self.is_rare & ~(found > rules.thresholds), np.nan, found)
