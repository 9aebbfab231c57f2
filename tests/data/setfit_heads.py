"""Writes setfit_heads/: SetFit models over a random body, and what SetFit makes of some texts.

After ``families.py``, whose tokenizer is used, in an environment with setfit 1.2, transformers
4.57, torch 2.13, scikit-learn, skl2onnx 1.20 and onnx:

    python tests/data/setfit_heads.py
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer
from setfit import SetFitHead, SetFitModel
from setfit.exporters.onnx import export_onnx
from sklearn.linear_model import LogisticRegression

FOLDER = Path(__file__).with_suffix("")
BERT = FOLDER.parent / "families" / "bert"
LABELS = ["Billing", "Technical", "Other"]
TEXTS = [row["text"] for row in json.loads((BERT / "scores.json").read_text("utf-8"))]
KEPT = ("config.json", "config_setfit.json", "tokenizer.json", "tokenizer_config.json")


def main() -> None:
    """Write all folders anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    body = make_body()
    numbers = [number % 3 for number in range(len(TEXTS))]
    learned = LogisticRegression().fit(body.encode(TEXTS), numbers)
    write("scikit-learn", SetFitModel(body, learned, labels=LABELS))
    named = LogisticRegression().fit(body.encode(TEXTS), [LABELS[number] for number in numbers])
    write("scikit-learn-names", SetFitModel(body, named))
    torch.manual_seed(1)
    head = SetFitHead(in_features=16, out_features=3)
    write("torch", SetFitModel(body, head, labels=LABELS))


def make_body() -> SentenceTransformer:
    """A tiny BERT with random weights, its vectors averaged."""
    torch.manual_seed(0)
    config = hf.BertConfig.from_pretrained(BERT)
    config.id2label, config.label2id = {0: "LABEL_0", 1: "LABEL_1"}, {"LABEL_0": 0, "LABEL_1": 1}
    model = hf.BertModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(12)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        hf.AutoTokenizer.from_pretrained(BERT).save_pretrained(folder)
        transformer = Transformer(folder, max_seq_length=64)
    return SentenceTransformer(modules=[transformer, Pooling(16)], device="cpu")


def write(name: str, model: Any) -> None:  # noqa: ANN401  # a SetFitModel
    """Export a model as SetFit does, and write what it says."""
    target = FOLDER / name
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        for file in KEPT:
            shutil.copy(Path(folder, file), target)
    export_onnx(
        model.model_body, model.model_head, opset=14, output_path=str(target / "model.onnx")
    )
    scores = [model.predict_proba([text])[0].tolist() for text in TEXTS]
    rows = [{"text": text, "scores": its} for text, its in zip(TEXTS, scores, strict=True)]
    content = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    (target / "scores.json").write_text(content, "utf-8")


if __name__ == "__main__":
    main()
