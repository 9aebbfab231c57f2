"""A model folder: which file is the graph, and what its files say about the model."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import WORDS, write_tokenizer
from onnx import TensorProto, helper

from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.errors import ModelError
from labelf_cli.tokens import Tokenizer

CHOOSE = 'Choose with file = "…" in the config'


def write_graph_with_data(path: Path, locations: Sequence[str]) -> None:
    """A graph whose weights stand in other files."""
    weights = []
    for number, location in enumerate(locations):
        tensor = TensorProto(name=f"w{number}", data_type=TensorProto.FLOAT, dims=[1])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        weights.append(tensor)
    graph = helper.make_graph([], "made_for_a_test", [], [], weights)
    path.write_bytes(helper.make_model(graph).SerializeToString())


def put(folder: Path, *names: str) -> None:
    """Make empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def described(folder: Path, config: object = None, tokenizer_config: object = None) -> ModelFolder:
    """A model folder with these two files; None for no such file."""
    put(folder, "model.onnx")
    for name, content in (("config.json", config), ("tokenizer_config.json", tokenizer_config)):
        if content is not None:
            (folder / name).write_text(json.dumps(content))
    return ModelFolder.find(folder, None)


class TestFind:
    @pytest.mark.parametrize(
        ("there", "chosen"),
        [
            (["model.onnx", "a.onnx", "onnx/model.onnx"], "model.onnx"),
            (["a.onnx", "onnx/model.onnx", "onnx/model_int8.onnx"], "onnx/model.onnx"),
            (["model_int8.onnx", "config.json"], "model_int8.onnx"),
            (["onnx/model_int8.onnx", "elsewhere/a.onnx"], "onnx/model_int8.onnx"),
        ],
    )
    def test_the_usual_names_come_first_then_a_lone_file(
        self, tmp_path: Path, there: list[str], chosen: str
    ) -> None:
        put(tmp_path, *there)
        assert ModelFolder.find(tmp_path, None) == ModelFolder(tmp_path / chosen, tmp_path)

    def test_the_config_picks_a_file_against_the_order(self, tmp_path: Path) -> None:
        put(tmp_path, "model.onnx", "onnx/model_int8.onnx")
        found = ModelFolder.find(tmp_path, "onnx/model_int8.onnx")
        assert found == ModelFolder(tmp_path / "onnx/model_int8.onnx", tmp_path)

    def test_a_path_may_name_the_graph_itself(self, tmp_path: Path) -> None:
        put(tmp_path, "model.onnx", "model_int8.onnx")
        found = ModelFolder.find(tmp_path / "model_int8.onnx", None)
        assert found == ModelFolder(tmp_path / "model_int8.onnx", tmp_path)

    def test_a_graph_of_the_hubs_layout_has_its_files_one_level_up(self, tmp_path: Path) -> None:
        put(tmp_path, "onnx/model_quantized.onnx", "tokenizer.json")
        graph = tmp_path / "onnx/model_quantized.onnx"
        assert ModelFolder.find(graph, None) == ModelFolder(graph, tmp_path)
        put(tmp_path, "onnx/tokenizer.json")
        assert ModelFolder.find(graph, None) == ModelFolder(graph, tmp_path / "onnx")

    @pytest.mark.parametrize(
        ("there", "file", "message"),
        [
            (
                ["b.onnx", "a.onnx", "onnx/d.onnx", "onnx/c.onnx"],
                None,
                f"several .onnx files: a.onnx, b.onnx, onnx/c.onnx, onnx/d.onnx. {CHOOSE}",
            ),
            (["a.txt"], None, "no .onnx file in the model folder. Export the model to ONNX"),
            (
                ["model.onnx"],
                "model_int8.onnx",
                "no file 'model_int8.onnx' in the model folder. Correct file in the config",
            ),
        ],
        ids=["several", "none", "another than the config's"],
    )
    def test_nothing_is_guessed(
        self, tmp_path: Path, there: list[str], file: str | None, message: str
    ) -> None:
        put(tmp_path, *there)
        with pytest.raises(ModelError) as refusal:
            ModelFolder.find(tmp_path, file)
        assert str(refusal.value) == f"{tmp_path}: {message}"

    def test_a_path_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError) as refusal:
            ModelFolder.find(tmp_path / "absent", None)
        assert str(refusal.value) == (
            f"{tmp_path}/absent: no such model folder. Correct the model's path in the config"
        )

    def test_its_size_counts_external_data(self, tmp_path: Path) -> None:
        names = ("b.bin", "old_data", "data/" + "a" * 200)
        put(tmp_path, *names)
        write_graph_with_data(tmp_path / "model.onnx", [names[0], names[2]])
        folder = ModelFolder.find(tmp_path, None)
        assert folder.graph_files == tuple(tmp_path / n for n in ("model.onnx", names[0], names[2]))
        (tmp_path / names[0]).write_bytes(b"...")
        assert folder.num_bytes == (tmp_path / "model.onnx").stat().st_size + 3


