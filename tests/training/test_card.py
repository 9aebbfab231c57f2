"""The card of a model folder."""

import json
import re
from datetime import date
from pathlib import Path

import numpy as np

from labelf_cli.evaluation.judged import Judged
from labelf_cli.evaluation.metrics import figures
from labelf_cli.training.card import CARD, TRAINING, HeldOut, Trained

GOLD = np.array([[True, False], [True, False], [False, True], [False, True]])
ANSWERS = np.array([[True, False], [False, True], [False, True], [False, True]])
FIGURES = figures(
    Judged(("a|b", 'c"'), GOLD, ANSWERS, np.ones(4, bool), np.ones(4, bool), None, False)
)


def trained(held_out: HeldOut | None, made: date | None = None) -> Trained:
    return Trained(
        path=Path("models/m"),
        name="topic: what?",
        rows=4000,
        labels={"a|b": 2500, 'c"': 1500},
        problem_type="single_label_classification",
        features="pieces of words",
        data_sha256="ab" * 32,
        date=made,
        held_out=held_out,
    )


def test_tells_data_date_counts_and_figures() -> None:
    card = trained(HeldOut(5, FIGURES), date(2026, 1, 2)).files()[CARD]
    for line in (
        "# topic: what?",
        "| learned from | 4,000 rows |",
        f"| data | sha256 `{'ab' * 32}` |",
        "| date | 2026-01-02 |",
        "| a\\|b | 2500 | 1.000 | 0.500 | 0.667 |",
        '| c" | 1500 | 0.667 | 1.000 | 0.800 |',
    ):
        assert line in card.splitlines()
    low, high = FIGURES.intervals["accuracy"]
    assert f"| accuracy | 0.750 | {low:.3f} to {high:.3f} |" in card
    assert "held out in 5 folds" in card


def test_begins_with_front_matter_that_is_json_by_key() -> None:
    card = trained(HeldOut(1, FIGURES)).files()[CARD]
    (front,) = re.findall(r"\A---\n(.*?)\n---\n", card, re.DOTALL)
    keys = dict(line.split(": ", 1) for line in front.splitlines())
    assert keys["pipeline_tag"] == "text-classification"
    ((result,),) = [one["results"] for one in json.loads(keys["model-index"])]
    assert result["metrics"][0] == {"type": "accuracy", "value": 0.75}
    assert "held out in one part" in card


def test_without_date_or_figures_says_so() -> None:
    files = trained(None).files()
    assert "There are no figures: nothing was held out." in files[CARD]
    assert "date" not in files[CARD]
    assert "model-index" not in files[CARD]
    told = json.loads(files[TRAINING])
    assert (told["accuracy"], told["folds"], told["held_out"]) == (None, 0, 0)
    assert "date" not in told
