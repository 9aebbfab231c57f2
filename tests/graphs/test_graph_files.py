"""Graphs in files: whole, or with their weights beside them."""

from pathlib import Path

import onnx
import onnxruntime as ort
import pytest
from conftest import dense_graph

from labelf_cli.graphs.files import read_external_data, read_structure, write_model


def read(path: Path) -> onnx.ModelProto:
    model = read_structure(path)
    read_external_data(model, path)
    return model


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """A graph whose weights lie beside it."""
    (tmp_path / "external").mkdir()
    path = tmp_path / "external" / "model.onnx"
    write_model(dense_graph(), path, most_bytes=1000)
    return path


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def test_a_small_graph_is_one_file(tmp_path: Path) -> None:
    write_model(dense_graph(), tmp_path / "model.onnx")
    assert names(tmp_path / "model.onnx") == ["model.onnx"]
    assert read(tmp_path / "model.onnx") == dense_graph()


def test_a_large_one_has_its_weights_beside_it(external: Path) -> None:
    assert names(external) == ["model.onnx", "model.onnx_data"]
    assert external.stat().st_size < 2000
    ort.InferenceSession(external, providers=["CPUExecutionProvider"])


def test_the_structure_is_read_without_the_weights(external: Path) -> None:
    (external.parent / "model.onnx_data").unlink()
    assert read_structure(external).graph.node[0].op_type == "Gather"


def test_what_was_apart_may_become_one_file(external: Path, tmp_path: Path) -> None:
    write_model(read(external), tmp_path / "model.onnx")
    ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert (tmp_path / "model.onnx").stat().st_size > 16_000
