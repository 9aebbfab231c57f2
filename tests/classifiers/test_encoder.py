"""Frozen encoders and their heads: pooling by hand, what their files say, what is refused.

The tiny encoders give each token the vector of its word, so that what is pooled can be worked out
from the ids alone.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from conftest import ENCODER_WIDTH, SHARED, WORDS, needs_shared, write_encoder, write_head
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from labelf_cli.classifiers.encoder import Embedder, Encoder, EncoderHeads
from labelf_cli.classifiers.interface import Batching
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.config import Config, ModelConfig
from labelf_cli.errors import ConfigError, ModelError, UsageError
from labelf_cli.graphs.build import build_model
from labelf_cli.predictions import Floats
from labelf_cli.tokens import TokenIds

GOLDEN = Path(__file__).parents[1] / "data" / "minilm_embeddings.json"
CLS, SEP, THE, MY = (WORDS.index(word) for word in ("[CLS]", "[SEP]", "the", "my"))

MEAN, MAX, FIRST = (
    {"word_embedding_dimension": ENCODER_WIDTH, "pooling_mode": mode}
    for mode in ("mean", "max", "cls")
)
ids_of_texts = st.lists(
    st.lists(st.integers(0, len(WORDS) - 1), max_size=12), min_size=1, max_size=6
)
property_test = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def vectors_of(folder: Path) -> npt.NDArray[np.float64]:
    """The vector of each word in a tiny encoder."""
    (tensor,) = onnx.load(folder / "model.onnx").graph.initializer
    return numpy_helper.to_array(tensor).astype(np.float64)


def pooled(vectors: npt.NDArray[np.float64], sequence: Sequence[int], mode: str) -> list[float]:
    """What a sequence of ids, special ones included, comes to by the book."""
    embedding = []
    for place in range(vectors.shape[1]):
        numbers = [vectors[token, place] for token in sequence]
        embedding.append(
            {"mean": sum(numbers) / len(numbers), "max": max(numbers), "cls": numbers[0]}[mode]
        )
    return embedding


def embed(encoder: Encoder, *texts: list[int]) -> Floats:
    """Embeddings of texts, given as token ids without special tokens, in one call."""
    return encoder.embed(TokenIds.of(list(texts)), np.arange(len(texts)))


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def without_special_tokens(folder: Path) -> None:
    """Let its tokenizer put nothing around a text, so that nothing is left of an empty one."""
    content = json.loads((folder / "tokenizer.json").read_text())
    write_json(folder / "tokenizer.json", content | {"post_processor": None})


class TestPooling:
    @property_test
    @given(
        texts=ids_of_texts,
        side=st.sampled_from(["left", "right"]),
        how=st.tuples(st.sampled_from(["mean", "max", "cls"]), st.booleans(), st.booleans()),
        max_length=st.sampled_from([None, 3, 6]),
    )
    def test_is_what_a_loop_over_the_tokens_gives(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        texts: list[list[int]],
        side: str,
        how: tuple[str, bool, bool],
        max_length: int | None,
    ) -> None:
        mode, unit, bare = how
        folder = write_encoder(
            tmp_path_factory.mktemp("pooling") / "encoder",
            pooling={"pooling_mode": mode},
            normalizes=unit,
            tokenizer_config={"padding_side": side, "truncation_side": side},
        )
        if bare:  # without special tokens
            without_special_tokens(folder)
            texts = [text or [THE] for text in texts]
        room = 99 if max_length is None else max_length - 2 * (not bare)
        kept = [
            text[max(len(text) - room, 0) :] if side == "left" else text[:room] for text in texts
        ]
        vectors = vectors_of(folder)
        sequences = kept if bare else [[CLS, *text, SEP] for text in kept]
        expected = np.array([pooled(vectors, sequence, mode) for sequence in sequences])
        if unit:
            expected /= np.sqrt((expected**2).sum(axis=1, keepdims=True))
        found = embed(Encoder(folder, max_length, {}), *texts)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("pooling", [MEAN, MAX, FIRST], ids=lambda its: its["pooling_mode"])
    @pytest.mark.parametrize("side", ["left", "right"])
    def test_leaves_every_bit_in_place_when_texts_are_padded(
        self, tmp_path: Path, pooling: dict[str, Any], side: str
    ) -> None:
        folder = write_encoder(
            tmp_path / "e", pooling=pooling, tokenizer_config={"padding_side": side}
        )
        assert Embedder(Encoder(folder, None, {})).load().value is Batching.PADDED

    @pytest.mark.parametrize("mode", ["mean", "max", "cls"])
    def test_of_no_token_is_refused_for_that_text_alone(self, tmp_path: Path, mode: str) -> None:
        folder = write_encoder(tmp_path / "e", pooling={"pooling_mode": mode})
        without_special_tokens(folder)
        encoder = Encoder(folder, None, {})
        for others in ([], [[THE]], [[THE], [MY]]):
            with pytest.raises(ValueError, match=r"^a text without tokens has no embedding$"):
                embed(encoder, [], *others)
            with pytest.raises(ValueError, match=r"^a text without tokens has no embedding$"):
                embed(encoder, *others, [])
        np.testing.assert_allclose(embed(encoder, [THE])[0], vectors_of(folder)[THE], rtol=1e-6)

    @pytest.mark.parametrize("normalizes", [False, True])
    def test_of_zeros_is_zeros(self, tmp_path: Path, normalizes: bool) -> None:
        folder = write_encoder(tmp_path / "e", normalizes=normalizes)
        graph = onnx.load(folder / "model.onnx")
        zeros = np.zeros((len(WORDS), ENCODER_WIDTH), np.float32)
        graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(zeros, "vectors"))
        onnx.save(graph, folder / "model.onnx")
        assert embed(Encoder(folder, None, {}), [THE]).tolist() == [[0] * ENCODER_WIDTH]


class TestModules:
    @pytest.mark.parametrize(
        ("pooling", "rule"),
        [
            (MEAN, "mean pooling"),
            (FIRST, "cls pooling"),
            ({"pooling_mode": ["max"]}, "max pooling"),
            ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}, "mean pooling"),
            ({"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}, "max pooling"),
            ({"pooling_mode_cls_token": True}, "cls pooling"),
            # Where none is set, sentence-transformers takes the mean.
            ({"pooling_mode_cls_token": False}, "mean pooling"),
            # The new spelling goes before the old one.
            ({"pooling_mode_cls_token": True, "pooling_mode": "max"}, "max pooling"),
            (None, "mean pooling"),
        ],
    )
    def test_say_the_pooling_in_either_spelling(
        self, tmp_path: Path, pooling: dict[str, Any] | None, rule: str
    ) -> None:
        assert Encoder(write_encoder(tmp_path / "e", pooling=pooling), None, {}).rule == rule

    def test_say_whether_embeddings_are_of_unit_length(self, tmp_path: Path) -> None:
        folder = write_encoder(tmp_path / "e", pooling=MAX, normalizes=True)
        assert Encoder(folder, None, {}).rule == "max pooling, unit length"

    def test_may_stand_in_the_folder_itself(self, tmp_path: Path) -> None:
        folder = write_encoder(tmp_path / "e")
        pooling = {"type": "sentence_transformers.models.Pooling", "path": ""}
        write_json(folder / "modules.json", [pooling])
        write_json(folder / "config.json", MAX)
        assert Encoder(folder, None, {}).rule == "max pooling"

    def test_that_are_not_there_mean_the_mean(self, tmp_path: Path) -> None:
        folder = write_encoder(tmp_path / "e", pooling=MAX, normalizes=True)
        (folder / "modules.json").unlink()
        assert Encoder(folder, None, {}).rule == "mean pooling"

    def test_do_not_count_where_the_graph_gives_the_embedding(self, tmp_path: Path) -> None:
        outputs = ("token_embeddings", "sentence_embedding")
        folder = write_encoder(tmp_path / "e", outputs, pooling=MEAN, normalizes=True)
        encoder = Encoder(folder, None, {})
        assert encoder.rule == "pooled in the graph"
        expected = pooled(vectors_of(folder), [CLS, THE, MY, SEP], "max")
        np.testing.assert_allclose(embed(encoder, [THE, MY]), [expected], rtol=0, atol=1e-6)

    @pytest.mark.parametrize("outputs", [("token_embeddings",), ("anything", "last_hidden_state")])
    def test_pool_the_vectors_of_the_tokens_whatever_else_there_is(
        self, tmp_path: Path, outputs: tuple[str, ...]
    ) -> None:
        encoder = Encoder(write_encoder(tmp_path / "e", outputs, pooling=MEAN), None, {})
        assert encoder.graph.session.output == outputs[-1]
        assert embed(encoder, [THE]).shape == (1, ENCODER_WIDTH)

    @pytest.mark.parametrize(
        ("pooling", "named"),
        [
            ({"pooling_mode": "lasttoken"}, "lasttoken"),
            ({"pooling_mode": ["mean", "max"]}, "mean and max"),
            (
                {"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True},
                "pooling_mode_lasttoken",
            ),
            (
                {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
                "mean and max",
            ),
        ],
    )
    def test_with_another_pooling_are_refused(
        self, tmp_path: Path, pooling: dict[str, Any], named: str
    ) -> None:
        folder = write_encoder(tmp_path / "e", pooling=pooling)
        with pytest.raises(ModelError) as refusal:
            Encoder(folder, None, {})
        assert str(refusal.value) == (
            f"{folder}/1_Pooling/config.json: labelf does not know the pooling {named}. "
            "Export the encoder with its pooling inside the graph, as sentence_embedding"
        )

    def test_that_nobody_knows_are_refused(self, tmp_path: Path) -> None:
        folder = write_encoder(tmp_path / "e", pooling=MEAN)
        modules = json.loads((folder / "modules.json").read_text())
        dense = {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}
        write_json(folder / "modules.json", [*modules, dense])
        with pytest.raises(ModelError) as refusal:
            Encoder(folder, None, {})
        assert str(refusal.value) == (
            f"{folder}/modules.json: labelf does not know the module Dense. "
            "Export the encoder with it inside the graph, as sentence_embedding"
        )

    def test_that_are_no_json_are_refused(self, tmp_path: Path) -> None:
        folder = write_encoder(tmp_path / "e")
        (folder / "modules.json").write_text("[{")
        with pytest.raises(ModelError, match=r"modules\.json: can't be read as JSON"):
            Encoder(folder, None, {})


class TestMaxLength:
    @pytest.mark.parametrize(
        ("given_", "found"),
        [
            (None, (6, "max_seq_length of sentence-transformers")),
            (4, (4, "max_length in the config")),
            (60, (6, "max_seq_length of sentence-transformers")),
        ],
    )
    def test_is_the_least_that_any_file_allows(
        self, tmp_path: Path, given_: int | None, found: object
    ) -> None:
        folder = write_encoder(tmp_path / "e")
        write_json(folder / "sentence_bert_config.json", {"max_seq_length": 6})
        assert Encoder(folder, given_, {}).graph.max_length == found

    def test_without_room_for_text_is_refused(self, tmp_path: Path) -> None:
        folder = write_encoder(tmp_path / "e")
        with pytest.raises(ConfigError, match="2 leaves no room beside 2 special tokens"):
            Encoder(folder, 2, {})


Open = Callable[..., EncoderHeads]


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder", pooling=MEAN, normalizes=True)


@pytest.fixture
def opened(make_config: Callable[..., Config]) -> Open:
    """A function that opens heads over an encoder; keywords are keys of each one's config."""

    def open_(encoder: Path, *heads: Path, **keys: object) -> EncoderHeads:
        models = [{"name": h.name, "path": h, "encoder": encoder, **keys} for h in heads]
        return EncoderHeads(make_config(*models).local_models, {})

    return open_


