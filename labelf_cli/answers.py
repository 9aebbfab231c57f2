"""What one group of models says about the distinct texts of a chunk, while it is filled in."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from labelf_cli.classifiers.digest import sha256
from labelf_cli.classifiers.interface import Group, Model, Reply, Service
from labelf_cli.errors import ServiceError
from labelf_cli.memo import Arrays
from labelf_cli.model_keys import Pooling
from labelf_cli.predictions import Floats, Status, Statuses, activate
from labelf_cli.sequences import windows
from labelf_cli.spent import Spent
from labelf_cli.tokens import Ints, TokenIds


@dataclass(frozen=True)
class Questions:
    """Texts, or windows of texts, that a group is asked about.

    Attributes:
        ids: token ids of texts or windows.
        rows: which of them, [n] int64.
        lengths: of their sequences, special tokens included, [n] int64.
        places: of their texts among those of the chunk, [n] int64.
        into: takes the logits of each model, [any × labels] float32.
        at: in which rows, [n] int64.
    """

    ids: TokenIds
    rows: Ints
    lengths: Ints
    places: Ints
    into: tuple[Floats, ...]
    at: Ints

    def take(self, chosen: Ints) -> "Questions":
        """Some of them, by their positions."""
        return replace(
            self,
            rows=self.rows[chosen],
            lengths=self.lengths[chosen],
            places=self.places[chosen],
            at=self.at[chosen],
        )

    @property
    def cells(self) -> int:
        """Tokens and padding, if they share a call."""
        return int(self.lengths.max()) * len(self.lengths)


@dataclass(frozen=True)
class _Windows:
    """Texts that are asked about by windows.

    Attributes:
        places: of the texts, [n] int64.
        counts: of their windows, [n] int64.
        logits: of the windows, text after text, one array per model.
    """

    places: Ints
    counts: Ints
    logits: tuple[Floats, ...]


class GroupAnswers:
    """Logits and lengths of texts by one group.

    Attributes:
        group: who answers.
        lengths: of each text in tokens, special ones included and nothing cut, [texts + 1] int64.
        logits: one array per model, [texts + 1 × labels] float32; the last row, NaN like all that
            is not answered, is the answer to no text. Where windows are pooled, which is done
            after the activation, they are scores.
    """

    def __init__(self, group: Group, texts: int) -> None:
        """Make room for so many texts."""
        self.group = group
        self.lengths = np.zeros(texts + 1, np.int64)
        self.logits = self._room(texts + 1)
        self._windows: list[_Windows] = []
        self._broken: list[dict[int, str]] = [{} for _ in group.models]

    def _room(self, rows: int) -> tuple[Floats, ...]:
        return tuple(
            np.full((rows, len(model.labels.value)), np.nan, np.float32)
            for model in self.group.models
        )

    @property
    def arrays(self) -> Arrays:
        """All that a memo keeps of a text."""
        return (self.lengths, *self.logits)

    @property
    def is_long(self) -> npt.NDArray[np.bool_]:
        """Which texts exceed the maximum length, [texts + 1]."""
        limit = self.group.max_length.value
        return np.zeros(len(self.lengths), bool) if limit is None else self.lengths > limit

    def questions(self, ids: TokenIds, places: Ints, asked: Ints) -> Questions:
        """What to ask about some texts.

        Args:
            ids: token ids of texts.
            places: their places among the texts of the chunk, in order, [texts] int64.
            asked: those that are asked about, as far as they can be, [n] int64.
        """
        asked = self._to_ask(asked)
        rows, template = np.searchsorted(places, asked), self.group.template
        limit, stride = self.group.max_length.value, self.group.stride
        if stride is None or limit is None:
            lengths = template.lengths(ids, limit)[rows]
            return Questions(ids, rows, lengths, asked, self.logits, asked)
        parts, counts = windows(ids, rows, limit - template.num_special, stride)
        if all(model.pooling == "first" for model in self.group.models):
            firsts = np.cumsum(counts) - counts
            parts = TokenIds(parts.flat, parts.starts[firsts], parts.lengths[firsts])
            counts = np.ones_like(counts)
        numbers = np.arange(len(parts.lengths))
        its = _Windows(asked, counts, self._room(len(numbers)))
        self._windows.append(its)
        lengths = template.lengths(parts, None)
        return Questions(parts, numbers, lengths, asked.repeat(counts), its.logits, numbers)

    def _to_ask(self, places: Ints) -> Ints:
        """Those of some texts whose lengths are known that are asked at all."""
        places = places[~self.broke(places)]
        if all(model.on_long == "error" for model in self.group.models):
            return places[~self.is_long[places]]
        return places

    def fail(self, failures: dict[int, str]) -> None:
        """Let texts fail that can't be asked, for these reasons."""
        for broken in self._broken:
            broken.update(failures)

    def ask(self, questions: Questions) -> tuple[Ints, Spent]:
        """Answer some questions in one call; where it fails, one by one, to spare the others.

        Returns:
            The places of the texts that are answered by it, [n or fewer] int64, none where their
            windows are to be pooled; and what it cost beside time.
        """
        places = questions.places
        try:
            reply = self.group.ask(questions.ids, questions.rows)
        except ServiceError:
            raise
        except Exception as error:  # onnxruntime's errors have no common base but this
            if len(places) > 1 and not isinstance(self.group, Service):
                alone = np.arange(len(places))[:, None]
                return _joined([self.ask(questions.take(one)) for one in alone])
            reason = " ".join(str(error).split())
            self.fail(dict.fromkeys(places.tolist(), reason))
            return places[:0], Spent()
        return self.take(questions, reply), reply.spent

    def take(self, questions: Questions, reply: Reply) -> Ints:
        """Fill in what is said; an answer that is there already, from a cache, stays.

        Returns:
            The places of the texts that are answered by it; see ``ask``.
        """
        failures = reply.failures or ({},) * len(reply.logits)
        for into, logits, broken, why in zip(
            questions.into, reply.logits, self._broken, failures, strict=True
        ):
            is_open = np.asarray(np.isnan(into[questions.at]).all(axis=1))
            into[questions.at[is_open]] = logits[is_open]
            broken.update((int(questions.places[at]), why[at]) for at in why if is_open[at])
        return questions.places if self.group.stride is None else questions.places[:0]

    def pool(self) -> Ints:
        """Let the scores of a text be those of its windows, pooled, for all that were asked.

        Returns:
            The places of the texts that are answered by it, [n] int64.
        """
        done = [np.empty(0, np.int64)]
        while self._windows:
            its = self._windows.pop()
            for model, kept, logits in zip(self.group.models, self.logits, its.logits, strict=True):
                scores = activate(logits, model.activation.value, model.temperature)
                kept[its.places] = _POOLS[model.pooling](scores, its.counts)
            done.append(its.places[~self.broke(its.places)])
        return np.concatenate(done)

    def borrow(self, other: "GroupAnswers", here: Ints, there: Ints) -> None:
        """Take over what was found out about the same texts elsewhere."""
        for mine, its in zip(self.arrays, other.arrays, strict=True):
            mine[here] = its[there]
        for mine_broken, its_broken in zip(self._broken, other._broken, strict=True):
            for mine_at, its_at in zip(here.tolist(), there.tolist(), strict=True):
                if its_at in its_broken:
                    mine_broken[mine_at] = its_broken[its_at]

    def broke(self, places: Ints) -> npt.NDArray[np.bool_]:
        """For which of some texts a member has no answer, [places]."""
        return np.isin(places, [place for broken in self._broken for place in broken])

    def given(self, number: int, places: Ints) -> Ints:
        """Those of some texts to which one member has an answer."""
        return places[~np.isin(places, list(self._broken[number]))]

    def of_model(self, number: int) -> tuple[Floats, Statuses, dict[int, str]]:
        """Scores and statuses of the texts by one member, and why the failed ones failed."""
        model, scores = self.group.models[number], self.logits[number].copy()
        if self.group.stride is None:
            scores = activate(scores, model.activation.value, model.temperature)
        status = np.zeros(len(scores), np.uint8)
        status[self.is_long] = _status_of_long(model)
        failures = dict(self._broken[number])
        limit = self.group.max_length.value
        for place in np.flatnonzero(status == Status.FAILED).tolist():
            failures[place] = f"{self.lengths[place]} tokens, more than max_length {limit}"
        is_answer = np.isfinite(scores[:-1])
        if isinstance(self.group, Service):
            is_answer |= scores[:-1] == -np.inf
        for place in np.flatnonzero(~is_answer.all(axis=1)).tolist():
            failures.setdefault(place, "the model's answer is not a number")
        failed = list(failures)
        scores[failed], status[failed] = np.nan, Status.FAILED
        return scores, status, failures


