"""Which models of a config run together: heads of one encoder, and models of one graph."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import WORDS, WriteModel, write_encoder, write_head

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.encoder import EncoderHeads
from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.config import Config, ModelConfig
from labelf_cli.errors import ModelError
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers

MakeConfig = Callable[..., Config]


@pytest.fixture
def named(make_config: MakeConfig) -> Callable[..., list[list[str]]]:
    """A function that gives the names of the models that run together, group by group.

    Keywords are names of models, their values keys of the config.
    """

    def names(**models: dict[str, Any]) -> list[list[str]]:
        config = make_config(*({"name": name, **keys} for name, keys in models.items()))
        return [[model.name for model in group.models] for group in open_groups(config.models)]

    return names


Named = Callable[..., list[list[str]]]


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder")


class TestTogether:
    def test_run_heads_over_one_encoder(self, named: Named, encoder: Path, tmp_path: Path) -> None:
        a, b, c = (write_head(tmp_path / name, encoder) for name in "abc")
        (tmp_path / "link").symlink_to(encoder)
        (c / "model.onnx").rename(c / "head.onnx")
        assert named(
            a={"path": a, "encoder": encoder},
            b={"path": b, "encoder": encoder / "model.onnx"},
            c={"path": c, "file": "head.onnx", "encoder": tmp_path / "link"},
        ) == [["a", "b", "c"]]

    def test_run_models_of_one_graph(self, named: Named, write_model: WriteModel) -> None:
        path = write_model()
        assert named(
            a={"path": path},
            b={"path": path / "model.onnx", "labels": ["x", "y", "z"]},
            c={"path": path, "file": "model.onnx", "on_long": "error", "activation": "none"},
            d={"path": path.parent / "model/../model", "threshold": 0.5},
        ) == [["a", "b", "c", "d"]]

    def test_is_an_order_that_begins_with_each_groups_first(
        self, named: Named, encoder: Path, write_model: WriteModel, tmp_path: Path
    ) -> None:
        heads = [write_head(tmp_path / name, encoder) for name in "ab"]
        lone, other = write_model("lone"), write_model("other", seed=1)
        assert named(
            x={"path": lone},
            a={"path": heads[0], "encoder": encoder},
            y={"path": other},
            b={"path": heads[1], "encoder": encoder},
            z={"path": lone},
        ) == [["x", "z"], ["a", "b"], ["y"]]


class TestApart:
    @pytest.mark.parametrize("key", ["max_length", "token_budget"])
    def test_run_models_whose_calls_differ(
        self, named: Named, encoder: Path, write_model: WriteModel, tmp_path: Path, key: str
    ) -> None:
        model = {"path": write_model()}
        assert named(a=model, b=model | {key: 9}) == [["a"], ["b"]]
        head = {"path": write_head(tmp_path / "h", encoder), "encoder": encoder}
        assert named(a=head, b=head | {key: 9}) == [["a"], ["b"]]

    def test_run_models_of_graphs_that_differ(self, named: Named, write_model: WriteModel) -> None:
        path = write_model()
        shutil.copy(path / "model.onnx", path / "other.onnx")
        assert named(a={"path": path}, b={"path": path, "file": "other.onnx"}) == [["a"], ["b"]]

    def test_run_heads_of_encoders_that_differ(
        self, named: Named, encoder: Path, tmp_path: Path
    ) -> None:
        other = write_encoder(tmp_path / "other", seed=1)
        heads = [write_head(tmp_path / name, its) for name, its in (("a", encoder), ("b", other))]
        assert named(
            a={"path": heads[0], "encoder": encoder}, b={"path": heads[1], "encoder": other}
        ) == [["a"], ["b"]]

    def test_runs_an_encoder_that_is_a_model_itself(
        self, named: Named, write_model: WriteModel, tmp_path: Path
    ) -> None:
        model = write_model()
        head = write_head(tmp_path / "h", model)
        assert named(a={"path": model}, b={"path": head, "encoder": model}) == [["a"], ["b"]]

    def test_run_models_whose_graph_is_linked_into_another_folder(
        self, make_config: MakeConfig, write_model: WriteModel
    ) -> None:
        """As the snapshots of the hub's cache link to one blob; the files beside it may differ."""
        snapshots = "models--owner--name/snapshots"
        first = write_model(f"{snapshots}/1", ("good", "bad"))
        words = (*WORDS[:4], *reversed(WORDS[4:]))
        second = write_model(f"{snapshots}/2", ("gut", "schlecht"), words=words)
        blob = first.parents[1] / "blobs/abc"
        blob.parent.mkdir()
        (first / "model.onnx").rename(blob)
        for folder in (first, second):
            (folder / "model.onnx").unlink(missing_ok=True)
            (folder / "model.onnx").symlink_to("../../blobs/abc")
        models = make_config(
            {"name": "a", "path": first}, {"name": "b", "path": second}
        ).local_models
        a, b = open_groups(models)
        assert a.models[0].labels.value == ("good", "bad")
        assert b.models[0].labels.value == ("gut", "schlecht")
        assert a.tokenizer.digest != b.tokenizer.digest


