"""What the kernel knows of its classifiers, however they answer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Generic, NamedTuple, Self, TypeVar

import numpy as np

from labelf_cli.config import AnyModel, ModelConfig
from labelf_cli.errors import ConfigError, ModelError
from labelf_cli.model_keys import Activation, OnLong, Pooling
from labelf_cli.predictions import Floats, Rules, rules
from labelf_cli.spent import Spent
from labelf_cli.tokens import Characters, Ints, Template, TokenIds, Tokenizer

T = TypeVar("T")


class Stopped(BaseException):
    """A call was ended by ``Group.stop``, or came after it.

    No ``Exception``: nothing went wrong with its texts, so nothing that catches failures may take
    it for one.
    """


class Batching(Enum):
    """How the texts of a model may share a call without a bit of their scores moving."""

    PADDED = "padded batches"
    EQUAL_LENGTH = "equal-length batches"
    ONE_TEXT = "one text a call"
    COUNTED = "so many texts a request"


class Because(NamedTuple, Generic[T]):
    """Something that labelf settled about a model, and the rule that settled it."""

    value: T
    rule: str


@dataclass(frozen=True)
class Model:
    """One model as labelf understood it.

    Attributes:
        name: prefix of its columns.
        id: the model_id of the HTTP API.
        labels: in the order of the logits.
        activation: from logits to scores.
        rules: what becomes of its scores.
        temperature: logits are divided by it before the activation.
        on_long: what becomes of a text over the maximum length.
        pooling: how the scores of its windows become its score.
        only_where: other models, by name, and the labels of theirs for which it is asked at all.
    """

    name: str
    id: int | None
    labels: Because[tuple[str, ...]]
    activation: Because[Activation]
    rules: Rules
    temperature: float = 1.0
    on_long: OnLong = "truncate"
    pooling: Pooling = "mean"
    only_where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        config: AnyModel,
        labels: Because[tuple[str, ...]],
        activation: Because[Activation],
    ) -> Self:
        """What the config makes of a model whose labels and activation are settled.

        Raises:
            ConfigError: it names a label that the model does not have, or a temperature that would
                do nothing.
        """
        multi_label, pooling = config.multi_label, cls.pooling
        if isinstance(config, ModelConfig):
            multi_label = activation.value == "sigmoid" and len(labels.value) > 1
            pooling = config.pooling
        return cls(
            name=config.name,
            id=config.id,
            labels=labels,
            activation=activation,
            temperature=_temperature(config, activation.value),
            rules=rules(config, labels.value, multi_label=multi_label),
            on_long=config.on_long,
            pooling=pooling,
            only_where=config.only_where,
        )


def _temperature(config: AnyModel, activation: Activation) -> float:
    if not isinstance(config, ModelConfig):
        return 1.0
    temperature = config.calibration_temperature
    if activation == "none" and temperature != 1:
        raise ConfigError(
            "logits are divided by it before softmax or sigmoid, and this model has neither",
            where=f"model '{config.name}', calibration_temperature",
            todo="Leave it out, or name an activation",
        )
    return temperature


@dataclass(frozen=True)
class Reply:
    """What a group says about some texts.

    Attributes:
        logits: one array per model, [n × labels] float32.
        failures: for each model why it has no answer to some of the texts, by their positions;
            none at all where every model has one to each.
        spent: what it cost beside time.
    """

    logits: tuple[Floats, ...]
    failures: tuple[Mapping[int, str], ...] = ()
    spent: Spent = field(default_factory=Spent)


class Group(ABC):
    """Models that answer together: token ids go in, one logits array per model comes out.

    Attributes:
        models: the members, in the order of ``logits``.
        tokenizer: shared by all members.
        template: special tokens and padding.
        max_length: longest sequence, special tokens included; None for no limit.
        num_bytes: size of the files behind it.
        token_budget: tokens in one call, padding included.
        stride: tokens that a window shares with the one before it; None for texts that are cut.
    """

    models: tuple[Model, ...]
    tokenizer: Tokenizer
    template: Template
    max_length: Because[int | None]
    num_bytes: int
    token_budget: int
    stride: int | None = None

    @property
    def window_stride(self) -> int | None:
        """Tokens that windows share where texts are answered by windows; None where none is long.

        Raises:
            ConfigError: a window has no more tokens than it shares.
        """
        return None

    def reading(self, on_long: OnLong) -> Self:
        """The same models over the same graphs, with another end for texts over ``max_length``.

        It answers once ``load`` of either has been called.

        Raises:
            ConfigError: a window has no more tokens than it shares.
        """
        other = copy(self)
        other.models = tuple(replace(model, on_long=on_long) for model in self.models)
        other.stride = self.window_stride if on_long == "window" else None
        return other

    @property
    @abstractmethod
    def digests(self) -> tuple[str, ...]:
        """For each model, a hash over everything that decides its logits."""

    @property
    def explained(self) -> dict[str, Because[str]]:
        """What else a person would want to know of how it answers, each with its rule."""
        return {}

    @abstractmethod
    def load(self) -> Because[Batching]:
        """Load what answers, and find out how texts may share a call.

        Raises:
            ModelError: it can't be loaded, or does not answer as its files say.
        """

    @abstractmethod
    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        """Logits of some texts, in one call.

        Args:
            ids: token ids of all texts.
            rows: which texts, [n] int64.

        Returns:
            One array per model, [n × labels] float32.

        Raises:
            Stopped: it was stopped.
        """

    @abstractmethod
    def stop(self) -> None:
        """End the calls that run, as soon as can be, and refuse all that come, for ever."""

    def ask(self, ids: TokenIds, rows: Ints) -> Reply:
        """Let all models answer some texts, in one call; see ``logits``.

        Raises:
            ModelError: the logits are not one for each label of each text.
            ServiceError: it is of no use to go on asking.
            Stopped: it was stopped.
        """
        answers = self.logits(ids, rows)
        for model, logits in zip(self.models, answers, strict=True):
            asked = (len(rows), len(model.labels.value))
            if logits.shape != asked:
                given, wanted = (" × ".join(map(str, shape)) for shape in (logits.shape, asked))
                raise ModelError(
                    f"answers {len(rows)} texts with {given} numbers, not {wanted}",
                    where=f"model '{model.name}'",
                    todo="Export it for text classification",
                )
        return Reply(answers)


class Service(Group):
    """A group that waits for a service instead of computing.

    Its logits rank the labels that the service gave; those of the others are negative infinity.
    What fails is told by the reply, since an answer is never asked for twice.

    Attributes:
        concurrency: requests at once.
        texts_per_call: most texts in one of them.
    """

    concurrency: int
    texts_per_call: int
    tokenizer: Tokenizer = Characters()
    template = Template(np.array([], np.int32), np.array([], np.int32))
    num_bytes = 0
    token_budget = 0

    def load(self) -> Because[Batching]:
        """See ``Group.load``."""
        return Because(Batching.COUNTED, f"at most {self.texts_per_call}")

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        """See ``Group.logits``."""
        return self.ask(ids, rows).logits

    def texts(self, ids: TokenIds, rows: Ints) -> list[str]:
        """Some texts again, cut to ``max_length`` characters."""
        limit = self.max_length.value
        lengths = ids.lengths if limit is None else np.minimum(ids.lengths, limit)
        return Characters.decode(TokenIds(ids.flat, ids.starts, lengths), rows)

    @abstractmethod
    def ask(self, ids: TokenIds, rows: Ints) -> Reply:
        """Let the service answer some texts.

        Raises:
            ServiceError: it is of no use to go on asking.
            Stopped: it was stopped.
        """