def logits(heads: EncoderHeads, *texts: list[int]) -> tuple[Floats, ...]:
    return heads.logits(TokenIds.of(list(texts)), np.arange(len(texts)))


class TestHeads:
    def test_answer_in_their_order(self, encoder: Path, opened: Open, tmp_path: Path) -> None:
        labels = {"b": ("x", "y"), "a": ("x", "y", "z"), "c": ("x",) * 4}
        paths = [
            write_head(tmp_path / name, encoder, its, seed=seed)
            for seed, (name, its) in enumerate(labels.items())
        ]
        heads = opened(encoder, *paths)
        heads.load()
        assert [model.name for model in heads.models] == ["b", "a", "c"]
        answers = logits(heads, [THE], [MY] * 5)
        assert [its.shape for its in answers] == [(2, 2), (2, 3), (2, 4)]
        embeddings = embed(heads.encoder, [THE], [MY] * 5)
        for path, found in zip(paths, answers, strict=True):
            constants = onnx.load(path / "model.onnx").graph.initializer
            weights, bias = map(numpy_helper.to_array, constants)
            np.testing.assert_allclose(found, embeddings @ weights + bias, rtol=0, atol=1e-6)

    def test_count_the_bytes_of_the_encoder_once(
        self, encoder: Path, opened: Open, tmp_path: Path
    ) -> None:
        paths = [write_head(tmp_path / name, encoder) for name in "ab"]
        sizes = [(folder / "model.onnx").stat().st_size for folder in (encoder, *paths)]
        assert opened(encoder, *paths).num_bytes == sum(sizes)

    def test_take_labels_and_rules_from_their_own_files(
        self, encoder: Path, opened: Open, tmp_path: Path
    ) -> None:
        head = write_head(tmp_path / "h", encoder, ("good", "bad"))
        heads = opened(encoder, head, on_long="error", max_length=5, activation="sigmoid")
        (model,) = heads.models
        assert model.labels == (("good", "bad"), "id2label of config.json")
        assert (model.on_long, model.rules.multi_label) == ("error", True)
        assert heads.max_length.value == 5
        texts = TokenIds.of([[THE] * 3 + [MY] * 3, [THE] * 3])
        (found,) = heads.logits(texts, np.arange(2))
        assert found[0].tobytes() == found[1].tobytes()

    @pytest.mark.parametrize("width", [3, "labels"], ids=["declared", "computed"])
    @pytest.mark.parametrize("named", [True, False], ids=["named", "numbered"])
    def test_may_come_from_elsewhere(
        self, encoder: Path, opened: Open, tmp_path: Path, width: int | str, named: bool
    ) -> None:
        graph = build_model(
            "made_for_a_test",
            [helper.make_node("Compress", ["x", "first_three"], ["logits"], axis=1)],
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "width"])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", width])],
            {"first_three": np.array([True, True, True])},
        )
        onnx.save(graph, tmp_path / "head.onnx")
        labels = {"labels": ["a", "b", "c"]} if named else {}
        heads = opened(encoder, tmp_path / "head.onnx", **labels)
        heads.load()
        expected = ("a", "b", "c") if named else ("LABEL_0", "LABEL_1", "LABEL_2")
        assert heads.models[0].labels.value == expected
        assert logits(heads, [THE])[0].tolist() == embed(heads.encoder, [THE])[:, :3].tolist()

    @pytest.mark.parametrize("labels", [["a"], ["a", "b", "c", "d"]], ids=["fewer", "more"])
    def test_with_labels_in_another_number_are_refused(
        self, encoder: Path, opened: Open, tmp_path: Path, labels: list[str]
    ) -> None:
        head = write_head(tmp_path / "h", encoder)
        with pytest.raises(ModelError) as refusal:
            opened(encoder, head, labels=labels).load()
        assert str(refusal.value) == (
            f"{head}/model.onnx: {len(labels)} labels (labels in the config), "
            "but the graph gives 3 logits. Correct labels in the config"
        )

    def test_of_another_encoder_are_refused(
        self, encoder: Path, opened: Open, tmp_path: Path
    ) -> None:
        head = write_head(tmp_path / "h", encoder)
        other = write_encoder(tmp_path / "other", seed=1, pooling=MEAN, normalizes=True)
        with pytest.raises(ModelError) as refusal:
            opened(other, head)
        assert str(refusal.value) == (
            f"{head}: a head of another encoder than {other}. "
            "Correct encoder in the config, or train it again with --encoder"
        )

    def test_know_their_encoder_wherever_it_stands(
        self, encoder: Path, opened: Open, tmp_path: Path
    ) -> None:
        head = write_head(tmp_path / "h", encoder)
        moved = encoder.rename(tmp_path / "moved")
        opened(moved, head, max_length=10).load()

    @pytest.mark.parametrize("file", ["1_Pooling/config.json", "modules.json", "tokenizer.json"])
    def test_do_not_fit_an_encoder_whose_files_were_changed(
        self, encoder: Path, opened: Open, tmp_path: Path, file: str
    ) -> None:
        head = write_head(tmp_path / "h", encoder)
        other = write_encoder(tmp_path / "other", pooling=MAX)
        without_special_tokens(other)
        shutil.copy(other / file, encoder / file)
        with pytest.raises(ModelError, match="a head of another encoder than"):
            opened(encoder, head)

    def test_that_do_not_fit_the_width_of_the_embedding_are_refused(
        self, encoder: Path, opened: Open, tmp_path: Path
    ) -> None:
        head = write_head(tmp_path / "h", encoder)
        graph = onnx.load(head / "model.onnx")
        wide = np.zeros((ENCODER_WIDTH + 1, 3), np.float32)
        graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(wide, "weights"))
        graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = ENCODER_WIDTH + 1
        onnx.save(graph, head / "model.onnx")
        with pytest.raises(ModelError, match=r"^model 'h': fails on a probe text \("):
            opened(encoder, head).load()

    def test_over_a_graph_that_gives_no_embedding_are_refused(
        self, encoder: Path, opened: Open, tmp_path: Path
    ) -> None:
        head = write_head(tmp_path / "h", encoder)
        nodes = [
            helper.make_node("Cast", ["input_ids"], ["as_float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["as_float", "axis"], ["sums"], keepdims=0),
        ]
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "sequence"])
        sums = helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["n"])
        onnx.save(
            build_model("made_for_a_test", nodes, [ids], [sums], {"axis": np.array([1])}),
            encoder / "model.onnx",
        )
        write_json(head / "config.json", {"id2label": {"0": "a", "1": "b", "2": "c"}})
        with pytest.raises(ModelError) as refusal:
            opened(encoder, head).load()
        assert str(refusal.value) == (
            f"{encoder}/model.onnx: answers 1 texts with 1 numbers, not with embeddings. "
            "Export it for feature extraction"
        )

    def test_listed_without_their_encoder_are_told_so(
        self, encoder: Path, tmp_path: Path, make_config: Callable[..., Config]
    ) -> None:
        head = write_head(tmp_path / "h", encoder)
        with pytest.raises(UsageError) as refusal:
            OnnxClassifier(make_config({"name": "h", "path": head}).local_models, {})
        assert str(refusal.value) == (
            f"{head}: the head of an encoder, which is not fed with texts. "
            'Name the encoder in the config: encoder = "…"'
        )


