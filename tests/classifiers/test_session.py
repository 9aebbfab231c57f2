"""How a graph is run: ``labelf.json`` beside it, as ``labelf optimize`` writes it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import WORDS, WriteModel
from onnx import TensorProto, helper

from labelf_cli.classifiers.folder import ModelFolder, Tuning
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.config import Config
from labelf_cli.errors import ModelError
from labelf_cli.graphs.build import build_model
from labelf_cli.tokens import TokenIds

MakeConfig = Callable[..., Config]


def tuned(folder: Path, **keys: object) -> Path:
    (folder / "labelf.json").write_text(json.dumps(keys))
    return folder


def opened(make_config: MakeConfig, folder: Path, **keys: object) -> OnnxClassifier:
    return OnnxClassifier(make_config({"name": "m", "path": folder, **keys}).models, {})


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
