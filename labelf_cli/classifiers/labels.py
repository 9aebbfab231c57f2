"""What the logits of an export are: their labels, and the activation that makes scores of them."""

from collections.abc import Callable

from labelf_cli.classifiers.folder import SETFIT, ModelFolder
from labelf_cli.classifiers.interface import Because, Model
from labelf_cli.config import ModelConfig
from labelf_cli.errors import ModelError
from labelf_cli.model_keys import Activation

_OF_PROBLEM: dict[str, Activation] = {
    "regression": "none",
    "multi_label_classification": "sigmoid",
}


def model_of(folder: ModelFolder, config: ModelConfig, num_labels: Callable[[], int]) -> Model:
    """What the files and the config say of one classifier.

    Args:
        folder: of the model.
        config: of the model.
        num_labels: tells the number of logits; asked only where no file names the labels.

    Raises:
        ModelError: a file is broken.
        ConfigError: the config asks for what the model does not have.
    """
    labels = labels_of(folder, config.labels)
    if labels is None:
        numbered = tuple(f"LABEL_{i}" for i in range(num_labels()))
        labels = Because(numbered, "numbered, since config.json has no id2label")
    return Model.of(config, labels, activation_of(folder, config.activation, len(labels.value)))


def labels_of(
    folder: ModelFolder, given: tuple[str, ...] | None
) -> Because[tuple[str, ...]] | None:
    """The labels in the order of the logits, None where only the graph can tell how many.

    Args:
        folder: of the model.
        given: by the config.

    Raises:
        ModelError: a file is broken.
    """
    if given is not None:
        return Because(given, "labels in the config")
    if isinstance(labels := folder.setfit.get("labels"), list):
        return Because(tuple(map(str, labels)), f"labels of {SETFIT}")
    if folder.head.labels:
        return Because(folder.head.labels, "classes of the graph")
    by_position = folder.config.get("id2label")
    if not by_position:
        return None
    try:
        labels = tuple(str(by_position[str(i)]) for i in range(len(by_position)))
    except (KeyError, TypeError):
        raise ModelError(
            "id2label does not name the labels from 0 on",
            where=folder.path / "config.json",
            todo="Give labels in the config",
        ) from None
    return Because(labels, "id2label of config.json")


def activation_of(
    folder: ModelFolder, given: Activation | None, num_labels: int
) -> Because[Activation]:
    """The activation that the export implies, unless the config gives one.

    The rule is that of transformers' TextClassificationPipeline.postprocess.
    """
    if given is not None:
        return Because(given, "activation in the config")
    if folder.head.output:
        return Because("none", "the graph gives probabilities")
    problem = folder.config.get("problem_type")
    if (settled := _OF_PROBLEM.get(str(problem))) is not None:
        return Because(settled, f"problem_type is {problem}")
    if num_labels == 1:
        return _of_cross_encoder(folder) or Because("sigmoid", "one label")
    if problem == "single_label_classification":
        return Because("softmax", "problem_type is single_label_classification")
    return Because("softmax", "several labels and no problem_type")


def _of_cross_encoder(folder: ModelFolder) -> Because[Activation] | None:
    """What sentence-transformers' CrossEncoder keeps of its activation, by both its keys."""
    its = folder.config.get("sentence_transformers")
    name = its.get("activation_fn") if isinstance(its, dict) else None
    name = name or folder.config.get("sbert_ce_default_activation_function")
    kinds: dict[str, Activation] = {"Identity": "none", "Sigmoid": "sigmoid"}
    activation = kinds.get(str(name).rsplit(".", 1)[-1])
    return None if activation is None else Because(activation, "activation of a CrossEncoder")


def require_labels(folder: ModelFolder, model: Model, num_labels: int) -> None:
    """Refuse labels that are not one for each logit.

    Raises:
        ModelError: it gives both numbers.
    """
    if num_labels != len(model.labels.value):
        raise ModelError(
            f"{len(model.labels.value)} labels ({model.labels.rule}), but the graph gives "
            f"{num_labels} logits",
            where=folder.onnx,
            todo="Correct labels in the config",
        )
