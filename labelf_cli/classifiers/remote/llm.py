"""Questions that a language model behind an OpenAI-compatible endpoint answers."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from labelf_cli.classifiers.digest import sha256
from labelf_cli.classifiers.interface import Because, Model, Reply, Service
from labelf_cli.classifiers.remote.budget import Meter
from labelf_cli.classifiers.remote.client import Client
from labelf_cli.classifiers.remote.exchange import BadReplyError, CallError, Request
from labelf_cli.classifiers.remote.llm_reply import ChatReply, Given, NoCompletionError, read_reply
from labelf_cli.classifiers.remote.llm_request import (
    ChatSettings,
    Dimension,
    keys_of,
    system_prompt,
)
from labelf_cli.config import LlmConfig
from labelf_cli.predictions import Floats
from labelf_cli.spent import Spent
from labelf_cli.tokens import Ints, TokenIds

PATH = "/chat/completions"


class LanguageModel(Service):
    """Dimensions that one request per text asks for."""

    def __init__(self, configs: Sequence[LlmConfig], client: Client) -> None:
        """Make the prompt.

        Args:
            configs: of the dimensions, with the same service and ``chat_settings``.
            client: of that service.
        """
        self._client = client
        self._settings = chat_settings(configs[0])
        keys = keys_of([config.name for config in configs])
        self._dimensions = tuple(map(_dimension, configs, keys))
        self.concurrency = min(config.concurrency for config in configs)
        self.texts_per_call = 1
        limit = configs[0].max_length
        self.max_length = Because(limit, "in characters" if limit else "nothing in the config")
        self.models = tuple(map(_model, configs))

    @property
    def explained(self) -> dict[str, Because[str]]:
        """See ``Group.explained``."""
        its, url = self._settings, self._client.endpoint.base_url
        scores = "their probabilities" if its.log_probabilities else "none"
        return {
            "asks": Because(f"{its.model} at {url}", f"{self.concurrency} requests at once"),
            "scores": Because(scores, "log_probabilities"),
        }

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """See ``Group.digests``: by each dimension's own part of what is said and sent.

        The others that share its request do not count, so that one more costs no answer that is
        known.
        """
        url, limit = self._client.endpoint.base_url, self.max_length.value
        return tuple(
            sha256(("llm", url, self._settings, system_prompt([its], {}), its.labels, limit))
            for its in self._dimensions
        )

    def ask(self, ids: TokenIds, rows: Ints) -> Reply:
        """See ``Service.ask``."""
        meter = self._client.meter()
        replies = [self._answer(text, meter) for text in self.texts(ids, rows)]
        return Reply(
            tuple(map(_logits, self.models, self._dimensions, [replies] * len(self.models))),
            tuple(_failures(its, replies) for its in self._dimensions),
            Spent(
                requests=meter.requests,
                prompt_tokens=meter.prompt_tokens,
                completion_tokens=meter.completion_tokens,
            ),
        )

    def _answer(self, text: str, meter: Meter) -> ChatReply:
        """All dimensions of a text; those that are answered wrongly are asked for once more."""
        try:
            first = self._complete(text, self._dimensions, {}, meter)
        except CallError as error:
            return ChatReply({}, {its.key: error.reason for its in self._dimensions})
        if not first.wrong:
            return first
        wrong = tuple(its for its in self._dimensions if its.key in first.wrong)
        try:
            second = self._complete(text, wrong, first.wrong, meter)
        except CallError as error:
            return ChatReply(first.given, {its.key: error.reason for its in wrong})
        return ChatReply({**first.given, **second.given}, second.wrong)

    def _complete(
        self, text: str, dimensions: Sequence[Dimension], wrong: Mapping[str, str], meter: Meter
    ) -> ChatReply:
        def read(body: object) -> ChatReply:
            try:
                return read_reply(
                    body, dimensions, log_probabilities=self._settings.log_probabilities
                )
            except NoCompletionError as error:
                raise BadReplyError(str(error)) from None

        body = self._settings.body(dimensions, text, wrong)
        reply = self._client.ask(Request("POST", PATH, body, (text,)), read, meter)
        meter.prompt_tokens += reply.prompt_tokens
        meter.completion_tokens += reply.completion_tokens
        return reply

    def stop(self) -> None:
        """See ``Group.stop``."""
        self._client.stop()


def chat_settings(config: LlmConfig) -> ChatSettings:
    """What dimensions have in common that share a request."""
    assert config.model is not None
    return ChatSettings(
        config.model, config.text_prefix, config.response_format, config.log_probabilities
    )


def _labels(config: LlmConfig) -> tuple[str, ...]:
    """Those that may be given."""
    assert config.labels is not None
    return tuple(
        label
        for label in config.labels
        if config.label_filter is None or label in config.label_filter
    )


def _dimension(config: LlmConfig, key: str) -> Dimension:
    return Dimension(
        key, _labels(config), config.none_label, config.multi_label, config.instructions or ""
    )


def _model(config: LlmConfig) -> Model:
    assert config.labels is not None
    how = "by the probabilities of their tokens" if config.log_probabilities else "by their order"
    labels = Because(config.labels, "labels in the config")
    return Model.of(config, labels, Because("none", f"the reply ranks its labels {how}"))


def _logits(model: Model, dimension: Dimension, replies: Sequence[ChatReply]) -> Floats:
    """What ranks the labels that were given: a probability, or how many come before."""
    places = {label: place for place, label in enumerate(model.labels.value)}
    logits = np.full((len(replies), len(places)), -np.inf, np.float32)
    for row, reply in enumerate(replies):
        given = reply.given.get(dimension.key, Given(()))
        for rank, label in enumerate(given.labels):
            value = given.probabilities[rank] if given.probabilities else -rank
            logits[row, places[label]] = value
    return logits


def _failures(dimension: Dimension, replies: Sequence[ChatReply]) -> dict[int, str]:
    return {
        row: reply.wrong[dimension.key]
        for row, reply in enumerate(replies)
        if dimension.key in reply.wrong
    }
