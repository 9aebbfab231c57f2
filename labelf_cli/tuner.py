"""Which settings run a model fastest on this machine."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.interface import Batching, Group
from labelf_cli.classifiers.tuning import TUNING, Tuning
from labelf_cli.config import ModelConfig
from labelf_cli.labeller import Labeller

ROUNDS = 3
MARGIN = 1.02
"""What wins by less, or not in every round, may have won by chance."""

_FUSIONS = (
    ("SkipLayerNormFusion",),
    (),
    ("SkipLayerNormFusion", "BiasGeluFusion", "GeluFusionL1", "GeluFusionL2"),
)
_BUDGETS = (256, 512, 1024, 8192)
_FIRST_TEXTS, _MOST_LAPS = 32, 20

Progress = Callable[[str], None]
"""Told what is done next."""


@dataclass(frozen=True)
class Course:
    """What models race over.

    Attributes:
        texts: distinct ones.
        threads: size of the pool.
        laps: how often a race goes over the texts; few texts would tell chance alone.
    """

    texts: tuple[str, ...]
    threads: int
    laps: int = 1

    @classmethod
    def of(cls, group: Group, texts: Sequence[str], threads: int, seconds: float) -> Self:
        """As many of the texts, as often, as a model takes about so long for."""
        cls(tuple(texts[:1]), threads).seconds(group)  # the first calls take longer
        count = min(_FIRST_TEXTS, len(texts))
        while True:
            course = cls(tuple(texts[:count]), threads)
            took = course.seconds(group)
            if took > seconds / 2:
                count = min(max(round(count * seconds / took), 1), len(texts))
                return cls(tuple(texts[:count]), threads)
            if count == len(texts):
                return cls(course.texts, threads, min(round(seconds / took), _MOST_LAPS))
            count = min(2 * count, len(texts))

    def seconds(self, group: Group) -> float:
        """How long a model takes, loading aside; it knows no text from before."""
        batch = pa.record_batch({TEXT: pa.array(self.texts, pa.string())})
        took = 0.0
        for _ in range(self.laps):
            with Labeller([group], self.threads) as labeller:
                labeller.load()
                began = time.perf_counter()
                labeller.submit(Chunk(0, 0, batch)).result()
                took += time.perf_counter() - began
        return took

    def race(
        self, one: Group, other: Group, rounds: int, shown: str, progress: Progress
    ) -> tuple[float, ...]:
        """How many times as fast the other model is, in each round.

        In each round both run, each first in every second one, so that a noisy machine is as
        unfair to either.
        """
        ratios = []
        for number in range(rounds):
            progress(f"measuring {shown}, round {number + 1} of {rounds}")
            pair = (one, other) if number % 2 else (other, one)
            took = {id(group): self.seconds(group) for group in pair}
            ratios.append(took[id(one)] / took[id(other)])
        return tuple(ratios)


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    Attributes:
        tuning: the settings.
        speed: relative to the best before them; the median over rounds.
        kept: whether they are the best from then on.
    """

    tuning: Tuning
    speed: float
    kept: bool


@dataclass(frozen=True)
class Tuned:
    """A model with the settings that won.

    Attributes:
        group: it runs with them.
        tuning: the settings.
        trials: all that were tried, in their order.
    """

    group: Group
    tuning: Tuning
    trials: tuple[Trial, ...]


def open_model(path: Path) -> Group:
    """A model as ``labelf classify`` runs it, loaded.

    Raises:
        UsageError: its files can't be used.
    """
    (group,) = open_groups([ModelConfig(name="model", path=path.absolute())])
    group.load()
    return group


def tune(folder: Path, start: Tuning, course: Course, progress: Progress) -> Tuned:
    """Try settings, each against the best before it, and leave the winner in the model's folder.

    Only two models are loaded at a time.
    """
    best, best_group = start, _opened_with(folder, start)
    trials = []
    for change in _changes(start, one_text=best_group.load().value is Batching.ONE_TEXT):
        tuning = best.model_copy(update=change)
        group = _opened_with(folder, tuning)
        ratios = course.race(best_group, group, ROUNDS, _shown(change), progress)
        speed = statistics.median(ratios)
        wins = speed > MARGIN and min(ratios) > 1
        trials.append(Trial(tuning, speed, wins))
        if wins:
            best, best_group = tuning, group
    _write(folder, best)
    return Tuned(best_group, best, tuple(trials))


def _changes(start: Tuning, *, one_text: bool) -> Iterator[dict[str, object]]:
    """Other fusions, then other budgets, which make no difference to one text a call."""
    for disabled in _FUSIONS:
        if disabled != start.disabled_optimizers:
            yield {"disabled_optimizers": disabled}
    for budget in () if one_text else _BUDGETS:
        if budget != start.token_budget:
            yield {"token_budget": budget}


def _shown(change: dict[str, object]) -> str:
    return ", ".join(f"{key} {value or 'none'}" for key, value in change.items())


def _opened_with(folder: Path, tuning: Tuning) -> Group:
    _write(folder, tuning)
    return open_model(folder)


def _write(folder: Path, tuning: Tuning) -> None:
    (folder / TUNING).write_text(tuning.model_dump_json(indent=2) + "\n", "utf-8")
