"""A head over an encoder: embeddings as features, and a graph that takes embeddings as they are."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from conftest import ENCODER_WIDTH, write_encoder

from labelf_cli.classifiers.encoder import Encoder
from labelf_cli.classifiers.folder import ENCODER_KEY
from labelf_cli.classifiers.session import Session
from labelf_cli.classifiers.tuning import Tuning
from labelf_cli.errors import InputError
from labelf_cli.training.head import EncoderHead

TEXTS = ["the bill", "no signal", "tv", "no signal", "angry my tv is too high", "unheard of"]


@pytest.fixture(params=[False, True], ids=["any length", "unit length"])
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> Encoder:
    folder = write_encoder(tmp_path / "encoder", normalizes=request.param)
    return Encoder(folder, None, {})


@pytest.fixture
def head(encoder: Encoder) -> EncoderHead:
    return EncoderHead(encoder.graph.folder.path)


def embeddings(encoder: Encoder) -> npt.NDArray[np.float32]:
    ids = encoder.graph.tokenizer.encode(TEXTS)
    return np.concatenate([encoder.embed(ids, np.array([row])) for row in range(len(TEXTS))])


def test_features_are_embeddings_of_mean_square_one(head: EncoderHead, encoder: Encoder) -> None:
    features = head.features(TEXTS)
    assert features.shape == (len(TEXTS), ENCODER_WIDTH)
    assert np.square(features).sum(axis=1).mean() == pytest.approx(1)
    expected = embeddings(encoder).astype(np.float64)
    scale = np.sqrt(np.square(expected).sum(axis=1).mean())
    np.testing.assert_allclose(features, expected / scale, rtol=1e-12)


def test_features_do_not_depend_on_their_order(head: EncoderHead) -> None:
    backwards = head.features(TEXTS[::-1])
    np.testing.assert_allclose(backwards, head.features(TEXTS)[::-1], rtol=1e-12)


def test_the_graph_gives_for_embeddings_what_the_weights_give_for_features(
    head: EncoderHead, encoder: Encoder, tmp_path: Path
) -> None:
    features = head.features(TEXTS)
    random = np.random.default_rng(0)
    weights, bias = random.normal(size=(ENCODER_WIDTH, 3)), random.normal(size=3)
    graph = head.graph(weights, bias)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, tmp_path / "head.onnx")
    session = Session(tmp_path / "head.onnx", Tuning(), ("logits",))
    assert session.declared == ["batch", 3]
    logits = session.run_vectors(embeddings(encoder))
    np.testing.assert_allclose(logits, features @ weights + bias, rtol=0, atol=1e-5)


def test_the_folder_knows_its_encoder_and_has_no_tokenizer(
    head: EncoderHead, encoder: Encoder
) -> None:
    assert head.config()[ENCODER_KEY] == encoder.identity
    assert head.files() == {}


def test_long_texts_are_cut_as_they_are_when_the_head_is_used(tmp_path: Path) -> None:
    head = EncoderHead(write_encoder(tmp_path / "e", tokenizer_config={"model_max_length": 4}))
    whole, cut = head.features(["my bill is too high", "my bill"])
    assert whole.tobytes() == cut.tobytes()


def test_texts_that_have_no_embedding_are_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "e")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["angry"] = 1000  # beyond the vectors of the graph
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as refusal:
        EncoderHead(folder).features(["tv", "angry", "my angry", "tv"])
    message = str(refusal.value)
    assert message.startswith(f"{folder}: gives 2 of the texts no embedding (embedding: [ONNXRun")
    assert "idx=1000" in message
