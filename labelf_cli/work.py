"""One chunk on its way through the pool: tokenise, run every model, assemble."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Lock

import numpy as np
import pyarrow as pa

from labelf_cli.answers import GroupAnswers, Questions
from labelf_cli.classifiers.interface import Batching, Group, Model, Reply, Service
from labelf_cli.gathering import Call, Gathering
from labelf_cli.hierarchy import Booleans, Hierarchy, Verdict
from labelf_cli.kept import KeptAnswers
from labelf_cli.memo import Memo
from labelf_cli.predictions import Answers, Floats, Status, Statuses
from labelf_cli.schedule import Workers, calls
from labelf_cli.sharing import SharedTexts
from labelf_cli.spent import Spent
from labelf_cli.steps import Steps
from labelf_cli.texts import NOTHING, DistinctTexts, Tokenised, Tokenising
from labelf_cli.tokens import Ints


@dataclass(frozen=True)
class LoadedGroup:
    """A group that can be asked, with what its calls pass.

    Attributes:
        group: who answers.
        batching: how texts may share a call.
        workers: the pool that its calls run in: that of cores, or its own where it waits.
        gathering: its small calls.
        kept: its answers in the cache; None where it keeps none.
    """

    group: Group
    batching: Batching
    workers: Workers
    gathering: Gathering
    kept: KeptAnswers | None


@dataclass(frozen=True)
class Kernel:
    """What all chunks share.

    Attributes:
        groups: the models as they answer.
        models: each model with its place in the output: group and member.
        hierarchy: which of them wait for others.
        workers: the pool of cores.
        memo: answers to the latest texts.
    """

    groups: tuple[LoadedGroup, ...]
    models: tuple[tuple[int, int, Model], ...]
    hierarchy: Hierarchy
    workers: Workers
    memo: Memo[SharedTexts]


class Work:
    """One chunk. A step that ends submits the steps that it makes possible.

    Models that wait for the answers of others are asked in rounds: when all that is asked is
    answered, those texts are asked about that it makes possible. Once nothing is left to ask, it
    takes the answers to texts that earlier chunks were at work on, and assembles its own.
    """

    def __init__(self, kernel: Kernel, number: int, texts: pa.StringArray) -> None:
        """Take a chunk's texts; the lower its number, the sooner its calls run."""
        self._kernel, self._number = kernel, number
        self._rows = texts
        self._answered: Future[Answers] = Future()
        self._shared = SharedTexts(kernel.memo)
        self._steps = Steps(self._go_on, self._fail)
        self._unasked: list[Ints] = []
        self._tokens: dict[str, Tokenised] = {}
        self._spent = Spent()
        self._lock = Lock()

    def start(self) -> "Future[Answers]":
        """Let the pool begin."""
        self._submit([self._prepare])
        return self._answered

    def _submit(self, steps: Sequence[Callable[[], None]]) -> None:
        """Let steps run that come before the calls of any chunk."""
        urgencies = [(0, self._number)] * len(steps)
        runs = [partial(self._steps.run, step) for step in steps]
        self._steps.submit(self._kernel.workers, urgencies, runs)

    def _go_on(self) -> bool:
        """All that was asked is answered: ask what that makes possible; whether there is any."""
        for number, answers in enumerate(self._answers):
            self._keep(number, answers.pool())
        if self._ask():
            return True
        self._settle()
        return False

    def _add(self, spent: Spent) -> None:
        with self._lock:
            self._spent += spent

    # Before the models: which texts there are, what is known of them, their tokens.

    def _prepare(self) -> None:
        began = time.thread_time()
        self._texts = DistinctTexts.of(self._rows)
        count = len(self._texts.distinct)
        self._answers = [GroupAnswers(its.group, count) for its in self._kernel.groups]
        self._shared.claim(self._texts.distinct, self._answers)
        self._add(Spent(texts=count, recalled=count - len(self._shared.own)))
        self._unasked = [self._unknown(number) for number in range(len(self._answers))]
        self._add(Spent(bookkeeping=time.thread_time() - began))

    def _unknown(self, number: int) -> Ints:
        """Places of the own texts that a group has to answer; what the cache knows is filled in."""
        kept, own = self._kernel.groups[number].kept, self._shared.own
        if kept is None:
            return own
        unknown, spent = kept.fill_in(self._answers[number], self._shared.keys, own)
        self._add(spent)
        return unknown

    def _ask(self) -> bool:
        """Ask each group about the texts that it is wanted for by now; whether there are any."""
        by_tokenizer: dict[str, dict[int, Ints]] = {}
        for number, wanted in enumerate(self._wanted()):
            unasked = self._unasked[number]
            self._unasked[number], asked = unasked[~wanted[unasked]], unasked[wanted[unasked]]
            if len(asked):
                tokenizer = self._kernel.groups[number].group.tokenizer.digest
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

    def _submit_tokenising(self, digest: str, asked_of: dict[int, Ints]) -> None:
        """Encode texts once for all groups that share a tokenizer; then come their calls."""
        known = self._tokens.get(digest, NOTHING)
        places = np.setdiff1d(np.concatenate(list(asked_of.values())), known.places)
        if not len(places):
            self._submit_calls(asked_of, known)
            return
        tokenizer = self._kernel.groups[next(iter(asked_of))].group.tokenizer
        texts = self._texts.distinct.take(pa.array(places))
        tokenising = Tokenising(tokenizer, texts, places)

        def tokenise(step: int) -> None:
            began = time.thread_time()
            tokenised = tokenising.run(step)
            self._add(Spent(tokenising=time.thread_time() - began))
            if tokenised is not None:
                tokens = self._tokens[digest] = known | tokenised
                self._submit_calls(asked_of, tokens)

        self._submit([partial(tokenise, step) for step in tokenising.steps])

    # The models.

    def _submit_calls(self, asked_of: dict[int, Ints], tokens: Tokenised) -> None:
        for number, asked in asked_of.items():
            its, answers = self._kernel.groups[number], self._answers[number]
            answers.fail({place: why for place, why in tokens.failures.items() if place in asked})
            answers.lengths[tokens.places] = its.group.template.lengths(tokens.ids, None)
            questions = answers.questions(tokens.ids, tokens.places, asked)
            batches = calls(its.group, its.batching, questions.lengths)
            cut = [self._call(number, questions.take(batch)) for batch in batches]
            urgencies = [(1, self._number, -call.questions.cells) for call in cut]
            self._steps.submit(its.workers, urgencies, its.gathering.runs(cut))

    def _call(self, number: int, questions: Questions) -> Call:
        """A call of a group; either of its ends is the end of a step."""

        def answered(reply: Reply) -> None:
            self._steps.run(partial(self._take, number, questions, reply))

        alone = partial(self._steps.run, partial(self._ask_alone, number, questions))
        return Call(questions, answered, alone)

    def _take(self, number: int, questions: Questions, reply: Reply) -> None:
        self._keep(number, self._answers[number].take(questions, reply))
        self._add(reply.spent)

    def _ask_alone(self, number: int, questions: Questions) -> None:
        began = time.thread_time()
        answered, spent = self._answers[number].ask(questions)
        spent += Spent(calls=1, models=time.thread_time() - began)
        if not isinstance(self._kernel.groups[number].group, Service):
            tokens = int(questions.lengths.sum())
            spent += Spent(tokens=tokens, padding=questions.cells - tokens)
        self._add(spent)
        self._keep(number, answered)

    def _keep(self, number: int, places: Ints) -> None:
        """Keep what a group says about some texts for other runs."""
        kept = self._kernel.groups[number].kept
        if kept is not None:
            kept.put(self._answers[number], self._shared.keys, places)

    # After the models.

    def _settle(self) -> None:
        """The own texts are answered: tell the other chunks, and wait for them."""
        self._tokens = {}
        self._shared.give()
        Steps(self._finish, self._fail).wait_for(self._shared.awaited)

    def _finish(self) -> bool:
        self._shared.take()
        self._answered.set_result(self._assemble())
        return False  # nothing follows

    def _fail(self, error: BaseException) -> None:
        self._shared.fail(error)
        if not self._answered.done():
            self._answered.set_exception(error)

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
