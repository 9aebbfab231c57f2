"""Classifiers that take the texts themselves: scikit-learn's pipelines by skl2onnx."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from labelf_cli.classifiers.digest import sha256
from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.graph_file import read_pipeline
from labelf_cli.classifiers.interface import Batching, Because, Group, Model
from labelf_cli.classifiers.labels import labels_of, require_labels
from labelf_cli.classifiers.probe import find_batching, probing
from labelf_cli.classifiers.providers import Providers
from labelf_cli.classifiers.session import Session, Stop
from labelf_cli.config import ModelConfig
from labelf_cli.errors import ConfigError, ModelError
from labelf_cli.model_keys import Activation
from labelf_cli.predictions import Floats
from labelf_cli.tokens import Characters, Ints, Template, TokenIds

_CHARACTERS = 1 << 16
"""In one call: such models are small, and a call costs more than most texts."""


class TextPipeline(Group):
    """A graph with one input of strings; it answers with probabilities.

    Its models differ in what becomes of these.
    """

    def __init__(self, configs: Sequence[ModelConfig]) -> None:
        """Read the graph, but let onnxruntime have it later.

        Args:
            configs: of the models, with the same graph and providers.

        Raises:
            ModelError: a file is broken, or nothing tells the labels.
            ConfigError: the config asks for what the model does not have.
        """
        first = configs[0]
        if first.text_pair is not None:
            raise ConfigError(
                "the model takes one text",
                where=f"model '{first.name}', text_pair",
                todo="Leave it out",
            )
        self._folder = ModelFolder.find(first.path, first.file)
        self._providers, self._stop = Providers.of(first), Stop()
        self._graph, self._pipeline = read_pipeline(self._folder.onnx)
        if not self._pipeline.output:
            raise ModelError(
                "the graph answers with no single tensor of probabilities",
                where=self._folder.onnx,
                todo='Convert it with the options {"zipmap": False}',
            )
        self.tokenizer = Characters()
        empty = np.array([], np.int32)
        self.template = Template(empty, empty)
        self.max_length = Because(None, "it takes the text itself")
        self.num_bytes = self._folder.num_bytes
        self.token_budget = first.token_budget or _CHARACTERS
        self.models = tuple(
            Model.of(config, self._labels(config), _activation(config)) for config in configs
        )

    def _labels(self, config: ModelConfig) -> Because[tuple[str, ...]]:
        labels = labels_of(self._folder, config.labels)
        if labels is None and not self._pipeline.labels:
            raise ModelError(
                "nothing tells its labels",
                where=self._folder.onnx,
                todo="Give labels in the config, in the order of the classes",
            )
        return labels or Because(self._pipeline.labels, "classes of the graph")

    @property
    def explained(self) -> dict[str, Because[str]]:
        """See ``Group.explained``."""
        its = Because("the text itself, no tokens", "its only input is of strings")
        return {"takes": its} | self._providers.explained

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """See ``Group.digests``."""
        decides = (self._folder.digest, self.tokenizer.digest, *self._providers.decides)
        return (sha256(decides),) * len(self.models)

    @cached_property
    def _session(self) -> Session:
        return Session(
            self._folder.onnx,
            self._folder.tuning,
            (self._pipeline.output,),
            self._graph,
            self._stop,
            providers=self._providers,
        )

    def load(self) -> Because[Batching]:
        """See ``Group.load``."""
        return self._batching

    @cached_property
    def _batching(self) -> Because[Batching]:
        with probing(self._folder.onnx):
            width = self._answer(TokenIds.of([[97]]), np.zeros(1, np.int64)).shape[-1]
        for model in self.models:
            require_labels(self._folder, model, width)
        return find_batching(self)

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        """See ``Group.logits``; what they are here are probabilities."""
        return (self._answer(ids, rows),) * len(self.models)

    def _answer(self, ids: TokenIds, rows: Ints) -> Floats:
        """One text a call of onnxruntime, at the price of some microseconds.

        Company moves bits of texts that have words of the model's, which no probe knows.
        """
        texts = Characters.decode(ids, rows)
        return np.concatenate([self._session.run_text(text) for text in texts])

    def stop(self) -> None:
        """See ``Group.stop``."""
        self._stop.set()


def _activation(config: ModelConfig) -> Because[Activation]:
    if config.activation is not None:
        return Because(config.activation, "activation in the config")
    return Because("none", "the graph gives probabilities")