@pytest.mark.parametrize("name", ["config", "tokenizer_config"])
class TestJson:
    def test_an_absent_file_says_nothing(self, tmp_path: Path, name: str) -> None:
        assert getattr(described(tmp_path), name) == {}

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b'{"a": ', "can't be read as JSON (Expecting value: line 1 column 7 (char 6))"),
            (b'{"a": "\xff"}', "can't be read as JSON ('utf-8' codec can't decode byte 0xff"),
            (b'["a"]', "not a JSON object"),
        ],
        ids=["broken", "not UTF-8", "a list"],
    )
    def test_a_broken_file_is_refused_with_its_place(
        self, tmp_path: Path, name: str, content: bytes, message: str
    ) -> None:
        (tmp_path / f"{name}.json").write_bytes(content)
        with pytest.raises(ModelError) as refusal:
            getattr(described(tmp_path), name)
        assert str(refusal.value).startswith(f"{tmp_path}/{name}.json: {message}")


class TestMaxLength:
    @pytest.mark.parametrize(
        ("tokenizer", "positions", "given", "found"),
        [
            (256, 512, 300, (256, "model_max_length of the tokenizer")),
            (1024, 512, 1000, (512, "max_position_embeddings")),
            (512, 512, 100, (100, "max_length in the config")),
            (None, None, 7, (7, "max_length in the config")),
            (1e30, 512, None, (512, "max_position_embeddings")),
            (1e30, None, None, (None, "no limit known")),
            (int(1e30), None, None, (None, "no limit known")),
            (None, None, None, (None, "no limit known")),
        ],
    )
    def test_it_is_the_least_of_what_files_and_config_allow(
        self, tmp_path: Path, tokenizer: object, positions: object, given: int | None, found: object
    ) -> None:
        config = {"max_position_embeddings": positions}
        folder = described(tmp_path, config, {"model_max_length": tokenizer})
        assert folder.max_length(given) == found

    @pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "camembert", "mpnet"])
    def test_roberta_reserves_positions_up_to_its_padding(
        self, tmp_path: Path, family: str
    ) -> None:
        config = {"model_type": family, "max_position_embeddings": 514, "pad_token_id": 1}
        rule = "max_position_embeddings less 2 reserved"
        assert described(tmp_path, config).max_length(None) == (512, rule)

    @pytest.mark.parametrize("family", ["bert", "distilbert", "deberta-v2", None])
    def test_other_families_reserve_none(self, tmp_path: Path, family: str | None) -> None:
        config = {"model_type": family, "max_position_embeddings": 512, "pad_token_id": 1}
        assert described(tmp_path, config).max_length(None).value == 512


@pytest.mark.parametrize(
    ("written", "pad_id"),
    [("my", WORDS.index("my")), ({"content": "tv"}, WORDS.index("tv")), (None, 7), ("<none>", 7)],
)
def test_the_padding_token_is_read_in_both_ways_of_writing(
    tmp_path: Path, written: object, pad_id: int
) -> None:
    folder = described(tmp_path, {"pad_token_id": 7}, {"pad_token": written})
    write_tokenizer(folder.tokenizer)
    assert folder.template(Tokenizer.load(folder.tokenizer)).pad_id == pad_id
