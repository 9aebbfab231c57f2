"""Scores of models for a labelled table, by the kernel that classifies."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from labelf_cli.classifiers.interface import Model
from labelf_cli.config import Config
from labelf_cli.errors import ConfigError, did_you_mean
from labelf_cli.evaluation.judged import Evaluated, Said, judge
from labelf_cli.evaluation.labelled import LabelledTable, no_gold
from labelf_cli.gold import Labels
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import NO_LABEL, Floats, Rules, accept
from labelf_cli.rows import Rows
from labelf_cli.run import Progress
from labelf_cli.run_settings import CHUNK_ROWS
from labelf_cli.sources.rejects import FailOnBadRows


@dataclass(frozen=True)
class Scored:
    """A model's scores for the rows that have a gold label for it.

    Attributes:
        model: as labelf understood it.
        is_windowed: whether its scores may be pooled from those of windows.
        scores: [rows × its labels] float32, NaN where it has no answer. They grow with the rows.
        gold: of each row.
        ungold: how many rows have no gold label, and are left out.
    """

    model: Model
    is_windowed: bool
    scores: Floats
    gold: tuple[Labels, ...]
    ungold: int


def score(
    config: Config,
    threads: int,
    cache: Path | None,
    table: LabelledTable,
    progress: Callable[[Progress], None],
) -> list[Scored]:
    """Run the models over the table; those without gold only where others wait for them.

    Args:
        config: the models.
        threads: size of the pool.
        cache: file that keeps logits across runs; None for none.
        table: texts with gold.
        progress: told after each chunk.

    Raises:
        UsageError: something can't be used.
        RunError: something broke on the way.
    """
    config = config.only(_needed(config, list(table.gold)))
    source, where = table.open(table.text_columns or config.input.text_column)
    with Labeller.open(config, threads, cache) as labeller:
        found = _collectors(labeller, table)
        rows = Rows(source, None, (), CHUNK_ROWS)
        done = 0
        for chunk, answers in labeller.load().label(rows.chunks(FailOnBadRows(or_else=""))):
            for its in found:
                its.add(chunk.batch, answers.scores[its.number])
            rows.answered(chunk)
            done += chunk.num_rows
            progress(Progress(done, rows.expected))
    return [its.scored(where) for its in found]


def _needed(config: Config, names: list[str]) -> tuple[str, ...]:
    """These models, and those whose answers they wait for.

    Raises:
        ConfigError: there is no such model.
    """
    by_name = {model.name: model for model in config.models}
    for name in names:
        if name not in by_name:
            raise ConfigError(f"no model is named '{name}'", todo=did_you_mean(name, list(by_name)))
    wanted, todo = set(names), list(names)
    while todo:
        for parent in by_name[todo.pop()].only_where:
            if parent not in wanted:
                wanted.add(parent)
                todo.append(parent)
    return tuple(name for name in by_name if name in wanted)


class _Collector:
    """Takes from chunk to chunk what one model says of the rows with gold."""

    def __init__(
        self, model: Model, number: int, table: LabelledTable, *, is_windowed: bool
    ) -> None:
        self.number = number
        self._model, self._table, self._is_windowed = model, table, is_windowed
        self._scores: list[Floats] = []
        self._gold: list[Labels] = []
        self._ungold = 0

    def add(self, batch: pa.RecordBatch, scores: Floats) -> None:
        gold = self._table.labels(batch, self._model.name, several=self._model.rules.multi_label)
        labelled = [row for row, labels in enumerate(gold) if labels is not None]
        self._scores.append(scores[labelled])
        self._gold += [labels for labels in gold if labels is not None]
        self._ungold += len(gold) - len(labelled)

    def scored(self, where: str) -> Scored:
        """All of them.

        Raises:
            InputError: there are none.
        """
        if not self._gold:
            raise no_gold(self._table.gold[self._model.name], where)
        return Scored(
            self._model,
            self._is_windowed,
            np.concatenate(self._scores),
            tuple(self._gold),
            self._ungold,
        )


def _collectors(labeller: Labeller, table: LabelledTable) -> list[_Collector]:
    """One for each model that has gold, in the order of the models."""
    windowed = {
        model.name: group.stride is not None and model.pooling != "first"
        for group in labeller.groups
        for model in group.models
    }
    return [
        _Collector(model, number, table, is_windowed=windowed[model.name])
        for number, model in enumerate(labeller.models)
        if model.name in table.gold
    ]


def judged(scored: Scored, rules: Rules | None = None) -> Evaluated:
    """Compare a model's answers with gold, by its own rules or by others."""
    rules = rules or scored.model.rules
    accepted = accept(scored.scores, rules)
    # Where one label holds, the best is the answer, whatever else passes.
    labels = accepted.labels if rules.multi_label else accepted.labels[:, :1]
    answers = np.zeros((len(scored.gold), len(rules.labels)), bool)
    row, rank = np.nonzero(labels != NO_LABEL)
    answers[row, labels[row, rank]] = True
    passed = accept(scored.scores, replace(rules, none_label=None)).labels[:, 0]
    said = Said(
        rules.labels,
        answers,
        np.asarray(passed != NO_LABEL),
        accepted.answered,
        scored.scores[:, rules.kept] if rules.gives_scores else None,
        _unscored_none_label(rules),
    )
    return judge(scored.model.name, said, scored.gold, scored.ungold, multi_label=rules.multi_label)


def _unscored_none_label(rules: Rules) -> str | None:
    if rules.none_label is None or rules.none_label < len(rules.kept):
        return None
    return rules.labels[rules.none_label]
