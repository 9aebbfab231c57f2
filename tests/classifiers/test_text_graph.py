"""A graph is cut to the first token where that leaves every bit in place, and nowhere else."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import WORDS, WriteModel
from onnx import ModelProto, TensorProto, helper

from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.graph_file import cut_to_first_token
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.classifiers.session import Session
from labelf_cli.classifiers.text_graph import TextGraph
from labelf_cli.config import Config
from labelf_cli.errors import ModelError
from labelf_cli.graphs.build import build_model
from labelf_cli.tokens import TokenIds

MakeConfig = Callable[..., Config]

WIDTH = 8
IDS = TokenIds.of([np.random.default_rng(n).integers(0, len(WORDS), 50).tolist() for n in range(9)])


def first_token_graph(*, positions: bool = False) -> ModelProto:
    """Words' vectors and a part of their mean → a product → the first token's → logits.

    With ``positions`` the vectors of the places have two axes, where the cut supposes three.
    """
    random = np.random.default_rng(0)
    constants = {
        "table": random.normal(size=(len(WORDS), WIDTH)),
        "of_places": random.normal(size=(64, WIDTH)),
        "square": random.normal(size=(WIDTH, WIDTH)),
        "head": random.normal(size=(WIDTH, 3)),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "input_ids"], ["words"]),
        node("ReduceMax", ["words"], ["most"], axes=[1], keepdims=1),
        node("Add", ["words", "most"], ["seen"]),
        node("MatMul", ["seen", "square"], ["turned"]),
        *(
            [
                node("ArgMax", ["words"], ["largest"], axis=2, keepdims=0),
                node("Gather", ["largest", "index"], ["places"], axis=0),
                node("Gather", ["of_places", "places"], ["moves"]),
                node("Add", ["turned", "moves"], ["last"]),
            ]
            if positions
            else [node("Tanh", ["turned"], ["last"])]
        ),
        node("Gather", ["last", "index"], ["first"], axis=1),
        node("MatMul", ["first", "head"], ["logits"]),
    ]
    return build_model(
        "first_token",
        nodes,
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        {name: array.astype(np.float32) for name, array in constants.items()}
        | {"index": np.array(0)},
    )


@pytest.fixture
def write(write_model: WriteModel) -> Callable[..., Path]:
    def write_(graph: ModelProto, **tuning: object) -> Path:
        folder = write_model()
        (folder / "model.onnx").write_bytes(graph.SerializeToString())
        (folder / "labelf.json").write_text(json.dumps(tuning))
        return folder

    return write_


def opened(make_config: MakeConfig, folder: Path) -> OnnxClassifier:
    group = OnnxClassifier(make_config({"name": "m", "path": folder}).local_models, {})
    group.load()
    return group


def logits(group: OnnxClassifier) -> bytes:
    return group.logits(IDS, np.arange(len(IDS.lengths)))[0].tobytes()


def test_what_others_than_the_first_token_need_is_left_out(
    make_config: MakeConfig, write: Callable[..., Path]
) -> None:
    folder = write(first_token_graph())
    cut = opened(make_config, folder)
    (folder / "labelf.json").write_text('{"first_token": false}')
    whole = opened(make_config, folder)
    assert (cut.is_cut, whole.is_cut) == (True, False)
    assert logits(cut) == logits(whole)
    assert cut.digests == whole.digests


def test_a_graph_that_pools_otherwise_is_left_alone(
    make_config: MakeConfig, write_model: WriteModel
) -> None:
    assert not opened(make_config, write_model()).is_cut


def test_a_cut_that_fails_is_not_kept(make_config: MakeConfig, write: Callable[..., Path]) -> None:
    folder = write(first_token_graph(positions=True))
    with pytest.raises(ModelError, match="Incompatible dimensions"):
        TextGraph(ModelFolder.find(folder, None), ("logits",), None, {}).open_cut()
    group = opened(make_config, folder)
    assert not group.is_cut
    assert np.isfinite(np.frombuffer(logits(group), np.float32)).all()


class OtherKernels(TextGraph):
    """On a machine whose kernels sum fewer rows in another order."""

    def open_cut(self) -> Session | None:
        model = onnx.load_from_string((self.folder.onnx).read_bytes())
        head = next(tensor for tensor in model.graph.initializer if tensor.name == "head")
        moved = np.nextafter(onnx.numpy_helper.to_array(head), np.float32(9))
        head.CopyFrom(onnx.numpy_helper.from_array(moved, "head"))
        return self._open(model.SerializeToString())


def test_a_cut_that_moves_a_bit_is_not_kept(write: Callable[..., Path]) -> None:
    folder = ModelFolder.find(write(first_token_graph()), None)
    rows = np.arange(len(IDS.lengths))

    def answers(graph: TextGraph) -> bytes:
        return graph.session.run(graph.inputs(IDS, rows)).tobytes()

    cut = TextGraph(folder, ("logits",), None, {})
    other = OtherKernels(folder, ("logits",), None, {})
    assert answers(other) == answers(cut)
    assert (cut.is_cut, other.is_cut) == (True, False)


def test_a_graph_whose_indices_lie_in_another_file_is_left_alone(
    write: Callable[..., Path],
) -> None:
    folder = write(first_token_graph())
    model = onnx.load(folder / "model.onnx")
    onnx.save_model(
        model, folder / "model.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    assert cut_to_first_token(folder / "model.onnx") is None


def test_external_data_is_found_from_a_cut_graph(
    make_config: MakeConfig, write: Callable[..., Path]
) -> None:
    folder = write(first_token_graph())
    expected = logits(opened(make_config, folder))
    onnx.save_model(
        onnx.load(folder / "model.onnx"),
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=WIDTH * WIDTH,
    )
    group = opened(make_config, folder)
    assert group.is_cut
    assert logits(group) == expected
