"""The tuner: races are fair, the winner stays in the folder."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import WriteModel

from labelf_cli.classifiers.interface import Batching, Because, Group
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.classifiers.tuning import Tuning
from labelf_cli.config import ModelConfig
from labelf_cli.made_up import made_up_texts
from labelf_cli.predictions import Floats
from labelf_cli.tokens import Ints, TokenIds
from labelf_cli.tuner import MARGIN, Course, Progress, open_model, tune

TEXTS = made_up_texts(["bill", "signal", "tv"], 200)


class Slow(OnnxClassifier):
    """Takes its time for each call, and counts them."""

    def __init__(self, path: Path, delay: float) -> None:
        super().__init__([ModelConfig(name="m", path=path)], {})
        self._delay = delay
        self.calls = 0

    def load(self) -> Because[Batching]:
        return Because(Batching.ONE_TEXT, "it says so")

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        time.sleep(self._delay)
        self.calls += 1
        return super().logits(ids, rows)


@dataclass(frozen=True)
class Scripted(Course):
    """Its races end as they are told to; it keeps who took part.

    A speed stands for three rounds, the slowest of them half of ``spread`` below it.
    """

    speeds: list[float] = field(default_factory=list)
    spread: float = 0.0
    met: list[tuple[int, int]] = field(default_factory=list)

    def race(
        self, one: Group, other: Group, rounds: int, shown: str, progress: Progress
    ) -> tuple[float, ...]:
        self.met.append((one.token_budget, other.token_budget))
        progress(f"{shown} {rounds}")
        speed = self.speeds.pop(0)
        return (speed + self.spread / 2, speed, speed - self.spread / 2)


class TestCourse:
    def test_the_faster_model_is_found(self, write_model: WriteModel) -> None:
        path = write_model()
        course = Course(tuple(TEXTS[:20]), threads=2)
        told: list[str] = []
        speeds = course.race(Slow(path, 0.02), Slow(path, 0.005), 3, "it", told.append)
        assert len(speeds) == 3
        assert 1.2 < sorted(speeds)[1] < 6  # 4, but for what others do on the machine
        assert told == [f"measuring it, round {n} of 3" for n in (1, 2, 3)]

    def test_a_text_is_computed_each_time(self, write_model: WriteModel) -> None:
        group = Slow(write_model(), 0.005)
        course = Course(tuple(TEXTS[:10]), threads=1)
        assert min(course.seconds(group), course.seconds(group)) >= 10 * 0.005

    def test_so_many_texts_are_taken_as_the_time_allows(self, write_model: WriteModel) -> None:
        group = Slow(write_model(), 0.002)
        course = Course.of(group, TEXTS, threads=1, seconds=0.2)
        assert 1 < len(course.texts) < 150
        assert course.texts == tuple(TEXTS[: len(course.texts)])

    def test_a_slow_model_gets_at_least_one(self, write_model: WriteModel) -> None:
        assert len(Course.of(Slow(write_model(), 0.005), TEXTS, 1, 0.001).texts) == 1

    @pytest.mark.parametrize("count", [20, 5])
    def test_all_are_taken_again_and_again_if_they_take_less(
        self, write_model: WriteModel, count: int
    ) -> None:
        group = Slow(write_model(), 0.001)
        course = Course.of(group, TEXTS[:count], 1, seconds=2)
        assert course.texts == tuple(TEXTS[:count])
        assert 1 < course.laps <= 20
        calls = {}
        for laps in (1, course.laps):
            before = group.calls
            Course(course.texts, 1, laps).seconds(group)
            calls[laps] = group.calls - before
        assert calls[course.laps] == course.laps * calls[1] > 0


class TestTune:
    def tuned(
        self, folder: Path, speeds: list[float], start: Tuning | None = None, spread: float = 0
    ) -> tuple[Scripted, Tuning, list[tuple[tuple[str, ...], int, bool]]]:
        course = Scripted((), 1, speeds=speeds, spread=spread)
        found = tune(folder, start or Tuning(), course, lambda _: None)
        assert json.loads((folder / "labelf.json").read_text()) == json.loads(
            found.tuning.model_dump_json()
        )
        assert found.group.token_budget == found.tuning.token_budget
        assert all(trial.speed > MARGIN for trial in found.trials if trial.kept)
        trials = [
            (trial.tuning.disabled_optimizers, trial.tuning.token_budget, trial.kept)
            for trial in found.trials
        ]
        return course, found.tuning, trials

    def test_the_start_stays_where_nothing_wins(self, write_model: WriteModel) -> None:
        course, tuning, trials = self.tuned(write_model(), [1.0, 0.9, 1.01, 1.0, 0.5])
        assert tuning == Tuning()
        assert [budget for _, budget, _ in trials] == [512, 512, 256, 1024, 8192]
        assert not any(kept for *_, kept in trials)
        assert [one for one, _ in course.met] == [512] * 5

    def test_what_does_not_win_every_round_has_not_won(self, write_model: WriteModel) -> None:
        _, tuning, trials = self.tuned(write_model(), [1.1] * 5, spread=0.3)
        assert tuning == Tuning()
        assert not any(kept for *_, kept in trials)

    def test_each_is_tried_against_the_best_before(self, write_model: WriteModel) -> None:
        course, tuning, trials = self.tuned(write_model(), [1.1, 0.9, 1.0, 1.2, 1.3])
        assert tuning == Tuning(disabled_optimizers=(), token_budget=8192)
        assert [disabled for disabled, *_ in trials[2:]] == [()] * 3
        assert course.met[2:] == [(512, 256), (512, 1024), (1024, 8192)]

    def test_the_model_s_own_settings_are_where_it_starts(self, write_model: WriteModel) -> None:
        start = Tuning(disabled_optimizers=("GeluFusionL1",), token_budget=8192)
        course, tuning, _ = self.tuned(write_model(), [1.0] * 6, start)
        assert tuning == start
        assert [other for _, other in course.met] == [8192, 8192, 8192, 256, 512, 1024]

    def test_budgets_are_not_tried_for_one_text_a_call(self, write_model: WriteModel) -> None:
        folder = write_model(moves="batch")
        assert open_model(folder).load().value is Batching.ONE_TEXT
        _, _, trials = self.tuned(folder, [1.0, 1.0])
        assert len(trials) == 2


def test_a_second_load_costs_no_second_probe(write_model: WriteModel) -> None:
    group = open_model(write_model())
    assert group.load() is group.load()


@pytest.mark.parametrize("seconds", [0.01, 0.03])
def test_the_winner_is_what_classify_reads(write_model: WriteModel, seconds: float) -> None:
    folder = write_model()
    course = Course.of(open_model(folder), TEXTS, 2, seconds)
    found = tune(folder, Tuning(), course, lambda _: None)
    assert open_model(folder).token_budget == found.tuning.token_budget