def _joined(parts: list[tuple[Ints, Spent]]) -> tuple[Ints, Spent]:
    return np.concatenate([places for places, _ in parts]), sum((s for _, s in parts), Spent())


def answer_digests(group: Group) -> tuple[str, ...]:
    """For each model of a group, a hash over everything that decides ``GroupAnswers.logits``."""
    if group.stride is None:
        return group.digests
    return tuple(
        sha256((digest, group.stride, model.activation.value, model.temperature, model.pooling))
        for digest, model in zip(group.digests, group.models, strict=True)
    )


def _status_of_long(model: Model) -> Status:
    if model.on_long == "error":
        return Status.FAILED
    is_read = model.on_long == "window" and model.pooling != "first"
    return Status.OK if is_read else Status.TRUNCATED


def _mean(scores: Floats, counts: Ints) -> Floats:
    # In float64, so that the order of summation moves nothing that float32 shows.
    sums = np.add.reduceat(scores.astype(np.float64), np.cumsum(counts) - counts, axis=0)
    return np.asarray(sums / counts[:, None], np.float32)


def _max(scores: Floats, counts: Ints) -> Floats:
    return np.asarray(np.maximum.reduceat(scores, np.cumsum(counts) - counts, axis=0), np.float32)


def _first(scores: Floats, counts: Ints) -> Floats:
    return np.asarray(scores[np.cumsum(counts) - counts], np.float32)


_POOLS: dict[Pooling, Callable[[Floats, Ints], Floats]] = {
    "mean": _mean,
    "max": _max,
    "first": _first,
}
"""Scores of windows, text after text, [windows × labels], and the windows of each text, [texts] →
scores of the texts, [texts × labels] float32.
"""
