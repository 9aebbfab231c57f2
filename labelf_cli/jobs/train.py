"""Train small classifiers from a labelled table: a linear bag of subwords, without torch.

A Unigram tokenizer is trained on the texts, each text becomes the counts of its pieces divided by
the root of their number, and a logistic regression is fitted on them. The result is a model folder
like any other: ``model.onnx``, ``tokenizer.json``, ``config.json``.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer as HfTokenizer
from tokenizers import models, normalizers, pre_tokenizers, trainers

from labelf_cli.chunk import TEXT
from labelf_cli.errors import InputError, OutputError
from labelf_cli.formats import Format
from labelf_cli.sources.interface import ReadOptions, require_columns
from labelf_cli.sources.table import Inputs, input_format
from labelf_cli.tokens import TokenIds, Tokenizer

PAD, UNKNOWN = "<pad>", "<unk>"

# Chosen on Banking77's training file by cross-validation.
VOCABULARY = 8000
INVERSE_REGULARISATION = 30.0
FOLDS = 5

# Of the gradient. At scikit-learn's default, two processors that add in another order end 0.04
# apart in a probability; at the first of these, 0.0001. Folds are only counted.
TOLERANCE, FOLD_TOLERANCE = 1e-7, 1e-4

_OPSET, _IR_VERSION = 17, 8


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
    """

    inputs: tuple[str, ...]
    label_columns: tuple[str, ...]
    output: Path
    text_columns: tuple[str, ...] = ("text",)
    format: Format | None = None
    folds: int = FOLDS


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
    """Train one model per label column, with one tokenizer between them.

    Raises:
        UsageError: the table or the output can't be used.
    """
    texts, columns = _read(settings)
    tokenizer_json = train_tokenizer(texts)
    tokenizer = Tokenizer(tokenizer_json.encode())
    features = _features(tokenizer.encode(texts), tokenizer.vocab_size)
    several = len(columns) > 1
    trained = []
    for column, labels in columns.items():
        folder = settings.output / column if several else settings.output
        labelled = np.flatnonzero([label is not None for label in labels])
        trained.append(
            _train_one(
                features[labelled],
                np.array([labels[row] for row in labelled]),
                np.unique([texts[row] for row in labelled], return_inverse=True)[1],
                settings.folds,
                folder,
            )
        )
    for card, model in trained:
        _write(card, tokenizer_json, model)
    return [card for card, _ in trained]


def _train_one(
    features: csr_matrix,
    labels: npt.NDArray[np.str_],
    texts: npt.NDArray[np.int64],
    folds: int,
    folder: Path,
) -> tuple[Trained, ModelProto]:
    """Fit one model; ``texts`` numbers the distinct texts of the rows."""
    model = _fit(features, labels, TOLERANCE)
    accuracy, macro_f1, folds = _cross_validate(features, labels, texts, folds)
    names, counts = np.unique(labels, return_counts=True)
    by_label = dict(zip(names.tolist(), counts.tolist(), strict=True))
    card = Trained(folder, len(labels), by_label, accuracy, macro_f1, folds)
    return card, to_onnx(model.coef_, model.intercept_)


def _read(settings: TrainSettings) -> tuple[list[str], dict[str, list[str | None]]]:
    """The texts that are not blank, and the labels of each label column."""
    names, format_ = input_format(settings.inputs, settings.format)
    # As towards CSV: every value is text.
    source = Inputs(names, format_, ReadOptions(settings.text_columns, Format.CSV))
    require_columns(source.names, settings.label_columns, names[0], "--label-column")
    batches = list(source.batches())
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


def train_tokenizer(texts: Sequence[str]) -> str:
    """A Unigram tokenizer for these texts, as the content of ``tokenizer.json``.

    The trainer's scores differ from run to run in their last digits, and with them the order of
    the pieces; rounded and sorted they are the same every time.
    """
    tokenizer = HfTokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, UNKNOWN],
        unk_token=UNKNOWN,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    content = json.loads(tokenizer.to_str())
    special, pieces = content["model"]["vocab"][:2], content["model"]["vocab"][2:]
    rounded = [[piece, round(score, 2)] for piece, score in pieces]
    content["model"]["vocab"] = special + sorted(rounded, key=lambda p: (-p[1], p[0]))
    return json.dumps(content, ensure_ascii=False, indent=1)


