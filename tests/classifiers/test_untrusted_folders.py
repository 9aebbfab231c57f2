"""Model folders that anyone may have made: nothing outside of them is read, whatever they say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import WORDS, WriteModel, write_encoder, write_head, write_tokenizer
from onnx import helper

from labelf_cli.classifiers.encoder import EncoderHeads
from labelf_cli.classifiers.interface import Batching
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.config import Config
from labelf_cli.errors import UsageError
from labelf_cli.predictions import Floats
from labelf_cli.tokens import TokenIds

Open = Callable[..., OnnxClassifier]
THE, MY = WORDS.index("the"), WORDS.index("my")


@pytest.fixture
def opened(make_config: Callable[..., Config]) -> Open:
    """A function that reads a model folder."""
    return lambda path: OnnxClassifier(make_config({"name": "m", "path": path}).local_models, {})


def answer(classifier: OnnxClassifier) -> Floats:
    """Logits of one text."""
    (logits,) = classifier.logits(TokenIds.of([[THE, MY]]), np.zeros(1, np.int64))
    return logits


@pytest.fixture
def folder(write_model: WriteModel) -> Path:
    return write_model()


def refusal(opened: Open, folder: Path) -> str:
    with pytest.raises(UsageError) as refusal:
        opened(folder)
    return str(refusal.value)


def put_weights(folder: Path, location: str) -> Path:
    """Let the graph take its weights from a file."""
    path = folder / "model.onnx"
    onnx.save_model(
        onnx.load(path), path, save_as_external_data=True, location="w", size_threshold=100
    )
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())
    return folder / "w"


@pytest.mark.parametrize("way", ["up", "absolute", "link", "link to a folder"])
def test_external_data_outside_is_refused(
    opened: Open, folder: Path, tmp_path: Path, way: str
) -> None:
    outside = tmp_path / "outside/w"
    location = {
        "up": "../../outside/w",
        "absolute": str(outside),
        "link": "link",
        "link to a folder": "folder/w",
    }[way]
    outside.parent.mkdir()
    put_weights(folder, location).rename(outside)
    (folder / "link").symlink_to(outside)
    (folder / "folder").symlink_to(outside.parent)
    assert refusal(opened, folder) == (
        f"{folder / location}: leads out of the model folder, to {outside}. "
        f"If you trust it, put a copy of it into {folder}"
    )


@pytest.mark.parametrize("location", ["*/_ORT_MEM_ADDR_/*", "w\0/../x"])
def test_external_data_that_is_no_file_is_refused(
    opened: Open, folder: Path, location: str
) -> None:
    put_weights(folder, location)
    (folder / "*/_ORT_MEM_ADDR_").mkdir(parents=True)
    (folder / "*/_ORT_MEM_ADDR_/*").write_bytes(b"....")
    assert refusal(opened, folder) == (
        f"{folder}/model.onnx: its external data is no file ({location!r}). "
        "Download or export the model again, its external data too"
    )


@pytest.mark.parametrize("location", ["w", "./w", "data/../w", "link", "data/link"])
def test_external_data_inside_is_read(opened: Open, folder: Path, location: str) -> None:
    before = answer(opened(folder))
    put_weights(folder, location)
    (folder / "data").mkdir()
    (folder / "link").symlink_to("w")
    (folder / "data/link").symlink_to("../w")
    assert answer(opened(folder)).tobytes() == before.tobytes()


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json", "labelf.json"])
def test_a_file_that_is_a_link_to_one_outside_is_refused(
    opened: Open, folder: Path, tmp_path: Path, name: str
) -> None:
    (folder / "labelf.json").write_text("{}")
    (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(tmp_path / "outside")
    assert refusal(opened, folder) == (
        f"{folder / name}: leads out of the model folder, to {tmp_path}/outside. "
        f"If you trust it, put a copy of it into {folder}"
    )


@pytest.mark.parametrize("in_subfolder", [False, True])
def test_links_of_the_hubs_cache_are_followed(
    opened: Open, write_model: WriteModel, in_subfolder: bool
) -> None:
    plain = write_model("plain")
    before = answer(opened(plain))
    snapshot = write_model("models--owner--name/snapshots/0123")
    put_weights(snapshot, "w")
    blobs = snapshot.parents[1] / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(snapshot.iterdir())):
        path.rename(blobs / str(number))
        nested = in_subfolder and path.suffix != ".json"
        link = snapshot / "onnx" / path.name if nested else path
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(("../" * (3 if nested else 2)) + f"blobs/{number}")
    model = opened(snapshot)
    assert model.load().value is Batching.PADDED
    assert answer(model).tobytes() == before.tobytes()


def test_links_into_another_repository_of_the_hubs_cache_are_not(
    opened: Open, write_model: WriteModel
) -> None:
    snapshot = write_model("models--owner--name/snapshots/0123")
    other = snapshot.parents[2] / "models--owner--other/blobs/1"
    other.parent.mkdir(parents=True)
    (snapshot / "tokenizer.json").rename(other)
    (snapshot / "tokenizer.json").symlink_to(other)
    assert refusal(opened, snapshot) == (
        f"{snapshot}/tokenizer.json: leads out of the model folder, to {other}. "
        f"If you trust it, put a copy of it into {snapshot}"
    )


@pytest.mark.parametrize(
    ("content", "what", "todo"),
    [
        (b"version https://git-lfs.github.com/", "a Git LFS pointer", "Run 'git lfs pull'"),
        (b"<!doctype html>", "an HTML page", "Download the file itself"),
        (b"", "an empty file", "Export it again"),
    ],
)
def test_what_stands_in_the_place_of_a_json_file_is_named(
    opened: Open, folder: Path, content: bytes, what: str, todo: str
) -> None:
    for name, expected in (("config.json", "JSON"), ("tokenizer.json", "a tokenizer")):
        (folder / name).write_bytes(content)
        message = f"{folder / name}: {what}, not {expected}. {todo}"
        assert refusal(opened, folder) == message
        (folder / name).unlink()
        write_tokenizer(folder / "tokenizer.json")


def test_no_operator_of_another_library_is_loaded(opened: Open, folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    model.graph.node[-1].output[0] = "before"
    node = helper.make_node("PyOp", ["before"], ["logits"], domain="ai.onnx.contrib")
    model.graph.node.append(node)
    model.opset_import.append(helper.make_opsetid("ai.onnx.contrib", 1))
    onnx.save(model, folder / "model.onnx")
    (folder / "libcustom_op.so").write_bytes(b"")
    with pytest.raises(UsageError) as refusal:
        opened(folder).load()
    assert "ai.onnx.contrib:PyOp(-1) is not a registered function/op" in str(refusal.value)


@pytest.mark.parametrize("name", ["model.onnx", "config.json"])
def test_a_head_is_kept_to_its_folder_too(
    make_config: Callable[..., Config], tmp_path: Path, name: str
) -> None:
    encoder = write_encoder(tmp_path / "encoder")
    head = write_head(tmp_path / "head", encoder)
    (head / name).rename(tmp_path / "outside")
    (head / name).symlink_to(tmp_path / "outside")
    models = make_config({"name": "m", "path": head, "encoder": encoder}).local_models
    with pytest.raises(UsageError) as refused:
        EncoderHeads(models, {})
    assert str(refused.value).startswith(f"{head / name}: leads out of the model folder, to ")


def test_the_modules_of_an_encoder_are_kept_to_its_folder(
    make_config: Callable[..., Config], tmp_path: Path
) -> None:
    encoder = write_encoder(tmp_path / "encoder", pooling={"pooling_mode": "max"})
    head = write_head(tmp_path / "head", encoder)
    (encoder / "1_Pooling").rename(tmp_path / "outside")
    modules = (encoder / "modules.json").read_text()
    (encoder / "modules.json").write_text(modules.replace("1_Pooling", "../outside"))
    models = make_config({"name": "m", "path": head, "encoder": encoder}).local_models
    with pytest.raises(UsageError) as refused:
        EncoderHeads(models, {})
    assert str(refused.value) == (
        f"{encoder}/../outside/config.json: leads out of the model folder, to "
        f"{tmp_path}/outside/config.json. If you trust it, put a copy of it into {encoder}"
    )