class TestPaths:
    @pytest.fixture
    def hub(self, tmp_path: Path) -> Path:
        """An encoder in the layout of the hub, with two graphs that differ."""
        folder = write_encoder(tmp_path / "hub", pooling=MAX)
        other = write_encoder(tmp_path / "other", seed=1)
        (folder / "onnx").mkdir()
        (folder / "model.onnx").rename(folder / "onnx/model.onnx")
        (other / "model.onnx").rename(folder / "onnx/model_quantized.onnx")
        shutil.rmtree(other)
        return folder

    def test_of_an_encoder_may_name_its_graph(self, hub: Path) -> None:
        encoder = Encoder(hub / "onnx/model_quantized.onnx", None, {})
        assert encoder.graph.folder.path == hub
        assert encoder.rule == "max pooling"
        assert embed(encoder, [THE]).tobytes() != embed(Encoder(hub, None, {}), [THE]).tobytes()

    def test_of_a_head_may_name_its_graph(
        self, encoder: Path, opened: Open, tmp_path: Path
    ) -> None:
        head = write_head(tmp_path / "h", encoder, ("good", "bad"))
        by_folder = logits(opened(encoder, head), [THE])
        heads = opened(encoder / "model.onnx", head / "model.onnx")
        assert heads.models[0].labels.value == ("good", "bad")
        assert logits(heads, [THE])[0].tobytes() == by_folder[0].tobytes()

    def test_of_a_head_go_with_the_file_of_its_config(
        self, encoder: Path, opened: Open, tmp_path: Path
    ) -> None:
        head = write_head(tmp_path / "h", encoder)
        (head / "model.onnx").rename(head / "v2.onnx")
        (head / "v1.onnx").write_bytes(b"")
        assert opened(encoder, head, file="v2.onnx").load().value is Batching.PADDED