def _features(ids: TokenIds, vocab_size: int) -> csr_matrix:
    """Piece counts divided by the root of their number, [texts × vocabulary] float64."""
    weights = np.repeat(1 / np.sqrt(np.maximum(ids.lengths, 1)), ids.lengths)
    ends = np.concatenate(([0], np.cumsum(ids.lengths)))
    features = csr_matrix((weights, ids.flat, ends), shape=(len(ids.lengths), vocab_size))
    features.sum_duplicates()
    return features


def _fit(
    features: csr_matrix, labels: npt.NDArray[np.str_], tolerance: float
) -> LogisticRegression:
    # The products are too small for more than one thread, and the sums then do not depend on cores.
    with threadpool_limits(1):
        model = LogisticRegression(C=INVERSE_REGULARISATION, tol=tolerance, max_iter=10_000)
        return model.fit(features, labels)


def _cross_validate(
    features: csr_matrix,
    labels: npt.NDArray[np.str_],
    texts: npt.NDArray[np.int64],
    folds: int,
) -> tuple[float | None, float | None, int]:
    """Accuracy and macro F1 on held-out folds, and the number of folds."""
    texts_per_label = [len(set(texts[labels == label])) for label in np.unique(labels)]
    folds = min(folds, *texts_per_label)
    if folds < 2:
        return None, None, 0
    predicted = labels.copy()
    for seen, unseen in StratifiedGroupKFold(folds).split(features, labels, texts):
        predicted[unseen] = _fit(features[seen], labels[seen], FOLD_TOLERANCE).predict(
            features[unseen]
        )
    f1 = f1_score(labels, predicted, average="macro", zero_division=0)
    return float(accuracy_score(labels, predicted)), float(f1), folds


def to_onnx(
    coefficients: npt.NDArray[np.float64], intercepts: npt.NDArray[np.float64]
) -> ModelProto:
    """The graph: ``input_ids``, ``attention_mask`` → ``logits``.

    The weights of a text's pieces are added up over the first axis, which onnxruntime does one row
    after the other, so that padding, whose row is zero, can't move a bit.

    Args:
        coefficients: of the logistic regression, [labels × pieces], or [1 × pieces] for two.
        intercepts: [labels], or [1] for two.
    """
    if len(intercepts) == 1:  # softmax over (0, z) is the sigmoid of z
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([[0.0], intercepts])
    weights = coefficients.T.astype(np.float32)
    weights[0] = 0  # padding
    constants = {
        "weights": weights,
        "bias": intercepts.astype(np.float32),
        "first_axis": np.array([0]),
        "second_axis": np.array([1]),
        "one": np.array(1, np.float32),
    }
    shape = ["batch", "sequence"]
    graph = helper.make_graph(
        _nodes(),
        "bag_of_subwords",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, shape)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(intercepts)])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(
        graph,
        producer_name="labelf",
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )


def _nodes() -> list[NodeProto]:
    """The operators, in the order in which they run."""
    return [
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["pieces"]),
        helper.make_node("Transpose", ["pieces"], ["by_place"], perm=[1, 0]),
        helper.make_node("Gather", ["weights", "by_place"], ["rows"], axis=0),
        helper.make_node("ReduceSum", ["rows", "first_axis"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["attention_mask", "second_axis"], ["count"], keepdims=1),
        helper.make_node("Cast", ["count"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Max", ["number", "one"], ["at_least_one"]),
        helper.make_node("Sqrt", ["at_least_one"], ["root"]),
        helper.make_node("Div", ["sum", "root"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["logits"]),
    ]


def _write(card: Trained, tokenizer_json: str, model: ModelProto) -> None:
    labels = list(card.labels)
    config = {
        "model_type": "labelf-bag-of-subwords",
        "problem_type": "single_label_classification",
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
        "pad_token_id": 0,
    }
    tokenizer_config = {"pad_token": PAD, "unk_token": UNKNOWN, "model_max_length": int(1e30)}
    training = {key: value for key, value in asdict(card).items() if key != "path"}
    try:
        card.path.mkdir(parents=True, exist_ok=True)
        (card.path / "model.onnx").write_bytes(model.SerializeToString())
        (card.path / "tokenizer.json").write_text(tokenizer_json, "utf-8")
        for name, content in (
            ("config.json", config),
            ("tokenizer_config.json", tokenizer_config),
            ("training.json", training),
        ):
            text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
            (card.path / name).write_text(text, "utf-8")
    except OSError as error:
        raise OutputError(
            f"can't be written ({error.strerror})", where=card.path, todo="Choose another -o"
        ) from None