def test_equal_tokenizers_are_shared_by_all_groups(
    make_config: MakeConfig, write_model: WriteModel, encoder: Path, tmp_path: Path
) -> None:
    models = make_config(
        {"name": "a", "path": write_model("a")},
        {"name": "b", "path": write_head(tmp_path / "h", encoder), "encoder": encoder},
        {"name": "c", "path": write_model("c", words=(*WORDS, "more"))},
    ).local_models
    a, b, c = open_groups(models)
    assert isinstance(a, OnnxClassifier)
    assert isinstance(b, EncoderHeads)
    assert a.tokenizer is b.tokenizer is not c.tokenizer


@pytest.mark.parametrize("key", ["path", "encoder"])
def test_a_folder_that_is_not_there_is_refused(
    make_config: MakeConfig, encoder: Path, tmp_path: Path, key: str
) -> None:
    head = {"name": "h", "path": write_head(tmp_path / "h", encoder), "encoder": encoder}
    with pytest.raises(ModelError, match=f"^{tmp_path}/absent: no such model folder"):
        open_groups(make_config(head | {key: tmp_path / "absent"}).models)


class TestAnswers:
    """Heads, models of one graph and a lone one, in the order of the config."""

    @pytest.fixture
    def models(
        self, make_config: MakeConfig, write_model: WriteModel, encoder: Path, tmp_path: Path
    ) -> tuple[ModelConfig, ...]:
        heads = [
            write_head(tmp_path / name, encoder, labels, seed=seed)
            for seed, (name, labels) in enumerate({"a": "xy", "b": "xyzw"}.items())
        ]
        path = write_model("shared", seed=1)
        return make_config(
            {"name": "b", "path": heads[1], "encoder": encoder, "max_predictions": 1},
            {"name": "all", "path": path},
            {"name": "lone", "path": write_model("lone", "uv", seed=2)},
            {"name": "a", "path": heads[0], "encoder": encoder, "threshold": 0.6},
            {"name": "some", "path": path, "activation": "sigmoid", "label_filter": ["no"]},
        ).local_models

    @staticmethod
    def ask(*models: ModelConfig) -> Answers:
        batch = pa.record_batch({TEXT: pa.array(["my bill", None, "tv", "no signal tv"])})
        order = [model.name for model in models]
        with Labeller(open_groups(models), 2, order) as labeller:
            labeller.load()
            assert [model.name for model in labeller.models] == order
            return labeller.submit(Chunk(0, 0, batch)).result(timeout=30)

    def test_are_those_of_each_model_alone(self, models: tuple[ModelConfig, ...]) -> None:
        together = self.ask(*models)
        assert [its.shape[1] for its in together.scores] == [4, 3, 2, 2, 3]
        for place, model in enumerate(models):
            alone = self.ask(model)
            assert together.scores[place].tobytes() == alone.scores[0].tobytes()
            accepted = alone.accepted[0]
            assert together.accepted[place].labels.tolist() == accepted.labels.tolist()

    def test_take_one_call_a_group(self, models: tuple[ModelConfig, ...]) -> None:
        assert self.ask(*models).spent.calls == 3
