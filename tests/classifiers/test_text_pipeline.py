"""Pipelines of scikit-learn: texts in, probabilities out, as ``data/pipelines.py`` has written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.interface import Batching
from labelf_cli.config import Config
from labelf_cli.errors import ConfigError, ModelError
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status
from labelf_cli.tokens import Characters

FOLDER = Path(__file__).parents[1] / "data" / "pipelines"
NAMES = ("maps", "tensor", "forest", "numbers")

Open = Callable[..., Labeller]


@pytest.fixture
def opened(make_config: Callable[..., Config]) -> Open:
    """A function that loads a model of a folder."""

    def open_(folder: Path, **keys: object) -> Labeller:
        return Labeller.open(make_config({"name": "m", "path": folder, **keys}), 2).load()

    return open_


def classify(labeller: Labeller, texts: list[str | None]) -> Answers:
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    return labeller.submit(Chunk(0, 0, batch)).result(30)


def rows_of(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((FOLDER / name / "scores.json").read_text("utf-8"))
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_those_of_scikit_learn(name: str, opened: Open) -> None:
    rows = rows_of(name)
    with opened(FOLDER / name) as labeller:
        answers = classify(labeller, [row["text"] for row in rows])
        model = labeller.models[0]
    assert (model.labels.rule, model.activation.value) == ("classes of the graph", "none")
    for row, scores, places in zip(
        rows, answers.scores[0], answers.accepted[0].labels, strict=True
    ):
        found = dict(zip(model.labels.value, scores.tolist(), strict=True))
        assert found == pytest.approx(row["scores"], rel=0, abs=1e-4)
        assert model.labels.value[places[0]] == max(row["scores"], key=row["scores"].__getitem__)
    assert set(answers.status) == {Status.OK}


def test_a_score_has_the_same_bits_in_any_company(opened: Open) -> None:
    odd: list[str | None] = ["räkningen är för hög", "👩‍👩‍👧", "a\0b"]
    texts = odd + [row["text"] for row in rows_of("maps")]
    with opened(FOLDER / "maps") as labeller:
        assert labeller.batching[0].value is Batching.PADDED
        together = classify(labeller, texts).scores[0]
    with opened(FOLDER / "maps") as labeller:
        alone = np.concatenate([classify(labeller, [text]).scores[0] for text in texts])
    assert together.tobytes() == alone.tobytes()


def test_blank_texts_are_not_asked(opened: Open) -> None:
    with opened(FOLDER / "tensor") as labeller:
        answers = classify(labeller, ["bill", " ", None])
    assert answers.status.tolist() == [Status.OK, Status.EMPTY, Status.EMPTY]


def test_the_config_may_name_the_labels(opened: Open) -> None:
    with opened(FOLDER / "numbers", labels=["b", "c", "a"]) as labeller:
        assert labeller.models[0].labels.value == ("b", "c", "a")
    with pytest.raises(ModelError, match="but the graph gives 3 logits"):
        opened(FOLDER / "numbers", labels=["b", "c"])


def test_a_graph_that_does_not_tell_its_labels_needs_them(opened: Open, tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "tensor", tmp_path / "m")
    graph = onnx.load(tmp_path / "m" / "model.onnx")
    for node in graph.graph.node:
        kept = [a for a in node.attribute if not a.name.startswith("classlabels")]
        del node.attribute[:]
        node.attribute.extend(kept)
    onnx.save(graph, tmp_path / "m" / "model.onnx")
    with pytest.raises(ModelError, match=r"nothing tells its labels\. Give labels in the config"):
        opened(tmp_path / "m")


def test_a_graph_without_probabilities_is_refused(opened: Open, tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "tensor", tmp_path / "m")
    graph = onnx.load(tmp_path / "m" / "model.onnx")
    del graph.graph.output[1:]
    onnx.save(graph, tmp_path / "m" / "model.onnx")
    with pytest.raises(ModelError, match="no single tensor of probabilities"):
        opened(tmp_path / "m")


def test_characters_are_texts_again() -> None:
    texts = ["räkningen", "", "👩‍👩‍👧", "a\0b", "\U0010ffff"]
    ids = Characters().encode(texts)
    assert Characters.decode(ids, np.array([4, 0, 1, 2, 3])) == [texts[4], *texts[:4]]
    with pytest.raises(ValueError, match="surrogates not allowed"):
        Characters().encode(["\ud800"])


def test_it_takes_one_text(opened: Open) -> None:
    with pytest.raises(ConfigError, match="model 'm', text_pair: the model takes one text"):
        opened(FOLDER / "tensor", text_pair="another")
