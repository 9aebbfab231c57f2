"""Train small classifiers from a labelled table, without torch: logistic regression on texts.

Its features are a bag of subwords, or the embeddings of a frozen encoder. The result is a model
folder like any other: ``model.onnx``, ``config.json``, and a tokenizer where it has its own.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from onnx import ModelProto
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from labelf_cli.chunk import TEXT
from labelf_cli.errors import InputError, OutputError
from labelf_cli.formats import Format
from labelf_cli.sources.interface import ReadOptions, require_columns
from labelf_cli.sources.rejects import FailOnBadRows
from labelf_cli.sources.table import Inputs, input_format
from labelf_cli.training.bag import BagOfSubwords
from labelf_cli.training.head import EncoderHead
from labelf_cli.training.interface import Features, Recipe, Weights

FOLDS = 5

# Of the gradient. At scikit-learn's default, two processors that add in another order end 0.04
# apart in a probability; at the first of these, 0.0001. Folds are only counted.
TOLERANCE, FOLD_TOLERANCE = 1e-7, 1e-4


@dataclass(frozen=True)
class TrainSettings:
    """What to train on, and where the models go.

    Attributes:
        inputs: files, globs or ``-``.
        label_columns: one model for each.
        output: the model's folder; with several label columns, the folder of their folders.
        text_columns: what is classified; several are joined by a newline.
        format: of the inputs; None for what their names say.
        folds: of the cross-validation; fewer than two for none.
        encoder: folder of the frozen encoder; None for a bag of subwords.
    """

    inputs: tuple[str, ...]
    label_columns: tuple[str, ...]
    output: Path
    text_columns: tuple[str, ...] = ("text",)
    format: Format | None = None
    folds: int = FOLDS
    encoder: Path | None = None


@dataclass(frozen=True)
class Trained:
    """One trained model and how good it is on texts that it has not seen.

    Attributes:
        path: its folder.
        rows: how many rows had a text and a label.
        labels: number of rows by label.
        accuracy, macro_f1: cross-validated; equal texts stay in one fold. None where a label has
            too few texts for two folds.
        folds: how many folds there were.
    """

    path: Path
    rows: int
    labels: dict[str, int]
    accuracy: float | None
    macro_f1: float | None
    folds: int


def train(settings: TrainSettings) -> list[Trained]:
    """Train one model per label column, on the same features.

    Raises:
        UsageError: the table, the encoder or the output can't be used.
    """
    texts, columns = _read(settings)
    recipe = BagOfSubwords(texts) if settings.encoder is None else EncoderHead(settings.encoder)
    features = recipe.features(texts)
    several = len(columns) > 1
    trained = []
    for column, labels in columns.items():
        folder = settings.output / column if several else settings.output
        labelled = np.flatnonzero([label is not None for label in labels])
        examples = _Examples(
            features[labelled],
            np.array([labels[row] for row in labelled]),
            np.unique([texts[row] for row in labelled], return_inverse=True)[1],
        )
        trained.append(_train_one(examples, recipe, settings.folds, folder))
    for card, model in trained:
        _write(card, recipe, model)
    return [card for card, _ in trained]


@dataclass(frozen=True)
class _Examples:
    """What one model learns from.

    Attributes:
        features: one row per text, [texts × features].
        labels: [texts].
        texts: numbers the distinct texts, [texts] int64.
    """

    features: Features
    labels: npt.NDArray[np.str_]
    texts: npt.NDArray[np.int64]


def _train_one(
    examples: _Examples, recipe: Recipe, folds: int, folder: Path
) -> tuple[Trained, ModelProto]:
    weights, bias = _linear(_fit(examples.features, examples.labels, recipe, TOLERANCE))
    accuracy, macro_f1, folds = _cross_validate(examples, recipe, folds)
    names, counts = np.unique(examples.labels, return_counts=True)
    by_label = dict(zip(names.tolist(), counts.tolist(), strict=True))
    card = Trained(folder, len(examples.labels), by_label, accuracy, macro_f1, folds)
    return card, recipe.graph(weights, bias)


def _linear(model: LogisticRegression) -> tuple[Weights, Weights]:
    """Weights [features × labels] and bias [labels]; scikit-learn keeps one row for two labels."""
    weights, bias = model.coef_.T, model.intercept_
    if len(bias) == 1:  # softmax over (0, z) is the sigmoid of z
        weights = np.hstack([np.zeros_like(weights), weights])
        bias = np.concatenate([[0.0], bias])
    return weights, bias


def _read(settings: TrainSettings) -> tuple[list[str], dict[str, list[str | None]]]:
    """The texts that are not blank, and the labels of each label column."""
    names, format_ = input_format(settings.inputs, settings.format)
    # As towards CSV: every value is text.
    source = Inputs(names, format_, ReadOptions(settings.text_columns, Format.CSV))
    require_columns(source.names, settings.label_columns, names[0], "--label-column")
    batches = list(source.batches(FailOnBadRows()))
    table = pa.Table.from_batches(batches) if batches else source.schema.empty_table()
    if batches:
        trimmed = pc.fill_null(pc.utf8_trim_whitespace(table[TEXT]), "")
        table = table.filter(pc.not_equal(trimmed, ""))
    if not len(table):
        raise InputError("there is no text in it", where=names[0])
    columns = {}
    for column in settings.label_columns:
        labels = [label or None for label in table[column].cast(pa.string()).to_pylist()]
        if len(set(labels) - {None}) < 2:
            raise InputError(
                f"column '{column}' has fewer than two labels",
                where=names[0],
                todo="Name another with --label-column",
            )
        columns[column] = labels
    return table[TEXT].to_pylist(), columns


def _fit(
    features: Features, labels: npt.NDArray[np.str_], recipe: Recipe, tolerance: float
) -> LogisticRegression:
    # The products are too small for more than one thread, and the sums then do not depend on cores.
    with threadpool_limits(1):
        model = LogisticRegression(C=recipe.inverse_regularisation, tol=tolerance, max_iter=10_000)
        return model.fit(features, labels)


def _cross_validate(
    examples: _Examples, recipe: Recipe, folds: int
) -> tuple[float | None, float | None, int]:
    """Accuracy and macro F1 on held-out folds, and the number of folds."""
    features, labels, texts = examples.features, examples.labels, examples.texts
    texts_per_label = [len(set(texts[labels == label])) for label in np.unique(labels)]
    folds = min(folds, *texts_per_label)
    if folds < 2:
        return None, None, 0
    predicted = labels.copy()
    for seen, unseen in StratifiedGroupKFold(folds).split(features, labels, texts):
        model = _fit(features[seen], labels[seen], recipe, FOLD_TOLERANCE)
        predicted[unseen] = model.predict(features[unseen])
    f1 = f1_score(labels, predicted, average="macro", zero_division=0)
    return float(accuracy_score(labels, predicted)), float(f1), folds


def _write(card: Trained, recipe: Recipe, model: ModelProto) -> None:
    labels = list(card.labels)
    config = recipe.config() | {
        "problem_type": "single_label_classification",
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    training = {key: value for key, value in asdict(card).items() if key != "path"}
    files = recipe.files() | {
        name: json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        for name, content in (("config.json", config), ("training.json", training))
    }
    try:
        card.path.mkdir(parents=True, exist_ok=True)
        (card.path / "model.onnx").write_bytes(model.SerializeToString())
        for name, text in files.items():
            (card.path / name).write_text(text, "utf-8")
    except OSError as error:
        raise OutputError(
            f"can't be written ({error.strerror})", where=card.path, todo="Choose another -o"
        ) from None
