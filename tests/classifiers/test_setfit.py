"""Exports of SetFit, with heads of scikit-learn and of torch: its own numbers.

``data/setfit_heads.py`` makes them and writes what SetFit says.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.config import Config
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Floats

FOLDER = Path(__file__).parents[1] / "data" / "setfit_heads"
LABELS = ("Billing", "Technical", "Other")
NAMED = ("labels of config_setfit.json", LABELS)

Scored = Callable[..., tuple[Labeller, Floats]]


@pytest.fixture
def scored(make_config: Callable[..., Config]) -> Scored:
    """A function that gives the scores of some texts by a model of a folder."""

    def score(folder: Path, texts: list[str], **keys: object) -> tuple[Labeller, Floats]:
        with Labeller.open(make_config({"name": "m", "path": folder, **keys}), 2) as labeller:
            batch = pa.record_batch({TEXT: pa.array(texts)})
            answers = labeller.load().submit(Chunk(0, 0, batch)).result(30)
        return labeller, answers.scores[0]

    return score


@pytest.mark.parametrize(
    ("name", "activation", "labels"),
    [
        ("scikit-learn", "none", NAMED),
        ("scikit-learn-names", "none", ("classes of the graph", tuple(sorted(LABELS)))),
        ("torch", "softmax", NAMED),
    ],
)
def test_scores_are_those_of_setfit(
    name: str, activation: str, labels: tuple[str, tuple[str, ...]], scored: Scored
) -> None:
    rows = json.loads((FOLDER / name / "scores.json").read_text("utf-8"))
    labeller, scores = scored(FOLDER / name, [row["text"] for row in rows])
    expected = np.array([row["scores"] for row in rows])
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)
    assert (scores.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert np.ptp(expected, axis=0).max() > 0.05
    model = labeller.models[0]
    assert model.activation.value == activation
    assert (model.labels.rule, model.labels.value) == labels


def test_labels_of_the_config_count_more(scored: Scored) -> None:
    labeller, _ = scored(FOLDER / "torch", ["a"], labels=["x", "y", "z"])
    assert labeller.models[0].labels.value == ("x", "y", "z")


def test_an_odd_file_of_setfit_is_as_good_as_none(scored: Scored, tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "torch", tmp_path / "m")
    (tmp_path / "m" / "config_setfit.json").write_text('{"labels": null}')
    labeller, _ = scored(tmp_path / "m", ["a"])
    assert labeller.models[0].labels.value == ("LABEL_0", "LABEL_1", "LABEL_2")
