"""The kernel: chunks in, answers of all models out, on one pool of worker threads."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.chunk import Chunk
from labelf_cli.classifiers.interface import Batching, Because, Group, Model
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.config import Config
from labelf_cli.predictions import Answers, Floats, Status, Statuses, accept, activate
from labelf_cli.schedule import micro_batches
from labelf_cli.tokens import Ints, TokenIds, Tokenizer

_log = logging.getLogger(__name__)

# Arrow takes long to make its own scalars of Python's.
_EMPTY, _NULL = pa.scalar(""), pa.scalar(None, pa.string())

CHUNKS_IN_FLIGHT = 3
"""One that is written, one that is computed, one that is prepared."""


class Labeller:
    """Owns the models, their tokenizers and the pool of threads that runs them.

    It reads the models' files when it is made and loads the graphs in ``load``. Use it as a context
    manager, or ``close`` it.
    """

    def __init__(self, config: Config, threads: int) -> None:
        """Read the models' files.

        Args:
            config: the models.
            threads: size of the pool; every call of a model uses one thread.

        Raises:
            ModelError: a file is missing or broken.
            ConfigError: a model is asked for what it does not have.
        """
        tokenizers: dict[str, Tokenizer] = {}
        self.groups: tuple[Group, ...] = tuple(
            OnnxClassifier(model, tokenizers) for model in config.models
        )
        self.models: tuple[Model, ...] = tuple(m for group in self.groups for m in group.models)
        self.batching: tuple[Because[Batching], ...] = ()
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="labelf")

    def load(self) -> Self:
        """Load the graphs, one after the other, and probe each.

        Raises:
            ModelError: a graph can't be loaded or does not answer as its files say.
        """
        self.batching = tuple(map(_load, self.groups))
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the calls that have not begun and wait for those that have."""
        self.pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, chunk: Chunk) -> "Future[Answers]":
        """Classify a chunk on the pool."""
        return _Work(self, chunk).start()

    def label(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answers]]:
        """Classify chunks, several of them in flight; yield them in their order."""
        waiting: deque[tuple[Chunk, Future[Answers]]] = deque()
        for chunk in chunks:
            waiting.append((chunk, self.submit(chunk)))
            if len(waiting) == CHUNKS_IN_FLIGHT:
                first, answers = waiting.popleft()
                yield first, answers.result()
        for first, answers in waiting:
            yield first, answers.result()


def _load(group: Group) -> Because[Batching]:
    began = time.monotonic()
    batching = group.load()
    names = ", ".join(model.name for model in group.models)
    seconds = time.monotonic() - began
    _log.info("%s: loaded in %.1f s; %s: %s", names, seconds, batching.value.value, batching.rule)
    return batching


@dataclass(frozen=True)
class _Texts:
    """The distinct texts of a chunk.

    Attributes:
        distinct: the texts that are classified, each once.
        places: for each row its text, as a position in ``distinct``; one past the last for a
            row without a text, [rows] int64.
    """

    distinct: list[str]
    places: Ints

    @classmethod
    def of(cls, texts: pa.StringArray) -> "_Texts":
        blank = pc.equal(pc.utf8_trim_whitespace(texts), _EMPTY)
        encoded = pc.if_else(blank, _NULL, texts).dictionary_encode()
        places = pc.fill_null(encoded.indices, len(encoded.dictionary))
        return cls(encoded.dictionary.to_pylist(), places.to_numpy().astype(np.int64))


