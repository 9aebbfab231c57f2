"""Make what is compared: models with random weights in every form that a contender loads.

    python -m benchmarks.make_models

Under ``benchmarks/work/`` each shape of model gets a folder, in it ``fp32/`` with four classifiers
as Optimum exports them, the PyTorch weights beside the graph, ``int8/`` with what ``labelf
optimize`` makes of them, and ``ctranslate2/`` with their encoders. The tables stand beside them as
CSV.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from ctranslate2.converters import TransformersConverter
from optimum.exporters.onnx import main_export
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertTokenizerFast,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from benchmarks.job import WORK
from benchmarks.texts import TABLES, VOCAB_SIZE, texts, vocabulary, write_table
from labelf_cli.cores import usable_cores
from labelf_cli.jobs.optimize import OptimizeSettings, optimize

SECONDS = 0.5
"""About how long a model takes in one measurement of ``labelf optimize``."""

NUM_LABELS = {"product": 8, "issue_type": 6, "root_cause": 5, "sentiment": 4}
"""The four models of a shape, by name."""


def main() -> None:
    """Make everything anew."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir()
    for name, table in TABLES.items():
        write_table(table, WORK / f"{name}.csv")
    for shape, make, tokenizer in (
        ("minilm", make_minilm, make_tokenizer(BertTokenizerFast)),
        ("distilbert", make_distilbert, make_tokenizer(DistilBertTokenizerFast)),
    ):
        for seed, (name, num_labels) in enumerate(NUM_LABELS.items()):
            torch.manual_seed(seed)
            model = make(num_labels).eval()
            spread_scores(model, tokenizer)
            fp32 = WORK / shape / "fp32" / name
            export(model, tokenizer, fp32)
            make_int8(fp32, WORK / shape / "int8" / name)
            convert_encoder(model, tokenizer, WORK / shape / "ctranslate2" / name)
            print(f"{shape}/{name}")


def make_tokenizer(kind: type[PreTrainedTokenizerFast]) -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer with the vocabulary of the made-up texts."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join(vocabulary().tokens), "utf-8")
        return kind(str(path), model_max_length=512)


def make_minilm(num_labels: int) -> PreTrainedModel:
    """A classifier of MiniLM's shape: 6 layers, 384 wide."""
    config = BertConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        num_labels=num_labels,
    )
    return BertForSequenceClassification(config)


def make_distilbert(num_labels: int) -> PreTrainedModel:
    """A classifier of DistilBERT's shape: 6 layers, 768 wide."""
    return DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=VOCAB_SIZE, num_labels=num_labels)
    )


def spread_scores(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Scale the last layer so that texts differ in their labels, as they would after training.

    Random weights say nearly the same about every text, and equal labels would then prove nothing.
    """
    inputs = tokenizer(list(texts(TABLES["short"]))[:64], padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs).logits
        scale = 2 / logits.std(dim=0)
        model.classifier.weight.mul_(scale[:, None])
        model.classifier.bias.sub_(logits.mean(dim=0)).mul_(scale)


def export(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a classifier for PyTorch, and for onnxruntime as Optimum does."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    main_export(str(folder), folder, task="text-classification", do_validation=False)


def make_int8(fp32: Path, folder: Path) -> None:
    """Write what ``labelf optimize`` makes of a classifier."""
    settings = OptimizeSettings(fp32, folder, usable_cores(), seconds=SECONDS)
    optimize(settings, lambda _: None)


def convert_encoder(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Write the encoder of a classifier for CTranslate2, which takes no classifiers."""
    with TemporaryDirectory() as encoder:
        model.base_model.save_pretrained(encoder)
        tokenizer.save_pretrained(encoder)
        TransformersConverter(encoder).convert(str(folder))


if __name__ == "__main__":
    main()
