"""Loops over calls that are prepared beforehand: what is left to win.

The texts are tokenised, cut into calls of similar length and padded before the clock starts, and
one single-threaded worker a core takes the largest calls first.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.job import MAX_LENGTH, Floats, Job, Outcome
from benchmarks.texts import read_texts
from labelf_cli.classifiers.interface import Batching, Group
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.classifiers.tuning import TOKEN_BUDGET
from labelf_cli.cores import usable_cores
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import activate
from labelf_cli.schedule import micro_batches
from labelf_cli.sequences import Sequences, sequences
from labelf_cli.tokens import Ints

Ask = Callable[[Sequences], Floats | None]
"""One call of a model: logits, or none from an encoder."""


def onnxruntime_loop(job: Job) -> Outcome:
    """The graphs as they stand in their files, in sessions of one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = [
        ort.InferenceSession(folder / "model.onnx", options) for folder in job.folders("fp32")
    ]
    return _run_sessions(sessions, job)


def labelf_sessions_loop(job: Job) -> Outcome:
    """The sessions that labelf runs, so that the difference is what labelf does around them."""
    labeller = Labeller.open(job.config("fp32"), usable_cores()).load()
    graphs = [group._graph for group in labeller.groups if isinstance(group, OnnxClassifier)]
    return _run_sessions([graph.session._session for graph in graphs], job)


def _run_sessions(sessions: Sequence[ort.InferenceSession], job: Job) -> Outcome:
    def ask(session: ort.InferenceSession, inputs: Sequences) -> Floats:
        feeds = {each.name: getattr(inputs, each.name) for each in session.get_inputs()}
        logits: Floats = session.run(["logits"], feeds)[0]
        return logits

    asks = [partial(ask, session) for session in sessions]
    return _run_loop(asks, job, _groups(job), [Batching.PADDED] * len(asks), TOKEN_BUDGET)


def torch_loop(job: Job) -> Outcome:
    """PyTorch in bfloat16 without a pipeline."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(1)

    def ask(model: Callable[..., Any], inputs: Sequences) -> Floats:
        with torch.inference_mode():
            logits: Floats = model(
                input_ids=torch.from_numpy(inputs.input_ids),
                attention_mask=torch.from_numpy(inputs.attention_mask),
            ).logits.float()
            return np.asarray(logits)

    asks = [
        partial(ask, AutoModelForSequenceClassification.from_pretrained(f, dtype=torch.bfloat16))
        for f in job.folders("fp32")
    ]
    return _run_loop(asks, job, _groups(job), [Batching.PADDED] * len(asks), TOKEN_BUDGET)


def ctranslate2_loop(compute_type: str, job: Job) -> Outcome:
    """The encoders in CTranslate2, without the classifiers on them, which it can't run."""
    import ctranslate2

    def ask(encoder: ctranslate2.Encoder, inputs: Sequences) -> None:
        lengths = inputs.attention_mask.sum(axis=1).tolist()
        rows = inputs.input_ids.tolist()
        encoder.forward_batch([row[:n] for row, n in zip(rows, lengths, strict=True)])

    asks = [
        partial(
            ask,
            ctranslate2.Encoder(
                str(folder),
                compute_type=compute_type,
                inter_threads=usable_cores(),
                intra_threads=1,
            ),
        )
        for folder in job.folders("ctranslate2")
    ]
    return _run_loop(asks, job, _groups(job), [Batching.PADDED] * len(asks), TOKEN_BUDGET)


def _groups(job: Job) -> Sequence[Group]:
    """The models as labelf knows them before it loads their graphs."""
    return Labeller.open(job.config("fp32"), usable_cores()).groups


@dataclass(frozen=True)
class _Call:
    """One call of a model.

    Attributes:
        model: its number.
        rows: which texts, [n] int64.
        inputs: their tokens, padded.
    """

    model: int
    rows: Ints
    inputs: Sequences


def _calls(
    texts: list[str], groups: Sequence[Group], batching: Sequence[Batching], budget: int
) -> Iterator[_Call]:
    for number, (group, freedom) in enumerate(zip(groups, batching, strict=True)):
        ids = group.tokenizer.encode(texts)
        for rows in micro_batches(group.template.lengths(ids, MAX_LENGTH), freedom, budget):
            yield _Call(number, rows, sequences(ids, rows, group.template, MAX_LENGTH))


def _run_loop(
    asks: Sequence[Ask],
    job: Job,
    groups: Sequence[Group],
    batching: Sequence[Batching],
    budget: int,
) -> Outcome:
    texts = read_texts(job.csv)
    calls = list(_calls(texts, groups, batching, budget))
    calls.sort(key=lambda call: -call.inputs.input_ids.size)

    def answer(call: _Call) -> Floats | None:
        return asks[call.model](call.inputs)

    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(answer, calls[-2 * len(asks) :]))  # the first calls are slower
        began = time.monotonic()
        answers = list(pool.map(answer, calls))
        seconds = time.monotonic() - began
    logits: dict[tuple[int, int], Floats] = {}
    for call, answered in zip(calls, answers, strict=True):
        for row, its in zip(call.rows.tolist(), [] if answered is None else answered, strict=False):
            logits[call.model, row] = its
    if not logits:
        return Outcome(seconds, [])
    arrays = [np.stack([logits[n, row] for row in range(len(texts))]) for n in range(len(asks))]
    return Outcome(seconds, [activate(array, "softmax") for array in arrays])
