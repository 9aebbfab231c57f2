"""Small calls of several chunks in one: the same answers, and none lost."""

from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pyarrow as pa
from conftest import WriteModel

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.config import ModelConfig
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Floats, Status
from labelf_cli.schedule import Workers
from labelf_cli.tokens import Ints, TokenIds

TEXTS = ["my bill is too high", "no signal", "angry", "the tv", "my tv is no tv", "bill"]


class Fragile(OnnxClassifier):
    """A call with a text of one token fails; it keeps how many texts each call had."""

    def __init__(self, path: Path) -> None:
        super().__init__([ModelConfig(name="m", path=path)], {})
        self.seen: list[int] = []

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        self.seen.append(len(rows))
        if (ids.lengths[rows] == 1).any():
            raise RuntimeError("one token is too few")
        return super().logits(ids, rows)


def chunk(*texts: str) -> Chunk:
    return Chunk(0, 0, pa.record_batch({TEXT: pa.array(texts, pa.string())}))


def asked_at_once(group: OnnxClassifier, chunks: list[Chunk]) -> list[Answers]:
    """The answers to chunks whose calls all wait before the first of them runs."""
    gate: Future[None] = Future()
    workers = Workers(1)
    with Labeller([group], workers) as labeller:
        labeller.load()
        workers.submit((0,), gate.result, lambda: None)
        futures = [labeller.submit(one) for one in chunks]
        gate.set_result(None)
        return [future.result(10) for future in futures]


def answers_of(group: OnnxClassifier, one: Chunk) -> Answers:
    (answers,) = asked_at_once(group, [one])
    return answers


def test_chunks_share_calls_and_have_the_answers_that_each_has_alone(
    write_model: WriteModel,
) -> None:
    group = OnnxClassifier([ModelConfig(name="m", path=write_model(nan_word="signal"))], {})
    chunks = [chunk(text, f"{text} too") for text in TEXTS]
    together = asked_at_once(group, chunks)
    assert sum(one.spent.calls for one in together) < len(chunks)
    for one, its in zip(chunks, together, strict=True):
        alone = answers_of(group, one)
        assert alone.scores[0].tobytes() == its.scores[0].tobytes()
        assert alone.errors.to_pylist() == its.errors.to_pylist()
        assert alone.spent.tokens == its.spent.tokens
        assert (its.status == Status.FAILED).any() == ("signal" in str(one.texts))


def test_a_call_that_fails_spares_the_other_chunks(write_model: WriteModel) -> None:
    group = Fragile(write_model())
    answers = asked_at_once(group, [chunk(text) for text in TEXTS])
    assert max(group.seen) > 1
    reasons = [one.errors[0].as_py() for one in answers]
    assert [why == "m: one token is too few" for why in reasons] == [
        len(text.split()) == 1 for text in TEXTS
    ]
    assert [np.isnan(one.scores[0]).all() for one in answers] == [
        why is not None for why in reasons
    ]
