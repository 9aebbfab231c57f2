"""One chunk on its way through the pool: tokenise, run every model, assemble."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.answers import GroupAnswers, Questions
from labelf_cli.cache import LogitsCache
from labelf_cli.classifiers.interface import (
    Batching,
    Because,
    Group,
    Model,
    Reply,
    Service,
    Stopped,
)
from labelf_cli.gathering import Gathering, SmallCall
from labelf_cli.hierarchy import Booleans, Hierarchy, Verdict
from labelf_cli.memo import Memo, text_keys
from labelf_cli.predictions import Answers, Floats, Status, Statuses
from labelf_cli.schedule import Urgency, Workers, calls, tokenising_steps
from labelf_cli.spent import Spent
from labelf_cli.texts import NOTHING, DistinctTexts, Tokenised
from labelf_cli.tokens import Ints, TokenIds, encode_each, join


@dataclass(frozen=True)
class Kernel:
    """What all chunks share.

    Attributes:
        groups: the models.
        models: each model with its place in the output: group and member.
        hierarchy: which of them wait for others.
        batching: of each group.
        workers: the pool of cores.
        waiting: for each group that waits instead of computing, a pool of its own.
        memo: answers to the latest texts.
        cache: answers of this run and of others; None for none.
        cached_models: for each group its models' numbers in the cache; none where it keeps none.
        gatherings: of each group, its small calls.
    """

    groups: tuple[Group, ...]
    models: tuple[tuple[int, int, Model], ...]
    hierarchy: Hierarchy
    batching: tuple[Because[Batching], ...]
    workers: Workers
    waiting: Mapping[int, Workers]
    memo: "Memo[Work]"
    cache: LogitsCache | None
    cached_models: tuple[tuple[int, ...], ...]
    gatherings: tuple[Gathering, ...]


class Work:
    """One chunk. A step that ends submits the steps that it makes possible.

    Models that wait for the answers of others are asked in rounds: when all that is asked is
    answered, those texts are asked about that it makes possible.

    Its texts are of three kinds: those that the memo knows, those that an earlier chunk is at
    work on, and its own. When its own are answered, ``_computed`` is done and later chunks may
    take from it; once the earlier ones are done too, it assembles its answers.
    """

    def __init__(self, kernel: Kernel, number: int, texts: pa.StringArray) -> None:
        """Take a chunk's texts; the lower its number, the sooner its calls run."""
        self._kernel, self._number = kernel, number
        self._rows = texts
        self._computed: Future[None] = Future()
        self._answered: Future[Answers] = Future()
        self._elsewhere: list[tuple[Work, Ints, Ints]] = []
        self._own: Ints = np.empty(0, np.int64)
        self._keys: list[bytes] = []
        self._unasked: list[Ints] = []
        self._tokens: dict[str, Tokenised] = {}
        self._spent = Spent()
        self._open_steps = 0
        self._lock = Lock()

    def start(self) -> "Future[Answers]":
        """Let the pool begin."""
        self._submit([(0, self._number)], [self._prepare])
        return self._answered

    def _submit(
        self,
        urgencies: Sequence[Urgency],
        steps: Sequence[Callable[[], None]],
        workers: Workers | None = None,
    ) -> None:
        """Let steps run, in the pool of cores unless another is given."""
        self._submit_runs(urgencies, [partial(self._run, step) for step in steps], workers)

    def _submit_runs(
        self,
        urgencies: Sequence[Urgency],
        runs: Sequence[Callable[[], None]],
        workers: Workers | None = None,
    ) -> None:
        """Let steps run that see to their end themselves."""
        workers = workers or self._kernel.workers
        with self._lock:
            self._open_steps += len(runs)
        for urgency, run in zip(urgencies, runs, strict=True):
            workers.submit(urgency, run, self._drop)

    def _run(self, step: Callable[[], None]) -> None:
        try:
            step()
            self._end_step()
        except Stopped:
            self._drop()
        except BaseException as error:
            self._fail(error)

    def _end_step(self) -> None:
        with self._lock:
            self._open_steps -= 1
            if self._open_steps:
                return
            self._open_steps = 1  # what follows counts as one, until it has submitted all
        for number, answers in enumerate(self._answers):
            self._cache(number, answers.pool())
        if self._ask():
            self._end_step()
        else:
            self._settle()

    # Before the models: which texts there are, what is known of them, their tokens.

    def _prepare(self) -> None:
        began = time.thread_time()
        kernel = self._kernel
        self._texts = DistinctTexts.of(self._rows)
        count = len(self._texts.distinct)
        self._answers = [GroupAnswers(group, count) for group in kernel.groups]
        self._keys = text_keys(self._texts.distinct)
        claim = kernel.memo.claim(self._keys, self, self._arrays())
        self._own, self._elsewhere = claim.own, claim.elsewhere
        self._add(Spent(texts=count, recalled=count - len(claim.own)))
        self._unasked = [self._unknown(number) for number in range(len(kernel.groups))]
        self._add(Spent(bookkeeping=time.thread_time() - began))
        self._ask()

    def _arrays(self) -> list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
        return [array for answers in self._answers for array in answers.arrays]

    def _unknown(self, number: int) -> Ints:
        """Places of the own texts that a group has to answer; what the cache knows is filled in."""
        cache, own = self._kernel.cache, self._own
        if cache is None or not self._kernel.cached_models[number]:
            return own
        answers, keys = self._answers[number], [self._keys[place] for place in own.tolist()]
        known = np.zeros(len(own), np.int64)
        for model, logits in zip(self._kernel.cached_models[number], answers.logits, strict=True):
            found, lengths, its_logits = cache.get(model, keys, logits.shape[1])
            answers.lengths[own[found]], logits[own[found]] = lengths, its_logits
            known[found] += 1
            self._add(Spent(cached=len(found)))
        return own[known < len(answers.logits)]

    def _ask(self) -> bool:
        """Ask each group about the texts that it is wanted for by now; whether there are any."""
        by_tokenizer: dict[str, dict[int, Ints]] = {}
        for number, wanted in enumerate(self._wanted()):
            unasked = self._unasked[number]
            self._unasked[number], asked = unasked[~wanted[unasked]], unasked[wanted[unasked]]
            if len(asked):
                tokenizer = self._kernel.groups[number].tokenizer.digest
                by_tokenizer.setdefault(tokenizer, {})[number] = asked
        for tokenizer, asked_of in by_tokenizer.items():
            self._submit_tokenising(tokenizer, asked_of)
        return bool(by_tokenizer)

    def _wanted(self) -> list[Booleans]:
        """About which texts each group is to be asked, as far as is known, [texts + 1] each."""
        count = len(self._texts.distinct) + 1
        if self._kernel.hierarchy.is_flat:
            return [np.ones(count, bool)] * len(self._answers)
        wanted = [np.zeros(count, bool) for _ in self._answers]
        for (group, _, _), verdict in zip(self._kernel.models, self._judge(), strict=True):
            wanted[group] |= verdict.asked
        return wanted

    def _submit_tokenising(self, tokenizer: str, asked_of: dict[int, Ints]) -> None:
        """Encode texts once for all groups that share a tokenizer, some texts a step."""
        known = self._tokens.get(tokenizer, NOTHING)
        places = np.setdiff1d(np.concatenate(list(asked_of.values())), known.places)
        if not len(places):
            self._submit_calls(asked_of, known)
            return
        texts = self._texts.distinct.take(pa.array(places))
        cuts = list(tokenising_steps(pc.binary_length(texts).to_numpy()))
        parts: list[TokenIds | None] = [None] * len(cuts)
        failures: dict[int, str] = {}

        def tokenise(part: int) -> None:
            began = time.thread_time()
            group = self._kernel.groups[next(iter(asked_of))]
            ids, why = encode_each(group.tokenizer, texts[cuts[part]].to_pylist())
            self._add(Spent(tokenising=time.thread_time() - began))
            with self._lock:
                parts[part] = ids
                failures.update((int(places[cuts[part]][at]), why[at]) for at in why)
                done = [ids for ids in parts if ids is not None]
            if len(done) == len(parts):
                tokens = self._tokens[tokenizer] = known | Tokenised(places, join(done), failures)
                self._submit_calls(asked_of, tokens)

        steps = [partial(tokenise, part) for part in range(len(parts))]
        self._submit([(0, self._number)] * len(steps), steps)

    # The models.

    def _submit_calls(self, asked_of: dict[int, Ints], tokens: Tokenised) -> None:
        for number, asked in asked_of.items():
            answers = self._answers[number]
            answers.fail({place: why for place, why in tokens.failures.items() if place in asked})
            answers.lengths[tokens.places] = answers.group.template.lengths(tokens.ids, None)
            questions = answers.questions(tokens.ids, tokens.places, asked)
            batching = self._kernel.batching[number].value
            cut = [
                questions.take(batch) for batch in calls(answers.group, batching, questions.lengths)
            ]
            urgencies = [(1, self._number, -call.cells) for call in cut]
            alone = [partial(self._run, partial(self._call, number, call)) for call in cut]
            if number in self._kernel.waiting:
                self._submit_runs(urgencies, alone, self._kernel.waiting[number])
            else:
                self._submit_runs(urgencies, self._gathered(number, cut, alone))

    def _gathered(
        self, number: int, cut: Sequence[Questions], runs: Sequence[Callable[[], None]]
    ) -> list[Callable[[], None]]:
        """Let the small ones among some calls be put together with those of other chunks."""
        gathering = self._kernel.gatherings[number]

        def small(call: Questions, alone: Callable[[], None]) -> SmallCall:
            def answered(reply: Reply) -> None:
                self._run(partial(self._take, number, call, reply))

            return SmallCall(call, answered, alone)

        calls_ = [
            small(call, run) if gathering.is_small(call) else None
            for call, run in zip(cut, runs, strict=True)
        ]
        gathering.add([call for call in calls_ if call is not None])
        return [
            run if call is None else partial(gathering.run, call)
            for call, run in zip(calls_, runs, strict=True)
        ]

    def _take(self, number: int, call: Questions, reply: Reply) -> None:
        self._cache(number, self._answers[number].take(call, reply))
        self._add(reply.spent)

    def _call(self, number: int, call: Questions) -> None:
        began = time.thread_time()
        answered, spent = self._answers[number].ask(call)
        spent += Spent(calls=1, models=time.thread_time() - began)
        if not isinstance(self._kernel.groups[number], Service):
            tokens = int(call.lengths.sum())
            spent += Spent(tokens=tokens, padding=call.cells - tokens)
        self._add(spent)
        self._cache(number, answered)

    def _cache(self, number: int, places: Ints) -> None:
        """Keep what a group says about some texts for other runs."""
        kernel, answers = self._kernel, self._answers[number]
        if kernel.cache is None or not kernel.cached_models[number] or not len(places):
            return
        for member, model in enumerate(kernel.cached_models[number]):
            given = answers.given(member, places)
            keys = [self._keys[place] for place in given.tolist()]
            logits = answers.logits[member][given]
            kernel.cache.put(model, keys, answers.lengths[given], logits)
        if number in kernel.waiting:
            kernel.cache.flush()  # they may have been paid for

    def _add(self, spent: Spent) -> None:
        with self._lock:
            self._spent += spent

    # After the models.

    def _settle(self) -> None:
        """The own texts are answered: keep that, and wait for the other chunks."""
        self._tokens = {}
        broke = np.zeros(len(self._own), bool)
        for answers in self._answers:
            broke |= answers.broke(self._own)
        self._kernel.memo.keep(self._keys, self._own[~broke], self._arrays())
        self._kernel.memo.release(self._keys, self)
        self._computed.set_result(None)
        self._open_steps = len(self._elsewhere) + 1
        for other, _, _ in self._elsewhere:
            other._computed.add_done_callback(lambda _: self._end_wait())
        self._end_wait()

    def _end_wait(self) -> None:
        with self._lock:
            self._open_steps -= 1
            if self._open_steps:
                return
        try:
            for other, here, there in self._elsewhere:
                other._computed.result()
                for mine, its in zip(self._answers, other._answers, strict=True):
                    mine.borrow(its, here, there)
            self._elsewhere = []
            self._answered.set_result(self._assemble())
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Let whoever waits know, and let the texts be claimed anew."""
        self._kernel.memo.release(self._keys, self)
        for future in (self._computed, self._answered):
            with self._lock:
                if not future.done():
                    future.set_exception(error)

    def _drop(self) -> None:
        """Leave nobody waiting for a chunk whose steps the closing pool has dropped."""
        self._fail(CancelledError())

    def _judge(self) -> list[Verdict]:
        """What each model says by now."""

        def of_model(number: int) -> tuple[Floats, Statuses, dict[int, str]]:
            group, member, _ = self._kernel.models[number]
            return self._answers[group].of_model(member)

        return self._kernel.hierarchy.judge(of_model)

    def _assemble(self) -> Answers:
        """Answers per distinct text to answers per row."""
        began = time.thread_time()
        places = self._texts.places
        texts = len(self._texts.distinct)
        status = np.zeros(texts + 1, np.uint8)
        status[texts] = Status.EMPTY
        reasons: dict[int, list[str]] = {}
        scores, accepted = [], []
        for (_, _, model), verdict in zip(self._kernel.models, self._judge(), strict=True):
            np.maximum(status, verdict.status, out=status)
            for place, reason in verdict.failures.items():
                reasons.setdefault(place, []).append(f"{model.name}: {reason}")
            scores.append(verdict.scores[places])
            accepted.append(verdict.accepted.take(places))
        errors = self._texts.spread(reasons)
        self._add(Spent(bookkeeping=time.thread_time() - began))
        return Answers(tuple(scores), tuple(accepted), status[places], errors, self._spent)
