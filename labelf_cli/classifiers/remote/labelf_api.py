"""Models behind a multi-model inference API, the one that ``labelf serve`` speaks."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from labelf_cli.classifiers.digest import sha256
from labelf_cli.classifiers.interface import Because, Model, Reply, Service
from labelf_cli.classifiers.remote.budget import Meter
from labelf_cli.classifiers.remote.client import Client
from labelf_cli.classifiers.remote.exchange import BadReplyError, CallError, Request
from labelf_cli.classifiers.remote.labelf_api_wire import (
    PATH,
    Scored,
    Setting,
    WrongResultsError,
    body_of,
    read_results,
)
from labelf_cli.config import LabelfApiConfig
from labelf_cli.errors import ConfigError
from labelf_cli.spent import Spent
from labelf_cli.tokens import Ints, TokenIds

TEXTS_PER_REQUEST = 8
"""The most that the API takes."""


class LabelfApi(Service):
    """Models of one service; all of them answer in one request."""

    def __init__(self, configs: Sequence[LabelfApiConfig], client: Client) -> None:
        """Settle what each model is asked; one that does not name its labels is asked for them.

        Args:
            configs: of the models, with the same service and ``max_length``.
            client: of that service.

        Raises:
            ConfigError: the service does not tell the labels of a model.
            ServiceError: it can't be asked for them.
        """
        self._client = client
        self.concurrency = min(config.concurrency for config in configs)
        self.texts_per_call = TEXTS_PER_REQUEST
        limit = configs[0].max_length
        self.max_length = Because(limit, "in characters" if limit else "the service reads it")
        self._settings = tuple(map(_setting, configs))
        self.models = tuple(
            Model.of(config, self._labels(config), Because("none", "the service gives scores"))
            for config in configs
        )

    def _labels(self, config: LabelfApiConfig) -> Because[tuple[str, ...]]:
        if config.labels is not None:
            return Because(config.labels, "labels in the config")
        if config.label_filter is not None:
            return Because(config.label_filter, "label_filter in the config")
        request = Request("GET", f"/models/{config.model_id}")
        where, todo = f"model '{config.name}'", "Name them with labels in the config"
        try:
            labels = self._client.ask(request, _told_labels, self._client.meter())
        except CallError as error:
            raise ConfigError(
                f"the service does not tell its labels ({error.reason})", where=where, todo=todo
            ) from None
        return Because(labels, "the service says so")

    @property
    def explained(self) -> dict[str, Because[str]]:
        """See ``Group.explained``."""
        url = self._client.endpoint.base_url
        return {"asks": Because(url, f"{self.concurrency} requests at once")}

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """See ``Group.digests``."""
        url, limit = self._client.endpoint.base_url, self.max_length.value
        return tuple(
            sha256(("labelf-api", url, setting, model.labels.value, limit))
            for setting, model in zip(self._settings, self.models, strict=True)
        )

    def ask(self, ids: TokenIds, rows: Ints) -> Reply:
        """See ``Service.ask``."""
        meter = self._client.meter()
        scored = self._ask(self.texts(ids, rows), meter)
        return Reply(
            tuple(its.scores for its in scored),
            tuple(its.failures for its in scored),
            Spent(requests=meter.requests),
        )

    def _ask(self, texts: Sequence[str], meter: Meter) -> tuple[Scored, ...]:
        """Let all models answer; by halves where fewer texts may fare better."""
        request = Request("POST", PATH, body_of(self._settings, texts), texts)
        try:
            return self._client.ask(request, lambda body: self._read(body, len(texts)), meter)
        except CallError as error:
            if not error.depends_on_texts or len(texts) == 1:
                return tuple(self._failed(model, len(texts), error.reason) for model in self.models)
        half = len(texts) // 2
        parts = self._ask(texts[:half], meter), self._ask(texts[half:], meter)
        return tuple(_joined(*its) for its in zip(*parts, strict=True))

    def _read(self, body: object, texts: int) -> tuple[Scored, ...]:
        labels = [model.labels.value for model in self.models]
        try:
            return read_results(body, self._settings, labels, texts)
        except WrongResultsError as error:
            raise BadReplyError(str(error)) from None

    @staticmethod
    def _failed(model: Model, texts: int, reason: str) -> Scored:
        scores = np.full((texts, len(model.labels.value)), np.nan, np.float32)
        return Scored(scores, dict.fromkeys(range(texts), reason))

    def stop(self) -> None:
        """See ``Group.stop``."""
        self._client.stop()


def _setting(config: LabelfApiConfig) -> Setting:
    """What is sent for a model.

    The cap is only sent where it comes last: of labels with thresholds of their own, one that is
    over it may rank below one that is not; and a filter may mean other labels to the service.
    """
    assert config.model_id is not None
    reads_all = {"window": True, "truncate": False}.get(config.on_long)
    caps = not config.thresholds and not config.label_filter
    return Setting(
        config.model_id,
        config.label_filter,
        config.max_predictions if caps else None,
        reads_all if "on_long" in config.model_fields_set else None,
    )


def _told_labels(body: object) -> tuple[str, ...]:
    """The labels in what a service tells of a model."""
    labels = body.get("labels") if isinstance(body, dict) else None
    if not isinstance(labels, list) or not labels:
        raise BadReplyError("it names no labels")
    if not all(isinstance(label, str) for label in labels) or len(set(labels)) < len(labels):
        raise BadReplyError("its labels are no list of distinct names")
    return tuple(labels)


def _joined(first: Scored, second: Scored) -> Scored:
    shifted = {at + len(first.scores): why for at, why in second.failures.items()}
    return Scored(np.concatenate([first.scores, second.scores]), {**first.failures, **shifted})
