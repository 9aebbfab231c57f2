"""Train small classifiers from a labelled table, without torch: logistic regression on texts.

Its features are a bag of subwords, or the embeddings of a frozen encoder. The result is a model
folder like any other: ``model.onnx``, ``config.json``, and a tokenizer where it has its own.
"""

import datetime
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto

from labelf_cli.choices import ClassWeight
from labelf_cli.errors import OutputError
from labelf_cli.evaluation.judged import Judged
from labelf_cli.evaluation.metrics import figures
from labelf_cli.formats import Format
from labelf_cli.gold import SEPARATOR
from labelf_cli.training.bag import BagOfSubwords
from labelf_cli.training.card import HeldOut, Trained
from labelf_cli.training.examples import (
    MIN_EXAMPLES,
    Examples,
    ReadSettings,
    read_examples,
)
from labelf_cli.training.head import EncoderHead
from labelf_cli.training.interface import Features, Recipe
from labelf_cli.training.task import OneLabel, SeveralLabels, Task

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
        delimiter, encoding: of them; None for the format's own, and what a byte order mark says.
        folds: of the cross-validation; fewer than two for none.
        encoder: folder of the frozen encoder; None for a bag of subwords.
        holdout: share of the texts that is held out once, in the place of folds; None for folds.
        multi_label: whether a cell may hold several labels.
        label_separator: between them, where the cell is no JSON array.
        class_weight: how much a text counts, by its label.
        min_examples: fewest distinct texts of a label.
        date: that the card gives; None for none.
    """

    inputs: tuple[str, ...]
    label_columns: tuple[str, ...]
    output: Path
    text_columns: tuple[str, ...] = ("text",)
    format: Format | None = None
    folds: int = FOLDS
    encoder: Path | None = None
    holdout: float | None = None
    multi_label: bool = False
    label_separator: str = SEPARATOR
    class_weight: ClassWeight = ClassWeight.NONE
    min_examples: int = MIN_EXAMPLES
    date: datetime.date | None = None
    delimiter: str | None = None
    encoding: str | None = None


def train(settings: TrainSettings) -> list[Trained]:
    """Train one model per label column, on the same features.

    What is held out serves the figures alone: the models learn from all texts.

    Raises:
        UsageError: the table, the encoder or the output can't be used.
    """
    texts, columns = _read(settings)
    recipe = BagOfSubwords(texts) if settings.encoder is None else EncoderHead(settings.encoder)
    kind = SeveralLabels if settings.multi_label else OneLabel
    task = kind(recipe.inverse_regularisation, settings.class_weight)
    features = recipe.features(texts)
    trained = []
    for column, examples in columns.items():
        its = features[examples.rows]
        graph = recipe.graph(*task.fit(its, examples.gold, TOLERANCE))
        card = Trained(
            path=settings.output / column if len(columns) > 1 else settings.output,
            name=column,
            rows=len(examples.rows),
            labels=examples.counts,
            problem_type=task.problem_type,
            features=recipe.description,
            data_sha256=examples.digest,
            date=settings.date,
            held_out=_held_out(task, its, examples, settings),
        )
        trained.append((card, graph))
    for card, graph in trained:
        _write(card, recipe, graph)
    return [card for card, _ in trained]


def _read(settings: TrainSettings) -> tuple[list[str], dict[str, Examples]]:
    return read_examples(
        ReadSettings(
            settings.inputs,
            settings.label_columns,
            settings.text_columns,
            settings.format,
            settings.multi_label,
            settings.label_separator,
            settings.min_examples,
            settings.delimiter,
            settings.encoding,
        )
    )


def _held_out(
    task: Task, features: Features, examples: Examples, settings: TrainSettings
) -> HeldOut | None:
    """Figures on texts that were not learned from; None where a label has too few for that."""
    share = settings.holdout
    wanted = settings.folds if share is None else max(round(1 / share), 2)
    folds = min(wanted, *examples.distinct.values())
    if folds < 2:
        return None
    splits = list(task.splits(examples.gold, examples.texts, folds))
    if share is not None:
        del splits[1:]
    gold, answers = [], []
    for seen, unseen in splits:
        model = task.fit(features[seen], examples.gold[seen], FOLD_TOLERANCE)
        answers.append(task.answers(model.logits(features[unseen])))
        gold.append(examples.gold[unseen])
    said = np.concatenate(answers)
    judged = Judged(
        labels=examples.labels,
        gold=np.concatenate(gold),
        answers=said,
        covered=np.asarray(said.any(axis=1), np.bool_),
        answered=np.ones(len(said), np.bool_),
        scores=None,
        multi_label=settings.multi_label,
    )
    return HeldOut(len(splits), figures(judged))


def _write(card: Trained, recipe: Recipe, model: ModelProto) -> None:
    labels = list(card.labels)
    config = recipe.config() | {
        "problem_type": card.problem_type,
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    config_json = json.dumps(config, ensure_ascii=False, indent=2) + "\n"
    files = recipe.files() | {"config.json": config_json} | card.files()
    try:
        card.path.mkdir(parents=True, exist_ok=True)
        (card.path / "model.onnx").write_bytes(model.SerializeToString())
        for name, text in files.items():
            (card.path / name).write_text(text, "utf-8")
    except OSError as error:
        raise OutputError(
            f"can't be written ({error.strerror})", where=card.path, todo="Choose another -o"
        ) from None
