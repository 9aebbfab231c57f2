"""Writes minilm_embeddings.json: what sentence-transformers makes of some texts.

In an environment with sentence-transformers 5.7, its extra ``onnx``, and torch:

    python tests/data/minilm_embeddings.py ../shared/models/minilm-l6-v2

The graph is the int8 one of the folder, run by its ONNX backend, as it stands and one text a call:
where company or a fused operator moves the last bit of a number, dynamic quantisation may round it
to the next of 256 steps, which moves the embedding by up to 0.03.
"""

import json
import sys
from pathlib import Path

import onnxruntime as ort
from sentence_transformers import SentenceTransformer

TEXTS = [
    "My card has not arrived yet.",
    "a",
    "!",
    "\u200b",
    "line one\nline two\t and  some   spaces ",
    "ÄRENDE: räkningen är för hög",
    "カードがまだ届いていません",
    "Моя карта ещё не пришла",
    "بطاقتي لم تصل بعد",
    "lost card 😱🙏🏽",
    "unaffordable supercalifragilisticexpialidocious",
    "the transfer has not arrived and nobody could tell me why; " * 40,
]


def main(folder: str) -> None:
    """Compute and write."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = SentenceTransformer(
        folder,
        backend="onnx",
        model_kwargs={
            "file_name": "onnx/model_quantized.onnx",
            "provider": "CPUExecutionProvider",
            "session_options": options,
        },
        local_files_only=True,
    )
    embeddings = model.encode(TEXTS, batch_size=1)
    rows = [
        {"text": text, "embedding": [round(float(x), 6) for x in embedding]}
        for text, embedding in zip(TEXTS, embeddings, strict=True)
    ]
    lines = ",\n".join(json.dumps(row) for row in rows)
    Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
