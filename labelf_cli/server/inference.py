"""From a request to predictions: the kernel is asked, and its scores are ranked."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.interface import Group, Model
from labelf_cli.config import Config, ModelConfig
from labelf_cli.errors import ConfigError, did_you_mean
from labelf_cli.labeller import Labeller
from labelf_cli.memo import MEMO_BYTES
from labelf_cli.model_keys import OnLong
from labelf_cli.predictions import NO_LABEL, Accepted, Answers, Floats, Rules, Status, accept, rules
from labelf_cli.server.admission import Admission
from labelf_cli.server.messages import Asked, ModelInfo
from labelf_cli.server.problems import Code, RequestError
from labelf_cli.server.settings import Limits

_SELECTIONS = 16
"""Selections of models and readings whose latest answers are remembered."""

_SHOWN = 5
"""Texts that failed which a reply tells of."""

_READINGS: dict[bool | None, OnLong | None] = {None: None, True: "window", False: "truncate"}

Predictions = list[dict[str, Any]]
"""Labels and scores of one text, best first."""


@dataclass(frozen=True)
class Question:
    """What a request asks of one model.

    Attributes:
        model: its name.
        rules: what is accepted of its scores.
        on_long: what becomes of long texts; None: what the config says.
    """

    model: str
    rules: Rules
    on_long: OnLong | None


@dataclass(frozen=True)
class ServedModel:
    """A model that requests may name.

    Attributes:
        info: what is told of it.
        config: its entry.
    """

    info: ModelInfo
    config: ModelConfig

    @classmethod
    def of(cls, config: ModelConfig, model: Model, group: Group) -> "ServedModel":
        """What the config and the files say of it."""
        assert config.id is not None
        info = ModelInfo(
            id=config.id,
            name=config.display_name or config.name,
            labels=list(model.labels.value),
            multi_label=model.rules.multi_label,
            max_length=group.max_length.value,
            on_long=model.on_long,
        )
        return cls(info, config)

    def question(self, asked: Asked) -> Question:
        """What is asked of it: the request's cap and filter, and only thresholds that were set.

        Raises:
            RequestError: the filter names a label that it does not have.
        """
        labels = self.info.labels
        for label in asked.label_filter or ():
            if label not in labels:
                raise RequestError(
                    Code.INVALID_REQUEST,
                    f"label_filter: model {self.info.id} has no label '{label[:80]}'. "
                    f"{did_you_mean(label, labels)}",
                )
        most = asked.max_predictions and min(asked.max_predictions, len(labels))
        its = {"max_predictions": most, "label_filter": asked.label_filter}
        # The default threshold of multi-label models is one of tables.
        accepted = rules(self.config.model_copy(update=its), labels, multi_label=False)
        return Question(self.config.name, accepted, _READINGS[asked.read_full_text])


def require_servable(config: Config) -> None:
    """Refuse models that no request could name, and those that others serve.

    Raises:
        ConfigError: it names them.
    """
    elsewhere = [f"'{m.name}'" for m in config.models if not isinstance(m, ModelConfig)]
    if elsewhere:
        raise ConfigError(
            f"a service answers for {', '.join(elsewhere)}",
            todo="Serve what runs here: name it with --model",
        )
    nameless = ", ".join(f"'{model.name}'" for model in config.models if model.id is None)
    if nameless:
        raise ConfigError(
            f"a request names models by id, and there is none for {nameless}",
            todo="Give each model an id, as in id = 42, or leave it out with --model",
        )


def without_conditions(config: Config) -> Config:
    """The same models, each of which is asked about every text."""
    models = (model.model_copy(update={"only_where": {}}) for model in config.models)
    return config.model_copy(update={"models": tuple(models)})


class Inference:
    """Asks the kernel.

    Attributes:
        models: by their ids, in the order of the config.
        admission: what waits for an answer.
    """

    def __init__(self, labeller: Labeller, config: Config, limits: Limits) -> None:
        """Take a labeller that is loaded, of a config in which every model has an id.

        Raises:
            ConfigError: windows share more tokens than they have.
        """
        group_of = {model.name: group for group in labeller.groups for model in group.models}
        model_of = {model.name: model for model in labeller.models}
        served = [
            ServedModel.of(c, model_of[c.name], group_of[c.name]) for c in config.local_models
        ]
        self.models: Mapping[int, ServedModel] = {model.info.id: model for model in served}
        self.admission = Admission(limits.waiting)
        self._seconds = limits.answer_seconds
        memo_bytes = MEMO_BYTES // _SELECTIONS

        @lru_cache(_SELECTIONS)
        def part(names: tuple[str, ...], on_long: OnLong | None) -> Labeller:
            return labeller.part(names, on_long, memo_bytes)

        self._part = part
        for on_long in _READINGS.values():  # whatever can't be read so is refused now
            part(tuple(sorted(model_of)), on_long)

    async def answer(
        self, texts: Sequence[str], questions: Sequence[Question]
    ) -> list[list[Predictions]]:
        """For each question the predictions of each text.

        Raises:
            RequestError: too many texts wait already, a text fails, or it takes too long. What has
                been begun is finished all the same, and remembered: who asks again has it sooner.
        """
        readings = {
            on_long: tuple(sorted({q.model for q in questions if q.on_long == on_long}))
            for on_long in dict.fromkeys(question.on_long for question in questions)
        }
        answers = await self._ask(texts, readings)
        return [_ranked(q, answers[q.on_long], readings[q.on_long]) for q in questions]

    async def _ask(
        self, texts: Sequence[str], readings: Mapping[OnLong | None, tuple[str, ...]]
    ) -> dict[OnLong | None, Answers]:
        leave = self.admission.enter(len(texts))
        chunk = Chunk(0, 0, pa.record_batch({TEXT: pa.array(texts, pa.string())}))
        parts = [self._part(names, on_long) for on_long, names in readings.items()]
        work = asyncio.gather(*(_in_loop(part.submit(chunk)) for part in parts))
        work.add_done_callback(lambda _: leave())
        try:
            async with asyncio.timeout(self._seconds):
                answers = await asyncio.shield(work)
        except TimeoutError:
            raise RequestError(
                Code.TIMEOUT,
                f"there was no answer in {self._seconds:g} s. Send fewer or shorter texts",
            ) from None
        return dict(zip(readings, answers, strict=True))


def _in_loop(future: "Future[Answers]") -> "asyncio.Future[Answers]":
    return asyncio.wrap_future(future)


def _ranked(question: Question, answers: Answers, names: Sequence[str]) -> list[Predictions]:
    """What one model says of each text."""
    scores = answers.scores[names.index(question.model)]
    _require_scores(scores, answers)
    return predictions(accept(scores, question.rules), question.rules.labels)


def _require_scores(scores: Floats, answers: Answers) -> None:
    """Refuse to answer for texts without a score, blank ones aside.

    Raises:
        RequestError: it names text, model and reason.
    """
    failed = np.isnan(scores).any(axis=1) & (answers.status != Status.EMPTY)
    rows = np.flatnonzero(failed).tolist()
    if rows:
        told = "; ".join(f"texts[{row}]: {answers.errors[row].as_py()}" for row in rows[:_SHOWN])
        more = f"; and {len(rows) - _SHOWN} more texts" if len(rows) > _SHOWN else ""
        raise RequestError(Code.INVALID_REQUEST, f"can't be classified: {told}{more}")


def predictions(accepted: Accepted, labels: Sequence[str]) -> list[Predictions]:
    """Predictions as they stand in a reply.

    A score is the shortest decimal that no other float32 is nearer to, as in the tables: read as a
    float32 it is the same number, to the bit.
    """
    scores = accepted.scores.astype("U").astype(np.float64).tolist()
    return [
        [
            {"label": labels[label], "score": None if math.isnan(score) else score}
            for label, score in zip(its_labels, its_scores, strict=True)
            if label != NO_LABEL
        ]
        for its_labels, its_scores in zip(accepted.labels.tolist(), scores, strict=True)
    ]
