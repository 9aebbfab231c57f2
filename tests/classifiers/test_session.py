"""How a graph is run: ``labelf.json`` beside it, and which of its outputs is asked for."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import WORDS, WriteModel
from onnx import TensorProto, helper

from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.classifiers.session import Session
from labelf_cli.classifiers.tuning import Tuning
from labelf_cli.config import Config
from labelf_cli.errors import ModelError
from labelf_cli.graphs.build import build_model
from labelf_cli.sequences import Sequences
from labelf_cli.tokens import TokenIds

MakeConfig = Callable[..., Config]


def tuned(folder: Path, **keys: object) -> Path:
    (folder / "labelf.json").write_text(json.dumps(keys))
    return folder


def opened(make_config: MakeConfig, folder: Path, **keys: object) -> OnnxClassifier:
    return OnnxClassifier(make_config({"name": "m", "path": folder, **keys}).local_models, {})


def test_without_one_the_defaults_hold(make_config: MakeConfig, write_model: WriteModel) -> None:
    assert ModelFolder.find(write_model(), None).tuning == Tuning()
    assert opened(make_config, write_model("other")).token_budget == Tuning().token_budget


def test_the_budget_is_the_config_s_then_the_folder_s(
    make_config: MakeConfig, write_model: WriteModel
) -> None:
    folder = tuned(write_model(), token_budget=99)
    assert opened(make_config, folder).token_budget == 99
    assert opened(make_config, folder, token_budget=7).token_budget == 7


def test_the_optimizers_that_it_disables_do_not_run(
    make_config: MakeConfig, write_model: WriteModel
) -> None:
    """A sum and its norm, which onnxruntime fuses into an operator that rounds otherwise."""
    folder = write_model()
    random = np.random.default_rng(0)
    constants = {
        "one": random.normal(size=(len(WORDS), 8)),
        "other": random.normal(size=(len(WORDS), 8)),
        "scale": random.normal(size=8),
        "head": random.normal(size=(8, 3)),
    }
    nodes = [
        helper.make_node("Gather", ["one", "input_ids"], ["x"]),
        helper.make_node("Gather", ["other", "input_ids"], ["y"]),
        helper.make_node("Add", ["x", "y"], ["sum"]),
        helper.make_node("LayerNormalization", ["sum", "scale"], ["normal"], axis=-1),
        helper.make_node("ReduceMax", ["normal"], ["most"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["most", "head"], ["logits"]),
    ]
    graph = build_model(
        "made_for_a_test",
        nodes,
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        {name: array.astype(np.float32) for name, array in constants.items()},
    )
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    ids = TokenIds.of([random.integers(0, len(WORDS), 50).tolist() for _ in range(20)])

    def logits(**keys: object) -> bytes:
        (found,) = opened(make_config, tuned(folder, **keys)).logits(ids, np.arange(20))
        return found.tobytes()

    plain = logits(disabled_optimizers=["SkipLayerNormFusion"])
    assert logits(disabled_optimizers=[]) != plain
    assert logits() == plain


def test_they_tell_a_model_from_one_that_is_run_otherwise(
    make_config: MakeConfig, write_model: WriteModel
) -> None:
    folder = write_model()
    before = opened(make_config, folder).digests
    assert opened(make_config, tuned(folder, token_budget=9)).digests == before
    assert opened(make_config, tuned(folder, disabled_optimizers=[])).digests != before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"token_bugdet": 9}', "token_bugdet: Extra inputs are not permitted"),
        ('{"disabled_optimizers": 3}', "disabled_optimizers: Input should be a valid tuple"),
        (
            '{"token_budget": [], "a": 2}',
            "token_budget: Input should be a valid integer; a: Extra inputs are not permitted",
        ),
    ],
)
def test_what_labelf_does_not_write_is_refused(
    write_model: WriteModel, make_config: MakeConfig, content: str, reason: str
) -> None:
    folder = write_model()
    (folder / "labelf.json").write_text(content)
    with pytest.raises(ModelError) as refused:
        opened(make_config, folder).load()
    assert str(refused.value) == (
        f"{folder}/labelf.json: can't be used ({reason}). Remove it, or run labelf optimize again"
    )


class TestOutputs:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """A graph with three outputs: ones, twos and threes, as many as there are tokens."""
        names = ("first", "second", "third")
        nodes = [helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT)]
        nodes += [helper.make_node("Mul", ["mask", f"{name}_factor"], [name]) for name in names]
        shape = ["batch", "sequence"]
        graph = build_model(
            "made_for_a_test",
            nodes,
            [helper.make_tensor_value_info("attention_mask", TensorProto.INT64, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names],
            {f"{name}_factor": np.array(n + 1, np.float32) for n, name in enumerate(names)},
        )
        onnx.save(graph, tmp_path / "model.onnx")
        return tmp_path / "model.onnx"

    @pytest.mark.parametrize(
        ("asked", "given"),
        [
            (("second",), "second"),
            (("none", "third", "second"), "third"),
            (("none",), "first"),
            ((), "first"),
        ],
    )
    def test_are_the_first_asked_for_that_is_there(
        self, path: Path, asked: tuple[str, ...], given: str
    ) -> None:
        session = Session(path, Tuning(), asked)
        assert (session.output, session.declared) == (given, ["batch", "sequence"])
        ids = np.ones((1, 2), np.int64)
        factor = ("first", "second", "third").index(given) + 1
        assert session.run(Sequences(ids, ids, ids)).tolist() == [[factor, factor]]

    def test_of_a_graph_without_token_ids_are_not_for_texts(self, path: Path) -> None:
        session = Session(path, Tuning(), ("first",))
        assert not session.takes_token_ids
        with pytest.raises(ModelError) as refusal:
            session.require_token_ids()
        assert str(refusal.value) == (
            f"{path}: the graph takes attention_mask, not input_ids. "
            "Export it for text classification; the head of an encoder needs encoder = …"
        )
