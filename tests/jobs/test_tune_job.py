"""The tune job: what is better on held-out folds is written, the rest is kept and told."""

import csv
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import WORDS, WriteModel

from labelf_cli.choices import Part
from labelf_cli.chunk import text_chunks
from labelf_cli.config import Config, ModelConfig
from labelf_cli.config_file import load_config
from labelf_cli.errors import InputError, OutputError, UsageError
from labelf_cli.evaluation.labelled import LabelledTable
from labelf_cli.jobs.evaluate import EvaluateSettings, evaluate
from labelf_cli.jobs.tune import Tuned, TuneSettings, tune
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Floats

LABELS = ("yes", "no", "maybe")
RANDOM = np.random.default_rng(0)
TEXTS = [" ".join(RANDOM.choice(WORDS[4:], 1 + n % 9)) for n in range(3000)]
SEVERAL = {"problem_type": "multi_label_classification"}


class Place:
    """A folder with a model, its config and a table whose gold follows from the model's logits."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.config, self.table = folder, folder / "models.toml", folder / "t.csv"
        self.output = folder / "tuned.toml"
        self._path = model
        self.write_config("")

    def write_config(self, keys: str) -> None:
        entry = f'[[models]]  # mine\nname = "m"\npath = "{self._path}"\n'
        self.config.write_text(f"{entry}{keys}")

    def logits(self) -> Floats:
        model = {"name": "m", "path": self._path, "activation": "none"}
        with Labeller.open(Config.model_validate({"models": [model]}), 1) as labeller:
            labelled = list(labeller.load().label(text_chunks(TEXTS)))
        return np.concatenate([answers.scores[0] for _, answers in labelled])

    def write_table(self, gold: list[str]) -> None:
        with self.table.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "gold"), *zip(TEXTS, gold, strict=True)])

    def tune(self, **settings: Any) -> Tuned:  # noqa: ANN401
        table = LabelledTable((str(self.table),), {"m": "gold"})
        (tuned,) = tune(
            TuneSettings(table, self.config, self.output, 2, **settings), lambda _: None
        )
        return tuned


def drawn(logits: Floats, temperature: float) -> list[str]:
    """Labels drawn by the scores that a temperature gives."""
    e = np.exp(logits / temperature)
    sums = np.cumsum(e / e.sum(axis=1, keepdims=True), axis=1)
    places = (RANDOM.random(len(logits))[:, None] > sums).sum(axis=1)
    return [LABELS[min(place, 2)] for place in places.tolist()]


@pytest.fixture
def one_label(write_model: WriteModel, tmp_path: Path) -> Place:
    """A model that is three times as sure as it is right."""
    place = Place(tmp_path, write_model())
    place.write_table(drawn(place.logits(), 3.0))
    return place


@pytest.fixture
def several_labels(write_model: WriteModel, tmp_path: Path) -> Place:
    """A model whose labels hold where their logits are over another number than 0, with noise."""
    place = Place(tmp_path, write_model(config=SEVERAL))
    logits = place.logits() + RANDOM.normal(size=(len(TEXTS), 3)) * 0.3
    held = logits > np.array([1.0, -1.0, 1.5])
    place.write_table(
        [json.dumps([n for n, h in zip(LABELS, row, strict=True) if h]) for row in held]
    )
    return place


class TestTemperature:
    def test_makes_scores_as_sure_as_they_are_right(self, one_label: Place) -> None:
        tuned = one_label.tune()
        assert tuned.temperature == pytest.approx(3, rel=0.15)
        before, after = tuned.before, tuned.after
        assert (after.log_loss or 9) < (before.log_loss or 0)
        assert (after.calibration_error or 9) < 0.5 * (before.calibration_error or 0)
        (model,) = load_config(one_label.output).models
        assert isinstance(model, ModelConfig)
        assert model.calibration_temperature == tuned.temperature

    def test_is_beside_the_one_that_is_there(self, one_label: Place) -> None:
        alone = one_label.tune(parts=(Part.TEMPERATURE,)).temperature
        one_label.write_config("calibration_temperature = 1.5  # as found in May\n")
        assert one_label.tune(parts=(Part.TEMPERATURE,)).temperature == pytest.approx(
            alone, rel=0.01
        )
        assert "# as found in May" in one_label.output.read_text()

    def test_that_would_not_help_is_not_written(self, one_label: Place) -> None:
        one_label.write_table(drawn(one_label.logits(), 1.0))
        one_label.write_config("calibration_temperature = 1.0\n")
        tuned = one_label.tune(parts=(Part.TEMPERATURE,))
        if tuned.temperature is None:  # as close to 1 as it is found, it may help by chance
            assert tuned.remarks == (
                "The temperature is kept: none makes the log loss on held-out folds smaller.",
            )
            assert one_label.output.read_text() == one_label.config.read_text()
        else:
            assert tuned.temperature == pytest.approx(1, rel=0.15)

    def test_of_a_model_that_is_always_right_is_kept(self, one_label: Place) -> None:
        one_label.write_table([LABELS[best] for best in one_label.logits().argmax(axis=1)])
        tuned = one_label.tune(parts=(Part.TEMPERATURE,))
        assert tuned.before.accuracy == 1
        assert tuned.remarks == (
            (
                "The temperature is kept: the best is beyond all bounds. "
                "Are these the rows that the model has learned from?"
            ),
        )

    @pytest.mark.parametrize(
        ("keys", "why"),
        [
            ('activation = "none"', "the model's activation is none"),
            (
                'on_long = "window"\nmax_length = 6\nstride = 1',
                "scores are pooled from those of windows, behind the temperature",
            ),
        ],
    )
    def test_is_kept_where_it_can_not_be_found(self, keys: str, why: str, one_label: Place) -> None:
        one_label.write_config(keys)
        tuned = one_label.tune(parts=(Part.TEMPERATURE,))
        assert tuned.remarks == (f"The temperature is kept: {why}.",)
        assert one_label.output.read_text() == one_label.config.read_text()

    def test_under_a_threshold_that_is_kept_is_told_by_the_coverage(self, one_label: Place) -> None:
        one_label.write_config("threshold = 0.6\n")
        tuned = one_label.tune(parts=(Part.TEMPERATURE,))
        assert tuned.after.coverage < tuned.before.coverage
        assert tuned.remarks == (
            "The thresholds that are kept let other scores pass now: see the coverage.",
        )

    def test_alone_leaves_thresholds(self, several_labels: Place) -> None:
        tuned = several_labels.tune(parts=(Part.TEMPERATURE,))
        assert not tuned.thresholds
        assert "thresholds]" not in several_labels.output.read_text()


class TestThresholds:
    def test_raise_macro_f1_on_held_out_folds(self, several_labels: Place) -> None:
        tuned = several_labels.tune()
        assert tuned.after.macro_f1 > tuned.before.macro_f1 + 0.05
        assert set(tuned.thresholds) == set(LABELS)
        assert tuned.thresholds["no"] < 0.5 < tuned.thresholds["yes"]
        text = several_labels.output.read_text()
        assert text.startswith("[[models]]  # mine\n")
        assert tomllib.loads(text)["models"][0]["thresholds"] == tuned.thresholds

    def test_are_used_as_they_were_found(self, several_labels: Place) -> None:
        tuned = several_labels.tune()
        config = load_config(several_labels.output)
        table = LabelledTable((str(several_labels.table),), {"m": "gold"})
        (found,) = evaluate(EvaluateSettings(table, config, 2, resamples=0), lambda _: None)
        # On the texts that they were found on they can only look better.
        assert found.figures.macro_f1 >= tuned.after.macro_f1 - 0.01
        assert found.figures.log_loss == pytest.approx(tuned.after.log_loss, rel=0.05)

    def test_reach_a_precision_that_is_asked_for(self, one_label: Place) -> None:
        one_label.write_table(drawn(one_label.logits(), 0.7))
        tuned = one_label.tune(precision=0.9)
        assert tuned.before.precision < 0.85
        assert tuned.after.precision == pytest.approx(0.9, abs=0.03)
        assert tuned.after.covered_accuracy == tuned.after.precision
        assert tuned.after.coverage < 1
        config = load_config(one_label.output)
        table = LabelledTable((str(one_label.table),), {"m": "gold"})
        (found,) = evaluate(EvaluateSettings(table, config, 2, resamples=0), lambda _: None)
        by_label = {its.label: its.precision for its in found.figures.per_label}
        assert min(by_label[label] for label in tuned.thresholds) >= 0.88

    def test_that_do_not_help_are_kept(self, one_label: Place) -> None:
        one_label.write_table([LABELS[place] for place in one_label.logits().argmax(axis=1)])
        tuned = one_label.tune()
        assert not tuned.thresholds
        assert "The thresholds are kept: with those of the best F1, macro F1" in tuned.remarks[-1]
        assert tuned.after.macro_f1 == 1

    def test_of_rare_labels_and_of_those_that_reach_nothing_are_kept(
        self, several_labels: Place
    ) -> None:
        held = [["yes"] if n % 7 else ["no"] for n in range(len(TEXTS))]
        held[0] = ["maybe"]
        several_labels.write_table(list(map(json.dumps, held)))
        tuned = several_labels.tune(precision=0.999, parts=(Part.THRESHOLDS,))
        assert "maybe" not in tuned.thresholds
        rare, missed = tuned.remarks
        assert rare == "Fewer than 5 texts have these labels, whose thresholds are kept: maybe."
        assert missed.startswith("No score of these labels reaches a precision of 0.999")


def test_gold_that_the_model_can_not_give_is_wrong_before_and_after(one_label: Place) -> None:
    one_label.write_table(["else", *["yes"] * (len(TEXTS) - 1)])
    tuned = one_label.tune()
    assert tuned.before.rows == tuned.after.rows == len(TEXTS)
    assert [its.label for its in tuned.after.per_label][-1] == "else"


class TestRefusals:
    def test_fewer_rows_than_folds(self, one_label: Place) -> None:
        one_label.write_table(["yes", "no", "maybe", "yes", *[""] * (len(TEXTS) - 4)])
        with pytest.raises(InputError, match="4 rows have a gold label, fewer than the 5 folds"):
            one_label.tune()
        assert not one_label.output.exists()

    def test_no_gold(self, one_label: Place) -> None:
        table = LabelledTable((str(one_label.table),), {})
        settings = TuneSettings(table, one_label.config, one_label.output, 1)
        with pytest.raises(UsageError, match="Say --gold model=column"):
            tune(settings, lambda _: None)

    def test_a_config_that_would_be_overwritten(self, one_label: Place) -> None:
        one_label.output = one_label.config
        with pytest.raises(OutputError, match="is the config itself"):
            one_label.tune()


def test_json_is_plain(one_label: Place) -> None:
    told = json.loads(json.dumps(one_label.tune().as_json()))
    assert {"temperature", "thresholds", "before", "after", "remarks"} == set(told)
    assert told["after"]["macro_f1"] > 0
