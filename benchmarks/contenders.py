"""What is compared: each way to get all scores of all models, as its users write it.

A contender loads its models, and then the clock starts. labelf reads the texts from CSV and writes
Parquet; the pipelines of transformers and of Optimum have the texts in memory; the loops have them
tokenised, too (see ``loops``). Each contender runs in a process of its own, which writes what came
out into a folder:

    python -m benchmarks.contenders 'labelf fp32' minilm mixed /tmp
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.job import MAX_LENGTH, Floats, Job, Outcome
from benchmarks.loops import ctranslate2_loop, labelf_sessions_loop, onnxruntime_loop, torch_loop
from benchmarks.texts import read_texts
from labelf_cli.cores import usable_cores
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings


def labelf(form: str, job: Job) -> Outcome:
    """A whole run of ``labelf classify``."""
    import pyarrow.parquet as pq

    with TemporaryDirectory() as folder:
        output = Path(folder, "labelled.parquet")
        config = job.config(form)
        settings = RunSettings(config, (str(job.csv),), threads=usable_cores(), output=output)
        summary = run(settings, lambda _: None)
        table = pq.read_table(output)
    scores = []
    for model in config.models:
        columns = [name for name in table.column_names if name.startswith(f"{model.name}.score.")]
        scores.append(np.stack([table[name].to_numpy() for name in columns], axis=1))
    return Outcome(summary.seconds - summary.loading, scores)


def transformers(dtype: str, batch_size: int, job: Job) -> Outcome:
    """The pipeline of transformers on PyTorch."""
    import torch
    from transformers import pipeline

    pipes = [
        pipeline("text-classification", str(folder), device="cpu", dtype=getattr(torch, dtype))
        for folder in job.folders("fp32")
    ]
    return _run_pipelines(pipes, batch_size, job)


def optimum(batch_size: int, job: Job) -> Outcome:
    """The same pipeline on onnxruntime, by Optimum."""
    from optimum.onnxruntime import ORTModelForSequenceClassification, pipeline
    from transformers import AutoTokenizer

    pipes = [
        pipeline(
            "text-classification",
            ORTModelForSequenceClassification.from_pretrained(folder),
            tokenizer=AutoTokenizer.from_pretrained(folder),
        )
        for folder in job.folders("fp32")
    ]
    return _run_pipelines(pipes, batch_size, job)


def _run_pipelines(pipes: Sequence[Any], batch_size: int, job: Job) -> Outcome:
    texts = read_texts(job.csv)
    options = {
        "top_k": None,
        "truncation": True,
        "max_length": MAX_LENGTH,
        "batch_size": batch_size,
    }
    for pipe in pipes:  # the first call is slower than the others
        pipe(texts[:2], **options)
    began = time.monotonic()
    answers = [pipe(texts, **options) for pipe in pipes]
    return Outcome(time.monotonic() - began, [_by_label(rows) for rows in answers])


def _by_label(rows: list[list[dict[str, Any]]]) -> Floats:
    """The scores of a pipeline in the order of the labels, [texts × labels]."""
    ordered = [sorted(row, key=lambda each: int(each["label"].split("_")[1])) for row in rows]
    return np.array([[each["score"] for each in row] for row in ordered], np.float32)


CONTENDERS: dict[str, Callable[[Job], Outcome]] = {
    "labelf fp32": partial(labelf, "fp32"),
    "labelf int8": partial(labelf, "int8"),
    **{f"Optimum, batch {n}": partial(optimum, n) for n in (1, 8, 32)},
    **{f"transformers fp32, batch {n}": partial(transformers, "float32", n) for n in (1, 8, 32)},
    **{f"transformers bf16, batch {n}": partial(transformers, "bfloat16", n) for n in (1, 8, 32)},
    "CTranslate2 fp32, encoders only": partial(ctranslate2_loop, "float32"),
    "CTranslate2 int8, encoders only": partial(ctranslate2_loop, "int8"),
    "onnxruntime fp32 loop": onnxruntime_loop,
    "onnxruntime fp32 loop, labelf's sessions": labelf_sessions_loop,
    "PyTorch bf16 loop": torch_loop,
}


def main() -> None:
    """Run one contender once."""
    name, shape, table, folder = sys.argv[1:]
    outcome = CONTENDERS[name](Job(shape, table))
    np.savez(Path(folder, "scores.npz"), *outcome.scores)
    Path(folder, "seconds.json").write_text(json.dumps(outcome.seconds))


if __name__ == "__main__":
    main()
