"""Writes cross_encoders/: tiny exports with random weights, and what CrossEncoder makes of pairs.

In an environment with sentence-transformers 5.7 and what ``families.py`` needs:

    python tests/data/cross_encoders.py

Each folder is an Optimum export of a saved CrossEncoder beside ``scores.json``: the second text,
and for each text what ``CrossEncoder.predict`` says of the two, one pair a call.
"""

import json
import shutil
import tempfile
from pathlib import Path

import families
import torch
import transformers as hf
from optimum.exporters.onnx import main_export
from sentence_transformers import CrossEncoder

FOLDER = Path(__file__).with_suffix("")
PAIR = "where is my card"


def main() -> None:
    """Write all folders anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    made = families.families()
    for name in ("one-logit", "roberta"):
        config, kind = made[name]
        write(name, config, kind())


def write(name: str, config: hf.PretrainedConfig, tokenizer: hf.PreTrainedTokenizerFast) -> None:
    """Make a CrossEncoder, export it, and write what it says."""
    torch.manual_seed(0)
    config.vocab_size = len(tokenizer)
    if config.pad_token_id is None or config.pad_token_id >= len(tokenizer):
        config.pad_token_id = tokenizer.pad_token_id
    model = hf.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(12)  # random weights are near zero, and their scores all alike
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        encoder = CrossEncoder(folder, device="cpu")
        encoder.save_pretrained(f"{folder}/saved")
        export(Path(folder, "saved"), FOLDER / name)
    texts = families.TEXTS
    scores = [encoder.predict([(text, PAIR)]).reshape(-1).tolist() for text in texts]
    rows = [{"text": text, "scores": its} for text, its in zip(texts, scores, strict=True)]
    content = json.dumps({"pair": PAIR, "rows": rows}, ensure_ascii=False, indent=1) + "\n"
    (FOLDER / name / "scores.json").write_text(content, "utf-8")


def export(source: Path, target: Path) -> None:
    """As any text classifier; Optimum would take what sentence-transformers saves for another."""
    main_export(
        source,
        target,
        task="text-classification",
        library_name="transformers",
        do_validation=False,
    )


if __name__ == "__main__":
    main()
