"""Which texts each model is asked about: some wait for what others say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

import numpy as np
import numpy.typing as npt

from labelf_cli.classifiers.interface import Model
from labelf_cli.errors import ConfigError, did_you_mean
from labelf_cli.predictions import Accepted, Floats, Rules, Status, Statuses, accept
from labelf_cli.tokens import Ints

Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """What a model says about the distinct texts of a chunk, as far as it has been asked.

    Attributes:
        asked: whether it is to be asked, as far as the others have answered, [texts + 1].
        scores: [texts + 1 × its labels] float32, NaN where there is no answer.
        accepted: its predictions.
        status: a ``Status`` per text, [texts + 1] uint8.
        failures: why the failed texts failed.
    """

    asked: Booleans
    scores: Floats
    accepted: Accepted
    status: Statuses
    failures: dict[int, str]


class Hierarchy:
    """The order in which models have to answer, and for which texts.

    Attributes:
        is_flat: whether each model is asked about every text.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        """Take all models of a run.

        Raises:
            ConfigError: a model waits for a label that another does not give.
        """
        self._rules = [model.rules for model in models]
        number_of = {model.name: number for number, model in enumerate(models)}
        self._conditions = [
            [
                (number_of[name], _positions(model, name, labels, self._rules[number_of[name]]))
                for name, labels in model.only_where.items()
            ]
            for model in models
        ]
        self.is_flat = not any(self._conditions)
        parents = {at: [parent for parent, _ in its] for at, its in enumerate(self._conditions)}
        self._order = tuple(TopologicalSorter(parents).static_order())

    def judge(
        self, of_model: Callable[[int], tuple[Floats, Statuses, dict[int, str]]]
    ) -> list[Verdict]:
        """What each model says, in the order of the models.

        Args:
            of_model: gives scores, statuses and failures of one, by its number; they are changed.
        """
        verdicts: dict[int, Verdict] = {}
        for number in self._order:
            scores, status, failures = of_model(number)
            asked = np.ones(len(scores), bool)
            for parent, labels in self._conditions[number]:
                asked &= _says(verdicts[parent].accepted, self._rules[parent], labels)
            scores[~asked], status[~asked] = np.nan, Status.OK
            failures = {place: why for place, why in failures.items() if asked[place]}
            accepted = accept(scores, self._rules[number])
            verdicts[number] = Verdict(asked, scores, accepted, status, failures)
        return [verdicts[number] for number in range(len(self._rules))]


def _says(accepted: Accepted, rules: Rules, labels: Ints) -> Booleans:
    """Where a model's answer is one of some labels; of several that may hold, any of them."""
    answers = accepted.labels if rules.multi_label else accepted.labels[:, :1]
    return np.asarray(np.isin(answers, labels).any(axis=1))


def _positions(model: Model, parent: str, labels: Sequence[str], rules: Rules) -> Ints:
    for label in labels:
        if label not in rules.labels:
            raise ConfigError(
                f"the model '{parent}' never answers '{label}'",
                where=f"model '{model.name}', only_where",
                todo=did_you_mean(label, list(rules.labels)),
            )
    return np.array([rules.labels.index(label) for label in labels], np.int64)
