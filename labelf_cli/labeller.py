"""The kernel: chunks in, answers of all models out, on one pool of worker threads."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

from labelf_cli.answers import GroupAnswers, answer_digests
from labelf_cli.cache import LogitsCache
from labelf_cli.chunk import Chunk
from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.interface import Batching, Because, Group, Model, Service
from labelf_cli.classifiers.remote.budget import Budget
from labelf_cli.config import Config
from labelf_cli.errors import LabelfError
from labelf_cli.gathering import Gathering
from labelf_cli.hierarchy import Hierarchy
from labelf_cli.kept import KeptAnswers
from labelf_cli.memo import MEMO_BYTES, Memo
from labelf_cli.model_keys import OnLong
from labelf_cli.predictions import Answers
from labelf_cli.schedule import Workers
from labelf_cli.work import Kernel, LoadedGroup, Work

_log = logging.getLogger(__name__)

CHUNKS_IN_FLIGHT = 3
"""One that is written, one that is computed, one that is prepared."""


class Labeller:
    """Owns the models, their tokenizers and the pool of threads that runs them.

    It is made of groups whose files are read; ``load`` loads their graphs. Use it as a context
    manager, or ``close`` it; left by an error, be it a signal's, it is stopped.

    Attributes:
        groups: the models as they answer.
        models: in the order of the answers.
        batching: of each group; empty before ``load``.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        threads: int | Workers,
        order: Sequence[str] = (),
        cache: Path | None = None,
        memo_bytes: int = MEMO_BYTES,
    ) -> None:
        """Take groups.

        Args:
            groups: the models.
            threads: size of the pool; every call of a model uses one thread, and services have
                pools of their own. Or a pool to share.
            order: names of the models, in the order of the answers; that of the groups if empty.
            cache: file that keeps logits across runs; None for none.
            memo_bytes: about what the answers to the latest texts may take.

        Raises:
            OutputError: the cache can't be used.
            ConfigError: a model waits for a label that another does not give.
        """
        self.groups = tuple(groups)
        members = {
            model.name: (number, member, model)
            for number, group in enumerate(self.groups)
            for member, model in enumerate(group.models)
        }
        self._members = tuple(members[name] for name in order or members)
        self.models: tuple[Model, ...] = tuple(model for _, _, model in self._members)
        self._hierarchy = Hierarchy(self.models)
        self.batching: tuple[Because[Batching], ...] = ()
        self._workers = Workers(threads) if isinstance(threads, int) else threads
        self._waiting = {
            number: Workers(group.concurrency)
            for number, group in enumerate(self.groups)
            if isinstance(group, Service)
        }
        self._keeps_all = cache is not None
        self._memo_bytes = memo_bytes
        self._cache = None if cache is None else LogitsCache(cache)
        self._kernel: Kernel | None = None

    @classmethod
    def open(
        cls,
        config: Config,
        threads: int,
        cache: Path | None = None,
        max_requests: int | None = None,
    ) -> Self:
        """Read the files of a config's models; see ``open_groups`` for what it raises.

        Args:
            config: the models.
            threads: size of the pool.
            cache: file that keeps logits across runs; None for none.
            max_requests: most requests to services; None for no bound.
        """
        order = [model.name for model in config.models]
        return cls(open_groups(config.models, Budget(max_requests)), threads, order, cache)

    @property
    def digests(self) -> tuple[str, ...]:
        """For each model a hash over everything that decides its answers."""
        digests = [answer_digests(group) for group in self.groups]
        return tuple(digests[group][member] for group, member, _ in self._members)

    def keep_what_services_say(self, path: Path) -> None:
        """Keep the answers of services in a file, unless the cache keeps all; before ``load``.

        Raises:
            OutputError: the file can't be used.
        """
        if self._waiting and self._cache is None:
            self._cache = LogitsCache(path)

    def load(self) -> Self:
        """Load the graphs, one after the other, and probe each.

        Raises:
            ModelError: a graph can't be loaded or does not answer as its files say.
            OutputError: the cache can't be used.
        """
        return self._use(self._workers.call(lambda: tuple(map(_load, self.groups))))

    def _use(self, batching: tuple[Because[Batching], ...]) -> Self:
        """Take the groups as loaded."""
        self.batching = batching
        like = [array for group in self.groups for array in GroupAnswers(group, 0).arrays]
        self._kernel = Kernel(
            tuple(map(self._loaded, range(len(self.groups)))),
            self._members,
            self._hierarchy,
            self._workers,
            Memo(like, self._memo_bytes),
        )
        return self

    def _loaded(self, number: int) -> LoadedGroup:
        group, batching = self.groups[number], self.batching[number].value
        workers = self._waiting.get(number, self._workers)
        return LoadedGroup(group, batching, workers, Gathering(group, batching), self._kept(number))

    def _kept(self, number: int) -> KeptAnswers | None:
        if self._cache is None or not (self._keeps_all or number in self._waiting):
            return None
        return KeptAnswers.of(self.groups[number], self._cache)

    def part(self, names: Sequence[str], on_long: OnLong | None, memo_bytes: int) -> Self:
        """Some of the models that run here, on the same pool and the same graphs, all loaded.

        It is not to be closed, and answers until this one is.

        Args:
            names: of the models, in the order of the answers.
            on_long: what becomes of a text over ``max_length``; None: what the config says.
            memo_bytes: about what the answers to its latest texts may take.

        Raises:
            ConfigError: windows share more tokens than they have.
        """
        number_of = {model.name: number for number, _, model in self._members}
        numbers = tuple(dict.fromkeys(number_of[name] for name in names))
        groups = [self.groups[number] for number in numbers]
        if on_long is not None:
            groups = [group.reading(on_long) for group in groups]
        its = type(self)(groups, self._workers, names, memo_bytes=memo_bytes)
        return its._use(tuple(self.batching[number] for number in numbers))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.stop()

    def flush(self) -> None:
        """Write to the cache what waits; a crash of the process loses nothing of it."""
        if self._cache is not None:
            self._cache.flush()

    def close(self) -> None:
        """Drop the calls that have not begun and wait for those that have.

        The groups may be given to another labeller.
        """
        for workers in (self._workers, *self._waiting.values()):
            workers.close()
        if self._cache is not None:
            self._cache.close()

    def stop(self) -> None:
        """End the calls that have begun, too; the groups never answer again.

        It waits for an operator of each call that runs, and for the tokenizer, which nothing ends.
        What is not answered yet ends with ``CancelledError``; nothing is kept of it.
        """
        for group in self.groups:
            group.stop()
        self.close()

    def submit(self, chunk: Chunk) -> "Future[Answers]":
        """Classify a chunk on the pool."""
        assert self._kernel is not None, "load it first"
        return Work(self._kernel, next(self._workers.numbers), chunk.texts).start()

    def label(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answers]]:
        """Classify chunks, several of them in flight; yield them in their order.

        Where there is an error instead of the next chunk, those in flight come before it.
        """
        waiting: deque[tuple[Chunk, Future[Answers]]] = deque()
        failure: LabelfError | None = None
        try:
            for chunk in chunks:
                waiting.append((chunk, self.submit(chunk)))
                if len(waiting) == CHUNKS_IN_FLIGHT:
                    first, answers = waiting.popleft()
                    yield first, answers.result()
        except LabelfError as error:
            failure = error
        for first, answers in waiting:
            yield first, answers.result()
        if failure is not None:
            raise failure


def _load(group: Group) -> Because[Batching]:
    began = time.monotonic()
    names = ", ".join(model.name for model in group.models)
    _log.info("%s: loading", names)
    batching = group.load()
    seconds = time.monotonic() - began
    _log.info("%s: loaded in %.1f s; %s: %s", names, seconds, batching.value.value, batching.rule)
    return batching