class TestEmbedder:
    def test_gives_the_embeddings_as_scores(self, encoder: Path) -> None:
        embedder = Embedder(Encoder(encoder, None, {}))
        assert embedder.load().value is Batching.PADDED
        (model,) = embedder.models
        assert (model.activation.value, len(model.labels.value)) == ("none", ENCODER_WIDTH)
        (found,) = embedder.logits(TokenIds.of([[THE], [MY]]), np.arange(2))
        assert found.tobytes() == embed(embedder.encoder, [THE], [MY]).tobytes()


class TestDigests:
    """What tells in a cache whether logits can be had again."""

    @staticmethod
    def digests(*configs: ModelConfig) -> tuple[str, ...]:
        return EncoderHeads(configs, {}).digests

    def test_differ_between_heads_and_not_between_their_rules(
        self, encoder: Path, tmp_path: Path
    ) -> None:
        heads = [write_head(tmp_path / name, encoder, seed=seed) for seed, name in enumerate("ab")]
        a, b = (ModelConfig(name=head.name, path=head, encoder=encoder) for head in heads)
        first, second = self.digests(a, b)
        assert first != second
        ruled = a.model_copy(update={"threshold": 0.5, "activation": "none", "token_budget": 7})
        assert self.digests(b, ruled) == (second, first)

    def test_change_with_all_that_decides_an_embedding(self, encoder: Path, tmp_path: Path) -> None:
        head = write_head(tmp_path / "a", encoder)
        write_json(head / "config.json", {"id2label": {"0": "a", "1": "b", "2": "c"}})
        config = ModelConfig(name="a", path=head, encoder=encoder)
        found = {self.digests(config), self.digests(config.model_copy(update={"max_length": 9}))}
        write_json(encoder / "labelf.json", {"disabled_optimizers": []})
        found.add(self.digests(config))
        write_json(encoder / "tokenizer_config.json", {"padding_side": "left"})
        found.add(self.digests(config))
        other = write_encoder(tmp_path / "other", seed=1, pooling=MAX)
        for file in ("1_Pooling/config.json", "modules.json", "model.onnx"):
            shutil.copy(other / file, encoder / file)
            found.add(self.digests(config))
        assert len(found) == 7


