"""Writes zero_shot/: NLI exports with random weights, and transformers' own scores beside them.

In an environment of its own (``pip install --group golden-zero-shot``):

    python tests/data/zero_shot.py

For each family a folder as Optimum exports it, and ``golden.json``: what transformers'
ZeroShotClassificationPipeline makes of TEXTS with the torch model that was exported.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from optimum.exporters.onnx import main_export
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    ZeroShotClassificationPipeline,
)

OUT = Path(__file__).with_suffix("")

LABELS = ["billing", "technical support", "cancellation of a subscription"]
TEMPLATES = ["This example is {}.", "{}: that is what the customer wants!"]
TEXTS = [
    "My bill is far too high and nobody can tell me why.",
    "a",
    "!",
    "line one\nline two\t and  some   spaces ",
    "ÄRENDE: räkningen är för hög",
    "lost card 😱🙏🏽",
    "a text that spells [SEP] and </s> on its way",
    "supercalifragilisticexpialidocious",
    "the router has no signal and nobody could tell me why; " * 12,
    "word " * 25,
]
SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.4,  # so that the scores differ
}
PIECES = 460
MAX_LENGTH = 80


def bert() -> tuple[Tokenizer, dict[str, str]]:
    """Word pieces, [CLS] A [SEP] B [SEP], two token types."""
    special = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    special |= {"pad_token": "[PAD]"}
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = sorted({word for text in [*LABELS, *TEXTS[:1]] for word in text.lower().split()})
    letters = sorted({letter for text in TEXTS for letter in text.lower()})
    pieces = [*names, *words, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(names)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer, special


def roberta() -> tuple[Tokenizer, dict[str, str]]:
    """Pieces of bytes, <s> A </s></s> B </s>, one token type."""
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    special |= {"cls_token": "<s>", "sep_token": "</s>"}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = BpeTrainer(vocab_size=PIECES, special_tokens=names, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([*TEXTS, *LABELS, *TEMPLATES], trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    return tokenizer, special


def nli(*labels: str) -> dict[str, dict[Any, Any]]:
    """The labels of a config, both ways."""
    return {"id2label": dict(enumerate(labels)), "label2id": {b: a for a, b in enumerate(labels)}}


def write(name: str, tokenizer: PreTrainedTokenizerFast, model: torch.nn.Module) -> None:
    """Export one family, and write what transformers says."""
    model.eval()
    pipeline = ZeroShotClassificationPipeline(model=model, tokenizer=tokenizer, device="cpu")
    golden = []
    for template in TEMPLATES:
        for multi_label in (False, True):
            for labels in (LABELS, LABELS[1:2]):
                answers = pipeline(
                    TEXTS, labels, hypothesis_template=template, multi_label=multi_label
                )
                scores = [dict(zip(a["labels"], a["scores"], strict=True)) for a in answers]
                golden.append(
                    {
                        "hypothesis_template": template,
                        "multi_label": multi_label,
                        "labels": labels,
                        "best": [a["labels"][0] for a in answers],
                        "scores": [[round(its[la], 7) for la in labels] for its in scores],
                    }
                )
    with tempfile.TemporaryDirectory() as folder:
        trained, export = Path(folder, "trained"), Path(folder, "export")
        model.save_pretrained(trained)
        tokenizer.save_pretrained(trained)
        main_export(str(trained), str(export), task="text-classification", do_validation=False)
        (OUT / name).mkdir(parents=True, exist_ok=True)
        for file in ("model.onnx", "config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(export / file, OUT / name / file)
    lines = ",\n".join(json.dumps(its) for its in golden)
    content = f'{{"texts": {json.dumps(TEXTS)},\n"golden": [\n{lines}\n]}}\n'
    (OUT / name / "golden.json").write_text(content, "utf-8")


def main() -> None:
    """Make both families."""
    for name, make in (("bert", bert), ("roberta", roberta)):
        torch.manual_seed(0)
        plain, special = make()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=plain, model_max_length=MAX_LENGTH, **special
        )
        shape = SHAPE | {"vocab_size": len(tokenizer)}
        if name == "bert":
            labels = nli("entailment", "neutral", "contradiction")
            config = BertConfig(**shape, **labels, max_position_embeddings=MAX_LENGTH)
            write(name, tokenizer, BertForSequenceClassification(config))
        else:
            tokenizer.model_input_names = ["input_ids", "attention_mask"]
            labels = nli("CONTRADICTION", "NEUTRAL", "ENTAILMENT")
            config = RobertaConfig(
                **shape, **labels, type_vocab_size=1, max_position_embeddings=MAX_LENGTH + 2
            )
            write(name, tokenizer, RobertaForSequenceClassification(config))


if __name__ == "__main__":
    main()
