"""Writes pipelines/: scikit-learn's pipelines by skl2onnx, and what scikit-learn makes of texts.

In an environment with scikit-learn 1.9 and skl2onnx 1.20:

    python tests/data/pipelines.py

The texts are ASCII: words that are not are cut otherwise by onnxruntime's regular expressions than
by Python's, so that a converted pipeline gives other numbers for them than the one it was made of.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import StringTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

FOLDER = Path(__file__).with_suffix("")
LEARNED = [
    ("My bill is too high", "Billing"),
    ("You charged me twice this month", "Billing"),
    ("No signal on my phone", "Technical"),
    ("The internet is down again", "Technical"),
    ("Please end my contract", "Cancellation"),
    ("I want to leave you", "Cancellation"),
]
TEXTS = [
    "my bill",
    "THE SIGNAL IS DOWN",
    "leave",
    "nothing of that",
    "bill, signal; contract?",
    "  two\n lines\tof my phone bill ",
    "high " * 500,
]
NUMBER_OF = {"Billing": 3, "Technical": 1, "Cancellation": 7}


def main() -> None:
    """Write all folders anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    names = [label for _, label in LEARNED]
    write("maps", make_pipeline(TfidfVectorizer(), LogisticRegression()), names, zipmap=True)
    write("tensor", make_pipeline(TfidfVectorizer(), LogisticRegression()), names, zipmap=False)
    forest = RandomForestClassifier(n_estimators=5, random_state=0)
    write("forest", make_pipeline(TfidfVectorizer(), forest), names, zipmap=True)
    numbers = [NUMBER_OF[name] for name in names]
    write("numbers", make_pipeline(TfidfVectorizer(), LogisticRegression()), numbers, zipmap=True)


def write(name: str, pipeline: Pipeline, labels: Sequence[object], *, zipmap: bool) -> None:
    """Train, convert, and write what it says."""
    pipeline.fit([text for text, _ in LEARNED], labels)
    graph = convert_sklearn(
        pipeline,
        initial_types=[("text", StringTensorType([None, 1]))],
        options={"zipmap": zipmap},
    )
    (FOLDER / name).mkdir(parents=True)
    (FOLDER / name / "model.onnx").write_bytes(graph.SerializeToString())
    classes = [str(label) for label in pipeline.classes_]
    rows = [
        {"text": text, "scores": dict(zip(classes, map(float, scores), strict=True))}
        for text, scores in zip(TEXTS, pipeline.predict_proba(TEXTS), strict=True)
    ]
    (FOLDER / name / "scores.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