@needs_shared
class TestMiniLm:
    FOLDER = SHARED / "models/minilm-l6-v2"

    def test_gives_the_embeddings_of_sentence_transformers(self) -> None:
        rows = json.loads(GOLDEN.read_text("utf-8"))
        encoder = Encoder(self.FOLDER, None, {})
        assert encoder.rule == "mean pooling, unit length"
        assert encoder.graph.max_length.value == 256
        ids = encoder.graph.tokenizer.encode([row["text"] for row in rows])
        assert ids.lengths.max() > 256
        assert ids.lengths.min() == 0
        found = [encoder.embed(ids, np.array([row])) for row in range(len(rows))]
        expected = [row["embedding"] for row in rows]
        np.testing.assert_allclose(np.concatenate(found), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("content", ['[{"path": "1"}]', '["Pooling"]', "[3]", "7", '[{"type": 1}]'])
def test_modules_of_another_kind_are_refused(tmp_path: Path, content: str) -> None:
    encoder = write_encoder(tmp_path / "encoder")
    (encoder / "modules.json").write_text(content)
    with pytest.raises(ModelError) as refused:
        Encoder(encoder, None, {})
    assert str(refused.value) == (
        f"{encoder}/modules.json: not a list of modules with a type each. Export the encoder again"
    )


@pytest.mark.parametrize("cut", ["batch", "sequence"])
def test_an_encoder_that_answers_fewer_texts_or_tokens_is_refused(tmp_path: Path, cut: str) -> None:
    """It gives the vectors of the first text alone, or of the first two tokens."""
    encoder = write_encoder(tmp_path / "encoder")
    model = onnx.load(encoder / "model.onnx")
    model.graph.node[-1].output[0] = "whole"
    axis, end = (0, 1) if cut == "batch" else (1, 2)
    for name, value in (("begin", 0), ("end", end), ("axis", axis)):
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
    inputs = ["whole", "begin", "end", "axis"]
    model.graph.node.append(helper.make_node("Slice", inputs, ["last_hidden_state"]))
    onnx.save(model, encoder / "model.onnx")
    with pytest.raises(ModelError) as refused:
        Embedder(Encoder(encoder, None, {})).load()
    answer = "3 texts with 1 × 5 × 4" if cut == "batch" else "1 texts with 1 × 2 × 4"
    assert str(refused.value) == (
        f"{encoder}/model.onnx: answers {answer} numbers, not with embeddings. "
        "Export it for feature extraction"
    )
