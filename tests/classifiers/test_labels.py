"""What the files of a model say of its logits."""

import json
from pathlib import Path

import pytest

from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.labels import activation_of, labels_of
from labelf_cli.errors import ModelError


def described(folder: Path, config: object) -> ModelFolder:
    """A model folder with this ``config.json``; None for no such file."""
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return ModelFolder(folder / "model.onnx", folder)


class TestLabels:
    def test_the_config_overrides_the_export(self, tmp_path: Path) -> None:
        folder = described(tmp_path, {"id2label": {"0": "a", "1": "b"}})
        assert labels_of(folder, ("x", "y")) == (("x", "y"), "labels in the config")

    def test_they_stand_in_the_order_of_the_logits_not_of_the_file(self, tmp_path: Path) -> None:
        by_position = {str(i): f"label {i}" for i in reversed(range(12))}
        found = labels_of(described(tmp_path, {"id2label": by_position}), None)
        assert found == (tuple(f"label {i}" for i in range(12)), "id2label of config.json")

    @pytest.mark.parametrize("config", [None, {}, {"id2label": None}, {"id2label": {}}])
    def test_without_id2label_only_the_graph_can_tell(self, tmp_path: Path, config: object) -> None:
        assert labels_of(described(tmp_path, config), None) is None

    @pytest.mark.parametrize("id2label", [{"1": "a", "2": "b"}, {"a": 0}, ["a", "b"], "ab", 2])
    def test_an_id2label_with_gaps_or_of_another_kind_is_refused(
        self, tmp_path: Path, id2label: object
    ) -> None:
        with pytest.raises(ModelError) as refusal:
            labels_of(described(tmp_path, {"id2label": id2label}), None)
        assert str(refusal.value) == (
            f"{tmp_path}/config.json: id2label does not name the labels from 0 on. "
            "Give labels in the config"
        )


MULTI, SINGLE = "multi_label_classification", "single_label_classification"


class TestActivation:
    """The branches of transformers' TextClassificationPipeline.postprocess, in its order."""

    @pytest.mark.parametrize(
        ("problem", "num_labels", "activation", "rule"),
        [
            ("regression", 1, "none", "problem_type is regression"),
            ("regression", 3, "none", "problem_type is regression"),
            (MULTI, 1, "sigmoid", "problem_type is multi_label_classification"),
            (MULTI, 3, "sigmoid", "problem_type is multi_label_classification"),
            (SINGLE, 1, "sigmoid", "one label"),
            (None, 1, "sigmoid", "one label"),
            (SINGLE, 3, "softmax", "problem_type is single_label_classification"),
            (None, 2, "softmax", "several labels and no problem_type"),
        ],
    )
    def test_the_export_implies_it(
        self, tmp_path: Path, problem: str | None, num_labels: int, activation: str, rule: str
    ) -> None:
        folder = described(tmp_path, {"problem_type": problem})
        assert activation_of(folder, None, num_labels) == (activation, rule)

    @pytest.mark.parametrize(
        ("config", "activation"),
        [
            ({"sentence_transformers": {"activation_fn": "torch.nn.Identity"}}, "none"),
            ({"sentence_transformers": {"activation_fn": "torch.nn.Sigmoid"}}, "sigmoid"),
            ({"sbert_ce_default_activation_function": "torch.nn.Identity"}, "none"),
        ],
    )
    def test_a_cross_encoder_keeps_its_own(
        self, tmp_path: Path, config: dict[str, object], activation: str
    ) -> None:
        expected = (activation, "activation of a CrossEncoder")
        assert activation_of(described(tmp_path, config), None, 1) == expected

    @pytest.mark.parametrize("its", [{"version": "5.0"}, None, "odd", {"activation_fn": "Odd"}])
    def test_a_cross_encoder_with_none_has_the_usual_one(self, tmp_path: Path, its: object) -> None:
        folder = described(tmp_path, {"sentence_transformers": its})
        assert activation_of(folder, None, 1) == ("sigmoid", "one label")

    def test_the_config_overrides_the_export(self, tmp_path: Path) -> None:
        folder = described(tmp_path, {"problem_type": "regression"})
        assert activation_of(folder, "softmax", 1) == ("softmax", "activation in the config")
