"""One ONNX classifier: what it feeds its graph, what it makes of the answer, what it refuses.

Most graphs here are echoes: each declared input becomes one logit, the sum over its row. So the
logits of a text show what the graph was fed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import WORDS, WriteModel, write_tokenizer
from onnx import TensorProto, helper

from labelf_cli.classifiers.interface import Batching
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.config import Config
from labelf_cli.errors import LabelfError, UsageError
from labelf_cli.predictions import Floats
from labelf_cli.tokens import TokenIds

INT64, INT32, FLOAT = TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT
FLOAT16, BOOL, STRING = TensorProto.FLOAT16, TensorProto.BOOL, TensorProto.STRING
CLS, SEP, THE, MY = (WORDS.index(word) for word in ("[CLS]", "[SEP]", "the", "my"))

Open = Callable[..., OnnxClassifier]
Shape = Sequence[int | str]


def write_graph(
    folder: Path,
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, int],
    output: tuple[str, int, Shape],
    shape: Shape = ("batch", "sequence"),
) -> Path:
    """A folder with a graph and a tokenizer; the nodes may use the constants ``0`` to ``2``."""
    graph = helper.make_graph(
        nodes,
        "made_for_a_test",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(*output)],
        [helper.make_tensor(str(axis), INT64, [1], [axis]) for axis in (0, 1, 2)],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    write_tokenizer(folder / "tokenizer.json")
    return folder


@pytest.fixture
def opened(make_config: Callable[..., Config]) -> Open:
    """A function that reads a model folder; keywords are keys of the config."""

    def open_(path: Path, **keys: object) -> OnnxClassifier:
        return OnnxClassifier(make_config({"name": "m", "path": path, **keys}).local_models, {})

    return open_


@pytest.fixture
def echo(tmp_path: Path, opened: Open) -> Open:
    """A function that opens an echo of ``input_ids`` and other inputs of a kind.

    ``output`` is the name, the type and the width of its output as the graph declares it.
    """

    def open_(
        inputs: Sequence[str] = (),
        kind: int = INT64,
        *,
        shape: Shape = ("batch", "sequence"),
        output: tuple[str, int, int | str] = ("logits", FLOAT, "labels"),
        config: Mapping[str, object] = {},
        tokenizer_config: Mapping[str, object] = {},
        **keys: object,
    ) -> OnnxClassifier:
        kinds = {"input_ids": kind if kind == INT32 else INT64} | dict.fromkeys(inputs, kind)
        nodes = []
        for name in kinds:
            nodes += [
                helper.make_node("Cast", [name], [f"{name}_as_float"], to=FLOAT),
                helper.make_node("ReduceSum", [f"{name}_as_float", "1"], [f"{name}_sum"]),
            ]
        nodes += [
            helper.make_node("Concat", [f"{name}_sum" for name in kinds], ["sums"], axis=1),
            helper.make_node("Cast", ["sums"], [output[0]], to=output[1]),
        ]
        declared = (*output[:2], (shape[0], output[2]))
        folder = write_graph(tmp_path / "echo", nodes, kinds, declared, shape)
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
        return opened(folder, **keys)

    return open_


def answer(classifier: OnnxClassifier, *texts: list[int]) -> Floats:
    """Logits of texts, given as token ids without special tokens, in one call."""
    (logits,) = classifier.logits(TokenIds.of(list(texts)), np.arange(len(texts)))
    return logits


class TestInputs:
    def test_ids_stand_between_the_special_tokens(self, echo: Open) -> None:
        # And nothing else is fed: onnxruntime refuses an input that the graph does not declare.
        assert answer(echo(), [THE, MY]) == CLS + THE + MY + SEP

    def test_the_mask_counts_the_tokens_that_are_no_padding(self, echo: Open) -> None:
        model = echo(["attention_mask"])
        assert answer(model, [THE] * 5, [THE], [])[:, 1].tolist() == [7, 3, 2]

    def test_one_that_nobody_knows_is_zeros(self, echo: Open) -> None:
        assert answer(echo(["language_ids"]), [THE], [MY] * 3)[:, 1].tolist() == [0, 0]

    def test_positions_count_from_zero(self, echo: Open) -> None:
        assert answer(echo(["position_ids"]), [THE] * 2)[0, 1] == 0 + 1 + 2 + 3

    def test_positions_do_not_count_padding_on_the_left(self, echo: Open) -> None:
        model = echo(["position_ids"], tokenizer_config={"padding_side": "left"})
        assert answer(model, [THE] * 6, [THE] * 2)[1, 1] == 0 + 1 + 2 + 3

    def test_token_types_are_those_of_the_post_processor(
        self, echo: Open, opened: Open, tmp_path: Path
    ) -> None:
        echo(["token_type_ids"])
        path = tmp_path / "echo/tokenizer.json"
        content = json.loads(path.read_text())
        for piece in content["post_processor"]["single"]:
            next(iter(piece.values()))["type_id"] = 1
        path.write_text(json.dumps(content))
        assert answer(opened(path.parent), [THE] * 5, [THE])[:, 1].tolist() == [7, 3]

    @pytest.mark.parametrize("kind", [INT32, FLOAT, FLOAT16, BOOL], ids=TensorProto.DataType.Name)
    def test_they_are_fed_as_the_type_that_the_graph_declares(self, echo: Open, kind: int) -> None:
        assert answer(echo(["attention_mask"], kind), [THE, MY], [MY])[:, 1].tolist() == [4, 3]

    @pytest.mark.parametrize(("side", "kept"), [("right", THE), ("left", MY)])
    def test_a_long_text_is_cut_on_the_side_that_the_export_says(
        self, echo: Open, side: str, kept: int
    ) -> None:
        model = echo(tokenizer_config={"truncation_side": side}, max_length=3)
        assert answer(model, [THE, MY]) == CLS + kept + SEP

    @pytest.mark.parametrize(
        ("pad_token", "pad_token_id", "pad_id"),
        [("angry", 1, WORDS.index("angry")), ("no token", 1, 1), (None, 1, 1), (None, None, 0)],
    )
    def test_padding_is_what_the_export_pads_with(
        self, echo: Open, pad_token: str | None, pad_token_id: int | None, pad_id: int
    ) -> None:
        model = echo(
            config={"pad_token_id": pad_token_id}, tokenizer_config={"pad_token": pad_token}
        )
        assert answer(model, [THE] * 4, [])[1] == CLS + SEP + 4 * pad_id


class TestLogits:
    def test_half_precision_becomes_float32(self, echo: Open) -> None:
        logits = answer(echo(output=("logits", FLOAT16, 1)), [THE] * 3)
        assert logits.dtype == np.float32
        assert logits == CLS + 3 * THE + SEP

    def test_they_stand_in_the_order_that_is_asked(self, echo: Open) -> None:
        (logits,) = echo().logits(TokenIds.of([[THE], [MY], [THE, MY]]), np.array([2, 0]))
        assert logits[:, 0].tolist() == [CLS + THE + MY + SEP, CLS + THE + SEP]

    def test_an_only_output_of_another_name_is_taken_for_them(self, echo: Open) -> None:
        assert answer(echo(output=("scores", FLOAT, 1)), [THE]) == CLS + THE + SEP

    def test_a_graph_for_one_text_a_call_still_gives_them(self, echo: Open) -> None:
        model = echo(shape=(1, "sequence"))
        assert model.load().value is Batching.ONE_TEXT
        assert answer(model, [THE]) == CLS + THE + SEP


class TestLabels:
    @pytest.mark.parametrize("width", [2, "labels"], ids=["declared", "computed"])
    def test_without_id2label_are_numbered(self, echo: Open, width: int | str) -> None:
        model = echo(["attention_mask"], output=("logits", FLOAT, width))
        rule = "numbered, since config.json has no id2label"
        assert model.models[0].labels == (("LABEL_0", "LABEL_1"), rule)
        model.load()

    @pytest.mark.parametrize("width", [2, "labels"], ids=["declared", "computed"])
    @pytest.mark.parametrize("labels", [["a"], ["a", "b", "c"]], ids=["fewer", "more"])
    def test_in_another_number_than_the_logits_are_refused(
        self, echo: Open, width: int | str, labels: list[str], tmp_path: Path
    ) -> None:
        model = echo(["attention_mask"], output=("logits", FLOAT, width), labels=labels)
        with pytest.raises(UsageError) as refusal:
            model.load()
        assert str(refusal.value) == (
            f"{tmp_path}/echo/model.onnx: {len(labels)} labels (labels in the config), "
            "but the graph gives 2 logits. Correct labels in the config"
        )

    def test_with_a_sigmoid_may_hold_together(self, echo: Open) -> None:
        (model,) = echo(["attention_mask"], activation="sigmoid").models
        assert model.rules.multi_label

    def test_that_stand_alone_make_no_multi_label_model(self, echo: Open) -> None:
        (model,) = echo().models
        assert model.activation == ("sigmoid", "one label")
        assert not model.rules.multi_label


class TestRefusals:
    @pytest.fixture
    def folder(self, write_model: WriteModel) -> Path:
        return write_model()

    @staticmethod
    def refusal(opened: Open, folder: Path, **keys: object) -> str:
        with pytest.raises(LabelfError) as refusal:
            opened(folder, **keys).load()
        assert isinstance(refusal.value, UsageError)
        return str(refusal.value)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90387606\n",
                "a Git LFS pointer, not a model. Run 'git lfs pull'",
            ),
            *(
                (page, "an HTML page, not a model. Download the file itself")
                for page in (b"<!DOCTYPE html>\n<html>", b"\n <html lang='en'>", b"<?xml ?><html>")
            ),
        ],
    )
    def test_what_often_stands_in_a_graphs_place_is_named(
        self, opened: Open, folder: Path, content: bytes, message: str
    ) -> None:
        (folder / "model.onnx").write_bytes(content)
        assert self.refusal(opened, folder) == f"{folder}/model.onnx: {message}"

    @pytest.mark.parametrize(
        ("mangle", "reason"),
        [
            (lambda graph: graph[:200], "a broken field before byte 13"),
            (lambda graph: graph[:-1], "a broken field before byte 845"),
            (lambda graph: bytes(range(7, 7 + len(graph) % 200)), "wire type 7 at byte 1"),
        ],
        ids=["begun", "one byte short", "something else"],
    )
    def test_a_mangled_graph_is_refused_with_its_place(
        self, opened: Open, folder: Path, mangle: Callable[[bytes], bytes], reason: str
    ) -> None:
        path = folder / "model.onnx"
        path.write_bytes(mangle(path.read_bytes()))
        assert self.refusal(opened, folder) == (
            f"{path}: not an ONNX graph, or not all of it ({reason}). Download or export it again"
        )

    def test_what_is_no_graph_to_onnxruntime_is_refused(self, opened: Open, folder: Path) -> None:
        path = folder / "model.onnx"
        path.write_bytes(b"\x0a\x02ab")
        assert self.refusal(opened, folder).startswith(f"{path}: onnxruntime can't load it (")

    def test_a_graph_without_its_external_data_is_refused(self, opened: Open, folder: Path) -> None:
        path = folder / "model.onnx"
        model = onnx.load(path)
        onnx.save_model(model, path, save_as_external_data=True, location="w", size_threshold=0)
        (folder / "w").unlink()
        assert self.refusal(opened, folder) == (
            f"{path}: its external data 'w' is not there. "
            "Download or export the model again, its external data too"
        )

    def test_a_folder_without_a_tokenizer_is_refused(self, opened: Open, folder: Path) -> None:
        path = folder / "tokenizer.json"
        path.unlink()
        assert self.refusal(opened, folder) == f"{path}: can't be read (No such file or directory)"

    def test_a_broken_tokenizer_is_refused(self, opened: Open, folder: Path) -> None:
        path = folder / "tokenizer.json"
        path.write_text("{}")
        assert self.refusal(opened, folder).startswith(f"{path}: not a tokenizer (")

    def test_a_graph_that_takes_no_token_ids_is_refused(self, opened: Open, tmp_path: Path) -> None:
        nodes = [helper.make_node("Identity", ["pixels"], ["logits"])]
        inputs = {"pixels": FLOAT, "mask": INT64}
        folder = write_graph(tmp_path / "m", nodes, inputs, ("logits", FLOAT, ("batch", 2)))
        assert self.refusal(opened, folder, labels=["a", "b"]) == (
            f"{folder}/model.onnx: the graph takes pixels, mask, not input_ids. "
            "Export it for text classification; the head of an encoder needs encoder = …"
        )

    def test_a_graph_that_answers_no_text_is_refused(self, echo: Open) -> None:
        with pytest.raises(UsageError, match=r"^model 'm': fails on a probe text \("):
            echo(["attention_mask"], STRING, labels=["a", "b"]).load()

    def test_a_graph_that_can_not_tell_its_labels_is_refused(
        self, opened: Open, tmp_path: Path
    ) -> None:
        nodes = [
            helper.make_node("Gather", ["1", "input_ids"], ["looked_up"]),
            helper.make_node("Cast", ["looked_up"], ["logits"], to=FLOAT),
        ]
        output = ("logits", FLOAT, ("batch", "labels"))
        folder = write_graph(tmp_path / "m", nodes, {"input_ids": INT64}, output)
        with pytest.raises(UsageError, match=rf"^{folder}/model.onnx: fails on a probe text \("):
            opened(folder)

    def test_a_graph_that_answers_each_token_is_refused(self, opened: Open, tmp_path: Path) -> None:
        # As a sentence encoder or a token classifier does: [batch × sequence × 2].
        nodes = [
            helper.make_node("Cast", ["input_ids"], ["as_float"], to=FLOAT),
            helper.make_node("Unsqueeze", ["as_float", "2"], ["column"]),
            helper.make_node("Concat", ["column", "column"], ["last_hidden_state"], axis=2),
        ]
        output = ("last_hidden_state", FLOAT, ("batch", "sequence", 2))
        folder = write_graph(tmp_path / "m", nodes, {"input_ids": INT64}, output)
        assert "model.onnx" in self.refusal(opened, folder, labels=["a", "b"])

    @pytest.mark.parametrize("max_length", [1, 2])
    def test_a_maximum_length_without_room_for_a_token_is_refused(
        self, opened: Open, folder: Path, max_length: int
    ) -> None:
        assert self.refusal(opened, folder, max_length=max_length) == (
            f"{folder}, max_length: {max_length} leaves no room beside 2 special tokens "
            "(max_length in the config). Choose a larger one"
        )

    def test_a_maximum_length_with_room_for_one_token_is_not(self, echo: Open) -> None:
        assert answer(echo(max_length=3), [THE, MY]) == CLS + THE + SEP


class TestProbe:
    """A model that answers other than it is asked is refused as it is loaded."""

    @staticmethod
    def refusal(model: OnnxClassifier) -> str:
        with pytest.raises(UsageError) as refusal:
            model.load()
        return str(refusal.value)

    @pytest.fixture
    def first_row(self, tmp_path: Path, opened: Open) -> OnnxClassifier:
        """It answers one text alone, and the first of several."""
        nodes = [
            helper.make_node("Cast", ["input_ids"], ["as_float"], to=FLOAT),
            helper.make_node("ReduceSum", ["as_float", "1"], ["sums"]),
            helper.make_node("Gather", ["sums", "0"], ["row"], axis=0),
            helper.make_node("Concat", ["row", "row"], ["logits"], axis=1),
        ]
        output = ("logits", FLOAT, ("batch", 2))
        return opened(write_graph(tmp_path / "m", nodes, {"input_ids": INT64}, output))

    def test_for_fewer_rows_than_texts(self, first_row: OnnxClassifier, tmp_path: Path) -> None:
        assert self.refusal(first_row) == (
            f"{tmp_path}/m/model.onnx: answers 3 texts with 1 × 2 numbers, not with logits. "
            "Export it for text classification"
        )

    def test_for_labels_that_change_with_the_length(self, tmp_path: Path, opened: Open) -> None:
        nodes = [helper.make_node("Cast", ["input_ids"], ["logits"], to=FLOAT)]
        output = ("logits", FLOAT, ("batch", "sequence"))
        folder = write_graph(tmp_path / "m", nodes, {"input_ids": INT64}, output)
        # One token and two special ones give three logits, as many as there are labels.
        assert self.refusal(opened(folder)) == (
            "model 'm': answers 1 texts with 1 × 5 numbers, not 1 × 3. "
            "Export it for text classification"
        )

    def test_for_one_number_alone(self, tmp_path: Path, opened: Open) -> None:
        nodes = [
            helper.make_node("Cast", ["input_ids"], ["as_float"], to=FLOAT),
            helper.make_node("ReduceSum", ["as_float"], ["logits"], keepdims=0),
        ]
        output = ("logits", FLOAT, ())
        folder = write_graph(tmp_path / "m", nodes, {"input_ids": INT64}, output)
        assert self.refusal(opened(folder, labels=["a"])) == (
            f"{folder}/model.onnx: answers 1 texts with 1 numbers, not with logits. "
            "Export it for text classification"
        )

    @pytest.mark.parametrize(
        ("kind", "name"), [(INT64, "tensor(int64)"), (BOOL, "tensor(bool)"), (STRING, "string")]
    )
    def test_for_answers_that_are_no_floating_point_numbers(
        self, echo: Open, kind: int, name: str, tmp_path: Path
    ) -> None:
        assert self.refusal(echo(output=("logits", kind, "labels"), labels=["a"])) == (
            f"{tmp_path}/echo/model.onnx: its output logits is a {name}, not floating-point "
            "numbers. Export it so that it answers with its logits"
        ).replace("a string", "a tensor(string)")

    def test_not_for_double_precision_which_becomes_float32(self, echo: Open) -> None:
        model = echo(output=("logits", TensorProto.DOUBLE, 1))
        model.load()
        logits = answer(model, [THE] * 3)
        assert logits.dtype == np.float32
        assert logits == CLS + 3 * THE + SEP


def test_onnxruntime_prints_nothing(
    opened: Open, write_model: WriteModel, capfd: pytest.CaptureFixture[str]
) -> None:
    model = opened(write_model())
    model.load()
    answer(model, [THE, MY])
    with pytest.raises(Exception, match="out of data bounds"):
        answer(model, [10_000])
    assert capfd.readouterr() == ("", "")


def test_a_temperature_that_would_divide_nothing_is_refused(
    opened: Open, write_model: WriteModel
) -> None:
    with pytest.raises(LabelfError) as refusal:
        opened(write_model(), activation="none", calibration_temperature=2.0)
    assert str(refusal.value) == (
        "model 'm', calibration_temperature: logits are divided by it before softmax or sigmoid, "
        "and this model has neither. Leave it out, or name an activation"
    )
