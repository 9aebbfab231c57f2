"""Exports of the families that people have give the numbers of their own libraries.

``data/families.py`` makes the exports and writes what transformers says.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.config import Config
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status

FOLDER = Path(__file__).parent / "data" / "families"
FAMILIES = sorted(path.name for path in FOLDER.iterdir())
ACTIVATIONS = {"multi-label": "sigmoid", "one-logit": "sigmoid", "regression": "none"}
TOLERANCES = {"fp16": 1e-3}


def classify(config: Config, texts: list[str]) -> tuple[Labeller, Answers]:
    with Labeller.open(config, 2) as labeller:
        batch = pa.record_batch({TEXT: pa.array(texts)})
        return labeller, labeller.load().submit(Chunk(0, 0, batch)).result(60)


def expected_of(folder: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads((folder / "scores.json").read_text("utf-8"))
    return content


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_its_library(family: str, make_config: Callable[..., Config]) -> None:
    folder, tolerance = FOLDER / family, TOLERANCES.get(family, 1e-4)
    rows = expected_of(folder)
    config = make_config({"name": "m", "path": folder})
    labeller, answers = classify(config, [row["text"] for row in rows])
    model = labeller.models[0]
    assert model.activation.value == ACTIVATIONS.get(family, "softmax")
    for row, places, scores in zip(
        rows, answers.accepted[0].labels, answers.scores[0], strict=True
    ):
        expected = {found["label"]: found["score"] for found in row["predictions"]}
        found = dict(zip(model.labels.value, scores.tolist(), strict=True))
        assert found == pytest.approx(expected, rel=0, abs=tolerance)
        ranked = [model.labels.value[place] for place in places if place >= 0]
        accepted = [label for label in expected if expected[label] >= 0.5]
        assert ranked == (accepted if model.rules.multi_label else list(expected))


def test_only_the_long_text_is_cut(make_config: Callable[..., Config]) -> None:
    texts = [row["text"] for row in expected_of(FOLDER / "bert")]
    _, answers = classify(make_config({"name": "m", "path": FOLDER / "bert"}), texts)
    assert answers.status.tolist() == [Status.OK] * 10 + [Status.TRUNCATED]


@pytest.mark.parametrize("family", FAMILIES)
def test_random_weights_tell_texts_apart(family: str) -> None:
    """Else the scores above would prove little."""
    scores = [
        [each["score"] for each in row["predictions"]] for row in expected_of(FOLDER / family)
    ]
    assert np.ptp(scores, axis=0).max() > 0.02
