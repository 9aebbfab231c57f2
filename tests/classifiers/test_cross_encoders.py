"""Each text paired with a second one gives the numbers of sentence-transformers' CrossEncoder.

``data/cross_encoders.py`` makes the exports and writes what that says.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.groups import open_groups
from labelf_cli.config import Config
from labelf_cli.errors import ConfigError
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status

FOLDER = Path(__file__).parents[1] / "data" / "cross_encoders"
NAMES = sorted(path.name for path in FOLDER.iterdir())
MakeConfig = Callable[..., Config]


def expected_of(name: str) -> tuple[str, list[str], list[list[float]]]:
    """The second text, the texts, and their scores."""
    content: dict[str, Any] = json.loads((FOLDER / name / "scores.json").read_text("utf-8"))
    texts, scores = zip(*((row["text"], row["scores"]) for row in content["rows"]), strict=True)
    return content["pair"], list(texts), list(scores)


def classify(config: Config, texts: list[str]) -> Answers:
    with Labeller.open(config, 2) as labeller:
        batch = pa.record_batch({TEXT: pa.array(texts)})
        return labeller.load().submit(Chunk(0, 0, batch)).result(60)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_those_of_the_library(name: str, make_config: MakeConfig) -> None:
    pair, texts, expected = expected_of(name)
    keys = {} if name == "one-logit" else {"activation": "none"}
    model = {"name": "m", "path": FOLDER / name, "text_pair": pair}
    answers = classify(make_config({**model, **keys}), texts)
    np.testing.assert_allclose(answers.scores[0], expected, rtol=0, atol=1e-4)
    assert answers.status.tolist() == [Status.OK] * 10 + [Status.TRUNCATED]
    assert np.ptp(expected, axis=0).max() > 0.02


def test_what_it_is_paired_with_decides_the_answer(make_config: MakeConfig) -> None:
    pair, texts, _ = expected_of("one-logit")
    model = {"path": FOLDER / "one-logit"}
    config = make_config(
        {"name": "none", **model},
        {"name": "one", **model, "text_pair": pair},
        {"name": "other", **model, "text_pair": "the transfer"},
        {"name": "same", **model, "text_pair": pair, "threshold": 0.5},
    )
    groups = open_groups(config.models)
    assert [[m.name for m in group.models] for group in groups] == [
        ["none"],
        ["one", "same"],
        ["other"],
    ]
    assert len({group.digests[0] for group in groups}) == 3
    scores = classify(config, texts).scores
    assert scores[1].tobytes() == scores[3].tobytes()
    assert all(np.abs(scores[1] - scores[at]).max() > 0.01 for at in (0, 2))


def test_it_leaves_room_for_the_text(make_config: MakeConfig) -> None:
    config = make_config(
        {"name": "m", "path": FOLDER / "one-logit", "text_pair": "far too long " * 30}
    )
    with pytest.raises(ConfigError, match=r"leaves no room beside \d+ special tokens"):
        open_groups(config.models)
