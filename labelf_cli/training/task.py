"""What a model learns to tell: one label a text, or several."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from labelf_cli.choices import ClassWeight
from labelf_cli.evaluation.judged import Booleans, Ints
from labelf_cli.training.interface import Features, Weights

Split = tuple[Ints, Ints]
"""Texts to learn from, and texts to judge by."""


class Linear(NamedTuple):
    """A model: weights [features × labels] and bias [labels]."""

    weights: Weights
    bias: Weights

    def logits(self, features: Features) -> npt.NDArray[np.float64]:
        """What it says of some texts, [texts × labels]."""
        return np.asarray(features @ self.weights + self.bias)


class Task(ABC):
    """Logistic regression on labels of one kind.

    Attributes:
        problem_type: as transformers names it.
    """

    problem_type: str

    def __init__(self, inverse_regularisation: float, class_weight: ClassWeight) -> None:
        self._c = inverse_regularisation
        self._class_weight = None if class_weight is ClassWeight.NONE else class_weight.value

    def fit(self, features: Features, gold: Booleans, tolerance: float) -> Linear:
        """Learn.

        Args:
            features: [texts × features].
            gold: which labels each text has, [texts × labels].
            tolerance: of the gradient.
        """
        # Products are too small for more than one thread, and the sums do not depend on cores then.
        with threadpool_limits(1):
            return self._fit(features, gold, tolerance)

    def _regression(self, tolerance: float) -> LogisticRegression:
        return LogisticRegression(
            C=self._c, tol=tolerance, max_iter=10_000, class_weight=self._class_weight
        )

    @abstractmethod
    def _fit(self, features: Features, gold: Booleans, tolerance: float) -> Linear: ...

    @abstractmethod
    def answers(self, logits: npt.NDArray[np.float64]) -> Booleans:
        """Which labels are answered, [texts × labels]."""

    @abstractmethod
    def splits(self, gold: Booleans, texts: Ints, folds: int) -> Iterator[Split]:
        """Cut into folds; equal texts stay in one.

        Args:
            gold: [texts × labels].
            texts: numbers the distinct texts, [texts] int64.
            folds: at least two.
        """


class OneLabel(Task):
    """Just one label holds; the best is the answer."""

    problem_type = "single_label_classification"

    def _fit(self, features: Features, gold: Booleans, tolerance: float) -> Linear:
        model = self._regression(tolerance).fit(features, gold.argmax(axis=1))
        weights, bias = model.coef_.T, model.intercept_
        if len(bias) == 1:  # softmax over (0, z) is the sigmoid of z
            weights = np.hstack([np.zeros_like(weights), weights])
            bias = np.concatenate([[0.0], bias])
        if len(bias) == gold.shape[1]:
            return Linear(weights, bias)
        # Of a label without a text nothing is learned, and it is never the best.
        found = Linear(np.zeros((len(weights), gold.shape[1])), np.full(gold.shape[1], -np.inf))
        found.weights[:, model.classes_], found.bias[model.classes_] = weights, bias
        return found

    def answers(self, logits: npt.NDArray[np.float64]) -> Booleans:
        """See ``Task.answers``."""
        return np.asarray(np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None])

    def splits(self, gold: Booleans, texts: Ints, folds: int) -> Iterator[Split]:
        """See ``Task.splits``; each label is spread over all of them."""
        yield from StratifiedGroupKFold(folds).split(texts, gold.argmax(axis=1), texts)


class SeveralLabels(Task):
    """Any number of labels hold; each has a regression of its own, against all other texts."""

    problem_type = "multi_label_classification"

    def _fit(self, features: Features, gold: Booleans, tolerance: float) -> Linear:
        models = [self._one(features, has, tolerance) for has in gold.T]
        return Linear(np.hstack([m.weights for m in models]), np.hstack([m.bias for m in models]))

    def _one(self, features: Features, has: Booleans, tolerance: float) -> Linear:
        if has.all() or not has.any():  # a fold may lack a rare label
            odds = np.log((has.sum() + 0.5) / (len(has) - has.sum() + 0.5))
            return Linear(np.zeros((features.shape[1], 1)), np.array([odds]))
        model = self._regression(tolerance).fit(features, has)
        return Linear(model.coef_.T, model.intercept_)

    def answers(self, logits: npt.NDArray[np.float64]) -> Booleans:
        """See ``Task.answers``: what sigmoid gives at least a half."""
        return np.asarray(logits >= 0)

    def splits(self, gold: Booleans, texts: Ints, folds: int) -> Iterator[Split]:
        """See ``Task.splits``."""
        yield from GroupKFold(folds, shuffle=True, random_state=0).split(texts, gold, texts)
