"""GLiClass uni-encoders: the library's own scores, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.gliclass import GliClass
from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.interface import Batching
from labelf_cli.config import Config
from labelf_cli.errors import LabelfError
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status

DATA = Path(__file__).parents[1] / "data" / "gliclass_uni"
LABELS = ["billing", "Technical support", "cancellation of a subscription"]

MakeConfig = Callable[..., Config]
Open = Callable[..., GliClass]


def entry(path: Path, **keys: object) -> dict[str, object]:
    return {"name": "m", "path": path, "kind": "zero-shot", "labels": LABELS} | keys


@pytest.fixture
def opened(make_config: MakeConfig) -> Open:
    """A function that opens one model; keywords are keys of the config."""

    def open_(path: Path = DATA / "deberta", **keys: object) -> GliClass:
        (group,) = open_groups(make_config(entry(path, **keys)).models)
        assert isinstance(group, GliClass)
        return group

    return open_


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder of its own, to be changed."""
    return shutil.copytree(DATA / "deberta", tmp_path / "copy")


def classify(config: Config, *texts: str) -> Answers:
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    with Labeller.open(config, 2) as labeller:
        return labeller.load().submit(Chunk(0, 0, batch)).result(timeout=30)


def texts_of(name: str) -> list[str]:
    return list(json.loads((DATA / name / "golden.json").read_text("utf-8"))["texts"])


@pytest.mark.parametrize("name", ["deberta", "bert"])
def test_labels_and_scores_are_those_of_gliclass(make_config: MakeConfig, name: str) -> None:
    golden = json.loads((DATA / name / "golden.json").read_text("utf-8"))
    asked = [
        entry(DATA / name, name=str(case["multi_label"]), multi_label=case["multi_label"])
        for case in golden["golden"]
    ]
    answers = classify(make_config(*asked), *golden["texts"])
    assert len(golden["golden"]) == 2
    for case, scores in zip(golden["golden"], answers.scores, strict=True):
        assert case["labels"] == LABELS
        assert [LABELS[i] for i in scores.argmax(axis=1)] == case["best"]
        np.testing.assert_allclose(scores, case["scores"], rtol=0, atol=1e-4)


def test_a_word_behind_a_special_token_has_the_tokens_that_it_has_there(opened: Open) -> None:
    group = opened()
    alone = group._graph.tokenizer.encode(["bill"]).flat.tolist()
    behind = group._graph.tokenizer.encode(["<<SEP>>bill"]).flat.tolist()
    assert group.tokenizer.encode(["bill"]).flat.tolist() == behind[1:] != alone


def test_a_text_longer_than_gliclass_takes_is_truncated(make_config: MakeConfig) -> None:
    answers = classify(make_config(entry(DATA / "deberta")), *texts_of("deberta")[-2:])
    assert answers.status.tolist() == [Status.OK, Status.TRUNCATED]


@pytest.mark.parametrize(
    ("name", "batching"), [("deberta", Batching.PADDED), ("bert", Batching.ONE_TEXT)]
)
def test_scores_depend_on_the_text_alone(
    make_config: MakeConfig, opened: Open, name: str, batching: Batching
) -> None:
    assert opened(DATA / name).load().value is batching
    texts, config = texts_of(name)[:8], make_config(entry(DATA / name))
    together = classify(config, *texts).scores[0]
    alone = [classify(config, text).scores[0] for text in texts]
    assert together.tobytes() == b"".join(scores.tobytes() for scores in alone)


def test_one_pass_answers_all_models_with_the_same_labels(make_config: MakeConfig) -> None:
    both = make_config(
        entry(DATA / "deberta"),
        entry(DATA / "deberta", name="n", multi_label=True),
        entry(DATA / "deberta", name="o", labels=["a", "b"]),
    )
    first, second = open_groups(both.models)
    assert [model.activation.value for model in first.models] == ["softmax", "sigmoid"]
    assert isinstance(first, GliClass)
    assert isinstance(second, GliClass)
    assert first._graph is second._graph
    assert first.digests[0] == first.digests[1] != second.digests[0]


class TestRefusals:
    @staticmethod
    def refusal(opened: Open, path: Path, **keys: object) -> str:
        with pytest.raises(LabelfError) as caught:
            opened(path, **keys).load()
        return str(caught.value)

    def test_of_more_labels_than_the_export_has_room_for(self, opened: Open) -> None:
        path = DATA / "deberta"
        assert self.refusal(opened, path, labels=list("abcdef")) == (
            f"{path}/model.onnx: has room for 5 labels, not for 6. Ask for fewer, or export it "
            "with a larger max_num_classes"
        )

    def test_of_a_hypothesis(self, opened: Open) -> None:
        said = self.refusal(opened, DATA / "deberta", hypothesis_template="It is {}.")
        assert said == (
            "model 'm', hypothesis_template: a GLiClass model takes the labels as they are. "
            "Leave it out"
        )

    def test_of_another_architecture(self, opened: Open, copy: Path) -> None:
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | {"architecture_type": "bi-encoder"}))
        assert "a GLiClass bi-encoder; labelf runs uni-encoders" in self.refusal(opened, copy)

    def test_of_a_tokenizer_without_its_tokens(self, opened: Open, copy: Path) -> None:
        content = (copy / "tokenizer.json").read_text().replace("<<LABEL>>", "<<OTHER>>")
        (copy / "tokenizer.json").write_text(content)
        assert "lacks GLiClass's <<LABEL>>" in self.refusal(opened, copy)

    def test_of_labels_that_leave_no_room(self, opened: Open) -> None:
        said = self.refusal(opened, DATA / "deberta", max_length=12)
        assert "12 leaves no room beside the" in said
        assert "tokens of the labels, special ones included" in said


class TestMaxLength:
    def test_is_that_of_its_pipeline(self, opened: Open) -> None:
        length = opened().max_length
        assert (length.value, length.rule) == (1024, "default of GLiClass's pipeline")

    def test_is_the_encoder_s_where_its_positions_end(self, opened: Open) -> None:
        length = opened(DATA / "bert").max_length
        assert (length.value, length.rule) == (512, "max_position_embeddings")

    @pytest.mark.parametrize("encoder", [None, "bert", [], {"max_position_embeddings": "many"}])
    def test_does_not_fail_on_odd_files(self, opened: Open, copy: Path, encoder: object) -> None:
        config = json.loads((copy / "config.json").read_text()) | {"encoder_config": encoder}
        (copy / "config.json").write_text(json.dumps(config))
        assert opened(copy).max_length.value == 1024
