"""The optimize job: a folder that is complete, faster, and honest about what it changed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import DENSE_WIDTH, SHARED, WORDS, WriteDenseModel, WriteModel, needs_shared

from labelf_cli.classifiers.interface import Batching
from labelf_cli.errors import AgreementError, InputError, ModelError, OutputError, UsageError
from labelf_cli.graphs.files import write_model as write_graph
from labelf_cli.graphs.precision import Precision
from labelf_cli.jobs.optimize import Optimized, OptimizeSettings, optimize
from labelf_cli.tuner import open_model

FILES = [
    *("config.json", "labelf.json", "model.onnx", "optimize.json", "tokenizer.json"),
    "tokenizer_config.json",
]


def optimized(model: Path, output: Path, **settings: Any) -> Optimized:  # noqa: ANN401
    its = OptimizeSettings(model, output, threads=2, seconds=0.01, **settings)
    return optimize(its, lambda _: None)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """300 texts, one of them blank."""
    random = np.random.default_rng(0)
    lines = [" ".join(random.choice(WORDS[4:], 1 + n % 8)) for n in range(299)]
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(["text", *lines, '" "']) + "\n")
    return path


class TestFolder:
    def test_is_complete_and_can_be_used(
        self, write_dense_model: WriteDenseModel, tmp_path: Path
    ) -> None:
        model, output = write_dense_model(), tmp_path / "a" / "small"
        made = optimized(model, output)
        assert sorted(path.name for path in output.iterdir()) == FILES
        assert [path.name for path in output.parent.iterdir()] == ["small"]
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            assert (output / name).read_bytes() == (model / name).read_bytes()
        group = open_model(output)
        assert group.load().value is made.batching.value is Batching.PADDED
        assert group.num_bytes == made.bytes_after
        assert group.models[0].labels.value == ("yes", "no", "maybe")

    def test_tells_what_was_found(
        self, write_dense_model: WriteDenseModel, tmp_path: Path, texts: Path
    ) -> None:
        made = optimized(write_dense_model(), tmp_path / "out", inputs=(str(texts),))
        told = json.loads((tmp_path / "out/optimize.json").read_text("utf-8"))
        assert told["precision"] == "int8"
        assert told["source"]["path"] == str(tmp_path / "models/dense")
        assert told["versions"]["onnx"] == onnx.__version__
        assert (told["bytes_before"], told["bytes_after"]) == (made.bytes_before, made.bytes_after)
        assert (told["speed"], told["speed_texts"]) == (made.speed, made.texts)
        assert told["agreement"]["share"] == getattr(made.agreement, "share", None)
        assert len(told["trials"]) == len(made.trials) > 2
        assert told["tuning"] == json.loads((tmp_path / "out/labelf.json").read_text("utf-8"))

    def test_begins_with_the_settings_of_the_model(
        self, write_dense_model: WriteDenseModel, tmp_path: Path
    ) -> None:
        model = write_dense_model()
        (model / "labelf.json").write_text('{"token_budget": 100}')
        made = optimized(model, tmp_path / "out")
        assert [trial.tuning.token_budget for trial in made.trials[:2]] == [100, 100]

    def test_of_the_hub_s_layout_is_understood(
        self, write_dense_model: WriteDenseModel, tmp_path: Path
    ) -> None:
        model = write_dense_model()
        (model / "onnx").mkdir()
        (model / "model.onnx").rename(model / "onnx" / "model.onnx")
        optimized(model / "onnx" / "model.onnx", tmp_path / "out")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES

    def test_has_one_file_for_what_had_its_weights_apart(
        self, write_dense_model: WriteDenseModel, tmp_path: Path
    ) -> None:
        model = write_dense_model()
        graph = onnx.load(model / "model.onnx")
        (model / "model.onnx").unlink()
        write_graph(graph, model / "model.onnx", most_bytes=0)
        made = optimized(model, tmp_path / "out")
        assert (model / "model.onnx_data").is_file()
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
        assert made.bytes_before > DENSE_WIDTH**2 * 4


class TestNumbers:
    def test_are_bytes_and_the_answers_nearly_the_same(
        self, write_dense_model: WriteDenseModel, tmp_path: Path, texts: Path
    ) -> None:
        made = optimized(write_dense_model(), tmp_path / "out", inputs=(str(texts),))
        assert made.bytes_after < made.bytes_before
        assert made.agreement is not None
        assert made.agreement.texts == 299
        assert 0.95 < made.agreement.share <= 1
        assert 0 < made.agreement.largest_change < 0.2

    def test_stay_as_they_are_in_fp32(
        self, write_dense_model: WriteDenseModel, tmp_path: Path, texts: Path
    ) -> None:
        settings = {"inputs": (str(texts),), "precision": Precision.FP32, "min_agreement": 1.0}
        made = optimized(write_dense_model(), tmp_path / "out", **settings)
        assert made.agreement is not None
        assert made.agreement.largest_change < 1e-6
        before, after = (onnx.load(p / "model.onnx").graph for p in (made_of(made), made.path))
        assert list(after.initializer) == list(before.initializer)

    def test_of_texts_that_were_not_given_are_not_compared(
        self, write_dense_model: WriteDenseModel, tmp_path: Path
    ) -> None:
        assert optimized(write_dense_model(), tmp_path / "out").agreement is None
        assert json.loads((tmp_path / "out/optimize.json").read_text())["agreement"] is None

    def test_are_compared_on_the_first_texts(
        self, write_dense_model: WriteDenseModel, tmp_path: Path, texts: Path
    ) -> None:
        made = optimized(write_dense_model(), tmp_path / "out", inputs=(str(texts),), limit=40)
        assert made.agreement is not None
        assert made.agreement.texts == 40


def made_of(made: Optimized) -> Path:
    told = json.loads((made.path / "optimize.json").read_text("utf-8"))
    return Path(told["source"]["path"])


class TestRefusals:
    def test_too_few_labels_that_stay(
        self, write_dense_model: WriteDenseModel, tmp_path: Path, texts: Path
    ) -> None:
        model = write_dense_model(nearness=0.001)
        inputs = (str(texts),)
        made = optimized(model, tmp_path / "any", inputs=inputs)
        assert made.agreement is not None
        assert made.agreement.share < 0.98
        with pytest.raises(
            AgreementError, match=rf"{made.agreement.share:.4f} of the labels stay, less than"
        ) as refused:
            optimized(model, tmp_path / "out", inputs=inputs, min_agreement=0.98)
        assert refused.value.exit_code == 1
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".*"))

    def test_a_demand_without_texts(
        self, write_dense_model: WriteDenseModel, tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError, match=r"--min-agreement needs texts.*--input"):
            optimized(write_dense_model(), tmp_path / "out", min_agreement=0.98)

    def test_what_stands_at_the_output_already(self, write_dense_model: WriteDenseModel) -> None:
        model = write_dense_model()
        before = contents(model)
        with pytest.raises(OutputError, match="exists already"):
            optimized(model, model)
        assert contents(model) == before

    def test_a_model_that_is_quantised_already(
        self, write_dense_model: WriteDenseModel, tmp_path: Path
    ) -> None:
        optimized(write_dense_model(), tmp_path / "once")
        with pytest.raises(ModelError, match=r"model\.onnx: quantised already.*--precision fp32"):
            optimized(tmp_path / "once", tmp_path / "twice")
        made = optimized(tmp_path / "once", tmp_path / "tuned", precision=Precision.FP32)
        assert made.bytes_after == made.bytes_before

    def test_a_model_with_nothing_to_quantise(
        self, write_model: WriteModel, tmp_path: Path
    ) -> None:
        with pytest.raises(ModelError, match="nothing to quantise"):
            optimized(write_model(), tmp_path / "out")
        assert list(tmp_path.iterdir()) == [tmp_path / "models"]

    def test_texts_that_are_none(self, write_dense_model: WriteDenseModel, tmp_path: Path) -> None:
        (tmp_path / "blank.csv").write_text('text\n" "\n')
        with pytest.raises(InputError, match=r"blank\.csv: there is no text in it"):
            optimized(write_dense_model(), tmp_path / "o", inputs=(str(tmp_path / "blank.csv"),))

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda model: (model / "tokenizer.json").unlink(), r"tokenizer\.json: can't be read"),
            (lambda model: (model / "model.onnx").unlink(), r"no \.onnx file in the model folder"),
            (lambda model: model.rename(model.with_name("moved")), "no such model folder"),
            (lambda model: (model / "model.onnx").write_bytes(b"x" * 99), "not an ONNX graph"),
        ],
        ids=["no tokenizer", "no graph", "no folder", "a broken graph"],
    )
    def test_a_folder_that_is_no_model(
        self,
        write_dense_model: WriteDenseModel,
        tmp_path: Path,
        spoil: Callable[[Path], object],
        message: str,
    ) -> None:
        model = write_dense_model()
        spoil(model)
        with pytest.raises(ModelError, match=message):
            optimized(model, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("at", range(0, 23, 4))
def test_nothing_is_left_of_an_interrupted_run(
    write_dense_model: WriteDenseModel, tmp_path: Path, texts: Path, at: int
) -> None:
    told: list[str] = []

    def progress(what: str) -> None:
        told.append(what)
        if len(told) > at:
            raise KeyboardInterrupt

    settings = OptimizeSettings(
        write_dense_model(), tmp_path / "out", threads=1, inputs=(str(texts),), seconds=0.01
    )
    with pytest.raises(KeyboardInterrupt):
        optimize(settings, progress)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "texts.csv"]


@pytest.mark.long
@needs_shared
def test_a_real_model_keeps_its_labels_in_a_quarter_of_its_size(tmp_path: Path) -> None:
    made = optimized(
        SHARED / "models/tweet-emotion",
        tmp_path / "out",
        inputs=(str(SHARED / "data/tweets_emotion_test.csv"),),
        min_agreement=0.98,
    )
    assert made.batching.value is Batching.PADDED
    assert made.bytes_after < 0.3 * made.bytes_before
    assert made.agreement is not None
    assert made.agreement.texts == 1421
    assert made.agreement.largest_change < 0.2
