"""Writes gliclass_uni/: GLiClass exports with random weights, and gliclass's own scores for them.

In an environment of its own (``pip install --group golden-gliclass``):

    python tests/data/gliclass_uni.py

The graphs are made as Knowledgator's converter makes them, from ``input_ids`` and
``attention_mask`` alone. Their tokenizer is that of DeBERTa in little: SentencePiece, whose word at
the beginning of a text has another token than the same word behind a special token.
"""

import json
from pathlib import Path
from typing import Any

import torch
from gliclass import GLiClassModel, GLiClassModelConfig, ZeroShotClassificationPipeline
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

OUT = Path(__file__).with_suffix("")

LABELS = ["billing", "Technical support", "cancellation of a subscription"]
TEXTS = [
    "My bill is far too high and nobody can tell me why.",
    "a",
    "!",
    " line one\nline two\t and  some   spaces ",
    "ÄRENDE: räkningen är för hög",
    "lost card 😱🙏🏽",
    "a text that spells [SEP] and <<SEP>> on its way",
    "supercalifragilisticexpialidocious",
    "the router has no signal and nobody could tell me why; " * 12,
    "the router has no signal and nobody could tell me why; " * 100,
]
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.4,  # so that the scores differ
}
DEBERTA = {
    "model_type": "deberta-v2",
    "max_position_embeddings": 64,
    "position_biased_input": False,
    "relative_attention": True,
    "position_buckets": 16,
    "pos_att_type": ["p2c", "c2p"],
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "type_vocab_size": 0,
}
BERT = {"model_type": "bert", "max_position_embeddings": 512}


def tokenizer(scheme: str) -> PreTrainedTokenizerFast:
    """Pieces of words, [CLS] A [SEP]; the scheme says which words ▁ is put in front of."""
    words = sorted({word for text in [*LABELS, *TEXTS] for word in text.split()})
    letters = sorted({letter for text in [*LABELS, *TEXTS] for letter in text} | {"▁"})
    scores = dict.fromkeys(SPECIAL, 0.0)
    scores |= dict.fromkeys(letters, -9.0) | {f"▁{word}": -5.0 for word in words[::2]}
    plain = Tokenizer(models.Unigram(list(scores.items()), unk_id=SPECIAL.index("[UNK]")))
    plain.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    plain.add_special_tokens(SPECIAL)
    plain.add_special_tokens(
        [AddedToken(token, special=True) for token in ("<<LABEL>>", "<<SEP>>", "<<EXAMPLE>>")]
    )
    plain.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    names = dict(zip(("pad", "cls", "sep", "unk"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in names.items()},
    )


class Logits(torch.nn.Module):  # type: ignore[misc]
    """What the converter exports."""

    def __init__(self, model: GLiClassModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits of all labels that there is room for."""
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def write(
    name: str,
    encoder: dict[str, Any],
    scheme: str,
    texts: list[str],
    **keys: Any,  # noqa: ANN401
) -> None:
    """Export one model, and write what gliclass says of some texts."""
    torch.manual_seed(0)
    its = tokenizer(scheme)
    config = GLiClassModelConfig(
        encoder_config=encoder | SHAPE | {"vocab_size": len(its), "pad_token_id": 0},
        encoder_model="none",
        class_token_index=its.convert_tokens_to_ids("<<LABEL>>"),
        text_token_index=its.convert_tokens_to_ids("<<SEP>>"),
        vocab_size=len(its),
        initializer_range=0.4,
        max_num_classes=5,
        **keys,
    )
    model = GLiClassModel(config).eval()
    golden = []
    for kind in ("single-label", "multi-label"):
        pipeline = ZeroShotClassificationPipeline(
            model, its, classification_type=kind, device="cpu", progress_bar=False
        )
        rows = [scores(pipeline, text) for text in texts]
        best = [LABELS[max(range(len(row)), key=row.__getitem__)] for row in rows]
        golden.append(
            {"multi_label": kind == "multi-label", "labels": LABELS, "best": best, "scores": rows}
        )
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    its.save_pretrained(folder)
    config.save_pretrained(folder)
    inputs = its(["<<LABEL>>a<<LABEL>>b<<SEP>>some text", "c"], return_tensors="pt", padding=True)
    axes = {0: "batch", 1: "sequence"}
    torch.onnx.export(
        Logits(model),
        (inputs["input_ids"], inputs["attention_mask"]),
        str(folder / "model.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    lines = ",\n".join(json.dumps(one) for one in golden)
    content = f'{{"texts": {json.dumps(texts)},\n"golden": [\n{lines}\n]}}\n'
    (folder / "golden.json").write_text(content, "utf-8")


def scores(pipeline: ZeroShotClassificationPipeline, text: str) -> list[float]:
    """Those of all labels, in their order; one text a call, where a mean counts no padding."""
    (answer,) = pipeline([text], LABELS, return_hierarchical=True)
    return [round(answer[label], 7) for label in LABELS]


if __name__ == "__main__":
    write("deberta", DEBERTA, "first", TEXTS, prompt_first=True)
    average = {"class_token_pooling": "average", "pooling_strategy": "avg"}
    # Of a long text gliclass would cut the labels that stand behind it.
    write("bert", BERT, "always", TEXTS[:-2], prompt_first=False, **average)
