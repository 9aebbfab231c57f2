"""An ONNX text classifier: token ids to logits by onnxruntime."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.interface import Batching, Because, Group
from labelf_cli.classifiers.labels import model_of, require_labels
from labelf_cli.classifiers.probe import find_batching, probing
from labelf_cli.classifiers.providers import Providers
from labelf_cli.classifiers.text_graph import TextGraph
from labelf_cli.config import ModelConfig
from labelf_cli.errors import ModelError
from labelf_cli.graphs.pipeline import PROBABILITIES
from labelf_cli.predictions import Floats
from labelf_cli.tokens import Ints, TokenIds, Tokenizer


class OnnxClassifier(Group):
    """A sequence classifier as Optimum exports it: declared inputs in, ``logits`` out.

    Its models are those of the config that name the same graph; they differ in what becomes of
    the logits.

    Attributes:
        providers: what runs the graph.
    """

    def __init__(self, configs: Sequence[ModelConfig], tokenizers: dict[str, Tokenizer]) -> None:
        """Read everything but the graph.

        Args:
            configs: of the models, with the same graph, ``max_length``, windows and providers.
            tokenizers: those that are loaded already, by digest; an equal one is shared.

        Raises:
            ModelError: a file is missing or broken.
            ConfigError: the config asks for what the model does not have.
        """
        first = configs[0]
        self._folder = ModelFolder.find(first.path, first.file)
        self.providers = Providers.of(first)
        self._graph = TextGraph(
            self._folder, ("logits", PROBABILITIES), first.max_length, tokenizers, self.providers
        )
        self._pair = first.text_pair
        if self._pair is not None:
            self._graph.pair_with(self._pair)
        self.tokenizer, self.template = self._graph.tokenizer, self._graph.template
        self._first, self.max_length = first, self._graph.max_length
        self.stride = self.window_stride if first.on_long == "window" else None
        self.num_bytes = self._folder.num_bytes
        self.token_budget = first.token_budget or self._folder.tuning.token_budget
        self.models = tuple(model_of(self._folder, c, lambda: self._num_labels) for c in configs)

    @property
    def window_stride(self) -> int | None:
        """See ``Group.window_stride``."""
        return self._graph.stride(self._first, self.template)

    @property
    def is_cut(self) -> bool:
        """Whether its graph is cut to the first token (see ``TextGraph``)."""
        return self._graph.is_cut

    @property
    def explained(self) -> dict[str, Because[str]]:
        """See ``Group.explained``."""
        rule = "18 probe texts gave the same bits"
        cut = {"last layer": Because("for the first token alone", rule)} if self.is_cut else {}
        if self._pair is not None:
            cut["paired with"] = Because(self._pair, "text_pair in the config")
        return cut | self.providers.explained

    @property
    def digests(self) -> tuple[str, ...]:
        """See ``Group.digests``."""
        return (self._graph.digest,) * len(self.models)

    @cached_property
    def _num_labels(self) -> int:
        """Width of the logits, as declared or else as given for no token but the special ones."""
        width = next(iter(self._graph.session.declared[-1:]), None)
        if isinstance(width, int):
            return width
        with probing(self._folder.onnx):
            return int(self._answer(TokenIds.of([[0]]), np.zeros(1, np.int64)).shape[-1])

    def load(self) -> Because[Batching]:
        """Create the session, check its answer on a probe, and find out how texts may share it.

        A second call costs nothing.
        """
        return self._batching

    @cached_property
    def _batching(self) -> Because[Batching]:
        for model in self.models:
            require_labels(self._folder, model, self._num_labels)
        return find_batching(self)

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        """See ``Group.logits``."""
        return (self._answer(ids, rows),) * len(self.models)

    def stop(self) -> None:
        """See ``Group.stop``."""
        self._graph.stop.set()

    def _answer(self, ids: TokenIds, rows: Ints) -> Floats:
        logits = self._graph.session.run(self._graph.inputs(ids, rows))
        if logits.ndim != 2 or len(logits) != len(rows):
            shape = " × ".join(map(str, logits.shape))
            raise ModelError(
                f"answers {len(rows)} texts with {shape} numbers, not with logits",
                where=self._folder.onnx,
                todo="Export it for text classification",
            )
        return logits