class _GroupAnswers:
    """What one group says about the distinct texts of a chunk, while it is filled in.

    All arrays have one row more than there are texts: the answer to no text.
    """

    def __init__(self, group: Group, ids: TokenIds) -> None:
        self.group, self._ids = group, ids
        texts = len(ids.lengths)
        self._logits = tuple(
            np.full((texts + 1, len(model.labels.value)), np.nan, np.float32)
            for model in group.models
        )
        self._broken: dict[int, str] = {}
        self._lengths = group.template.lengths(ids, None)
        limit = group.max_length.value
        self._long = np.zeros(texts, bool) if limit is None else self._lengths > limit

    def calls(self, batching: Batching) -> Iterator[Ints]:
        """The calls that answer all texts, each as positions among them."""
        fail_long = all(model.fails_long for model in self.group.models)
        asked = np.flatnonzero(~(self._long & fail_long))
        lengths = self.group.template.lengths(self._ids, self.group.max_length.value)[asked]
        return (asked[batch] for batch in micro_batches(lengths, batching))

    def run(self, places: Ints) -> None:
        """Answer some texts in one call; where it fails, one by one, to spare the others."""
        try:
            answers = self.group.logits(self._ids, places)
        except Exception as error:  # onnxruntime's errors have no common base but this
            if len(places) > 1:
                for place in places:
                    self.run(np.array([place]))
            else:
                self._broken[int(places[0])] = " ".join(str(error).split())
            return
        for kept, logits in zip(self._logits, answers, strict=True):
            kept[places] = logits

    def of_model(self, number: int) -> tuple[Floats, Statuses, dict[int, str]]:
        """Scores and statuses of the texts by one member, and why the failed ones failed."""
        model = self.group.models[number]
        scores = activate(self._logits[number], model.activation.value)
        status = np.zeros(len(scores), np.uint8)
        status[:-1][self._long] = Status.FAILED if model.fails_long else Status.TRUNCATED
        failures = dict(self._broken)
        limit = self.group.max_length.value
        for place in np.flatnonzero(status == Status.FAILED).tolist():
            failures[place] = f"{self._lengths[place]} tokens, more than max_length {limit}"
        for place in np.flatnonzero(np.isnan(scores[:-1]).any(axis=1)).tolist():
            failures.setdefault(place, "the model's answer is not a number")
        failed = list(failures)
        scores[failed], status[failed] = np.nan, Status.FAILED
        return scores, status, failures


class _Work:
    """One chunk on its way through the pool: tokenise, run every model, assemble.

    A step that ends submits the steps that it makes possible; no worker ever waits for another.
    """

    def __init__(self, labeller: Labeller, chunk: Chunk) -> None:
        self._labeller = labeller
        self._texts = _Texts.of(chunk.texts)
        self._answers: dict[int, _GroupAnswers] = {}
        self._future: Future[Answers] = Future()
        self._open_steps = 0
        self._lock = Lock()

    def start(self) -> "Future[Answers]":
        by_tokenizer: dict[str, list[int]] = {}
        for number, group in enumerate(self._labeller.groups):
            by_tokenizer.setdefault(group.tokenizer.digest, []).append(number)
        self._submit([partial(self._tokenise, numbers) for numbers in by_tokenizer.values()])
        return self._future

    def _submit(self, steps: Sequence[Callable[[], None]]) -> None:
        with self._lock:
            self._open_steps += len(steps)
        for step in steps:
            self._labeller.pool.submit(self._run, step).add_done_callback(self._dropped)

    def _dropped(self, step: "Future[None]") -> None:
        """Leave nobody waiting for a chunk whose steps the closing pool has dropped."""
        if step.cancelled():
            with self._lock:
                if not self._future.done():
                    self._future.cancel()
                    self._future.set_running_or_notify_cancel()

    def _run(self, step: Callable[[], None]) -> None:
        try:
            step()
            with self._lock:
                self._open_steps -= 1
                last = not self._open_steps
            if last:
                answers = self._assemble()
                with self._lock:
                    if not self._future.done():
                        self._future.set_result(answers)
        except BaseException as error:
            with self._lock:
                if not self._future.done():
                    self._future.set_exception(error)

    def _tokenise(self, numbers: list[int]) -> None:
        """Encode the texts once for all groups that share a tokenizer, and submit their calls."""
        groups = self._labeller.groups
        ids = groups[numbers[0]].tokenizer.encode(self._texts.distinct)
        for number in numbers:
            answers = self._answers[number] = _GroupAnswers(groups[number], ids)
            calls = answers.calls(self._labeller.batching[number].value)
            self._submit([partial(answers.run, places) for places in calls])

    def _assemble(self) -> Answers:
        """Answers per distinct text to answers per row."""
        places = self._texts.places
        texts = len(self._texts.distinct)
        status = np.zeros(texts + 1, np.uint8)
        status[texts] = Status.EMPTY
        reasons: dict[int, list[str]] = {}
        scores, accepted = [], []
        for number in range(len(self._labeller.groups)):
            answers = self._answers[number]
            for member, model in enumerate(answers.group.models):
                found, its_status, failures = answers.of_model(member)
                np.maximum(status, its_status, out=status)
                for place, reason in failures.items():
                    reasons.setdefault(place, []).append(f"{model.name}: {reason}")
                scores.append(found[places])
                accepted.append(accept(found, model.rules).take(places))
        return Answers(
            tuple(scores), tuple(accepted), status[places], _error_column(reasons, places)
        )


def _error_column(reasons: dict[int, list[str]], places: Ints) -> pa.StringArray:
    """The reasons of the failed texts, spread over the rows; null for the others."""
    failed = pa.array(list(reasons), pa.int64())
    texts = pa.array(["; ".join(its) for its in reasons.values()], pa.string())
    return texts.take(pc.index_in(pa.array(places), failed))
