"""Writes families/: tiny exports with random weights, and what transformers makes of some texts.

In an environment with transformers 4.57, torch 2.13, optimum-onnx 0.1 and onnx:

    python tests/data/families.py

Each folder is an Optimum export beside ``scores.json``: for each text all labels with their scores,
by transformers' pipeline on PyTorch, one text a call; of the quantised one by Optimum's pipeline on
onnxruntime, since its own arithmetic is what counts.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
import transformers as hf
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from optimum.exporters.onnx import main_export
from optimum.onnxruntime import ORTModelForSequenceClassification
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

FOLDER = Path(__file__).with_suffix("")
TEXTS = [
    "My card has not arrived yet.",
    "a",
    "!",
    "line one\nline two\t and  some   spaces ",
    "ÄRENDE: räkningen är för hög",
    "カードがまだ届いていません",
    "Моя карта ещё не пришла",
    "بطاقتي لم تصل بعد",
    "lost card 😱🙏🏽",
    "unaffordable supercalifragilisticexpialidocious",
    "the transfer has not arrived and nobody could tell me why; " * 12,
]
SIZE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 70,
}
LONGEST = 64


def main() -> None:
    """Write all folders anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, (config, kind) in families().items():
        write(name, config, kind())
    bert = FOLDER / "bert"
    vary(bert, "fp16", lambda source, target: onnx.save(half(source), target))
    vary(bert, "quantised", quantize_dynamic)
    vary(bert, "external-data", save_apart)
    quantised = ORTModelForSequenceClassification.from_pretrained(FOLDER / "quantised")
    write_scores(FOLDER / "quantised", quantised)


def families() -> dict[str, tuple[hf.PretrainedConfig, Callable[[], hf.PreTrainedTokenizerFast]]]:
    """Configs and tokenizers of the families and of kinds of heads."""
    distilbert = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    three = {"id2label": {0: "Billing", 1: "Technical", 2: "Other"}}
    one = {"num_labels": 1}
    deberta = {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "type_vocab_size": 0,
        "pooler_hidden_size": 16,
    }
    ids = {f"{role}_token_id": i for i, role in enumerate(("bos", "pad", "eos", "unk"))}
    ids |= {"cls_token_id": 0, "sep_token_id": 2}
    return {
        "bert": (hf.BertConfig(**SIZE, **three), word_piece),
        "distilbert": (hf.DistilBertConfig(**distilbert, **three), word_piece),
        "electra": (hf.ElectraConfig(**SIZE, embedding_size=16, **three), word_piece),
        "roberta": (hf.RobertaConfig(**SIZE, **ids, **three), byte_level),
        "xlm-roberta": (hf.XLMRobertaConfig(**SIZE, **ids, **three), unigram),
        "deberta-v2": (hf.DebertaV2Config(**SIZE, **deberta, **three), deberta_unigram),
        "modernbert": (hf.ModernBertConfig(**SIZE, **ids, **three), byte_level),
        "multi-label": (
            hf.BertConfig(**SIZE, **three, problem_type="multi_label_classification"),
            word_piece,
        ),
        "one-logit": (hf.BertConfig(**SIZE, **one), word_piece),
        "regression": (
            hf.RobertaConfig(**SIZE, **ids, **one, problem_type="regression"),
            byte_level,
        ),
    }


def write(name: str, config: hf.PretrainedConfig, tokenizer: hf.PreTrainedTokenizerFast) -> None:
    """Make a model, export it, and write what it says."""
    torch.manual_seed(0)
    config.vocab_size, config.reference_compile = len(tokenizer), False
    if config.pad_token_id is None or config.pad_token_id >= len(tokenizer):
        config.pad_token_id = tokenizer.pad_token_id
    model = hf.AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(12)  # random weights are near zero, and their scores all alike
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        main_export(folder, FOLDER / name, task="text-classification", do_validation=False)
    write_scores(FOLDER / name, model)


def write_scores(folder: Path, model: Any) -> None:  # noqa: ANN401  # torch's or onnxruntime's
    """Write what transformers' pipeline says with a model."""
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    if model.config.model_type not in ("bert", "electra"):  # as their own classes have it
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    pipeline = hf.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    rows = []
    for text in TEXTS:
        (found,) = pipeline([text], top_k=None, truncation=True, max_length=LONGEST)
        rows.append({"text": text, "predictions": found})
    content = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    (folder / "scores.json").write_text(content, "utf-8")


def vary(source: Path, name: str, write_graph: Callable[[Path, Path], object]) -> None:
    """The same model with another graph, and the scores of the first."""
    shutil.copytree(source, FOLDER / name)
    (FOLDER / name / "model.onnx").unlink()
    write_graph(source / "model.onnx", FOLDER / name / "model.onnx")


def half(source: Path) -> onnx.ModelProto:
    """The graph in half precision, its logits too."""
    graph: onnx.ModelProto = convert_float_to_float16(onnx.load(source))
    return graph


def save_apart(source: Path, target: Path) -> None:
    """The graph with its weights in a file beside it."""
    onnx.save(
        onnx.load(source),
        target,
        save_as_external_data=True,
        location="model.onnx_data",
        size_threshold=0,
    )


def corpus() -> Iterator[str]:
    """What tokenizers are trained on."""
    for text in TEXTS[:-1]:
        yield from [text, text.lower(), text]


def wrapped(tokenizer: Tokenizer, **special: str) -> hf.PreTrainedTokenizerFast:
    """A tokenizer as transformers saves it."""
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=LONGEST, **special
    )


def word_piece() -> hf.PreTrainedTokenizerFast:
    """BERT's."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=160, special_tokens=names, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return wrapped(
        tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


_ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
_ROBERTA_ROLES = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
}


def byte_level() -> hf.PreTrainedTokenizerFast:
    """RoBERTa's and ModernBERT's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=_ROBERTA,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return wrapped(tokenizer, **_ROBERTA_ROLES)


def _unigram(names: list[str], unknown: str) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=160, special_tokens=names, unk_token=unknown, show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def unigram() -> hf.PreTrainedTokenizerFast:
    """XLM-R's."""
    tokenizer = _unigram(_ROBERTA, "<unk>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return wrapped(tokenizer, **_ROBERTA_ROLES)


def deberta_unigram() -> hf.PreTrainedTokenizerFast:
    """DeBERTa's since its second version."""
    tokenizer = _unigram(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], "[UNK]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return wrapped(
        tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


if __name__ == "__main__":
    main()
