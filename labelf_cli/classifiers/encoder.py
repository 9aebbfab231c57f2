"""Heads over one frozen encoder: token ids to an embedding, once, and from it to logits per head.

An encoder is an ordinary feature-extraction export, or a folder of sentence-transformers; how the
vectors of the tokens become one is then done here by the rules of its Pooling and Normalize.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from labelf_cli.classifiers.digest import sha256
from labelf_cli.classifiers.folder import ENCODER_KEY, ModelFolder
from labelf_cli.classifiers.interface import Batching, Because, Group, Model
from labelf_cli.classifiers.labels import model_of, require_labels
from labelf_cli.classifiers.pooling import Pooling
from labelf_cli.classifiers.probe import find_batching, probing
from labelf_cli.classifiers.providers import CPU, Providers
from labelf_cli.classifiers.session import Session
from labelf_cli.classifiers.text_graph import TextGraph
from labelf_cli.config import ModelConfig
from labelf_cli.errors import ModelError
from labelf_cli.predictions import Floats
from labelf_cli.tokens import Ints, TokenIds, Tokenizer

# Of sentence-transformers' and Optimum's exports; the first has the pooling inside the graph.
_OUTPUTS = ("sentence_embedding", "token_embeddings", "last_hidden_state")


class Encoder:
    """A frozen sentence encoder.

    Attributes:
        graph: its files, tokenizer and session.
    """

    def __init__(
        self,
        path: Path,
        max_length: int | None,
        tokenizers: dict[str, Tokenizer],
        providers: Providers = CPU,
    ) -> None:
        """Read everything but the graph.

        Raises:
            ModelError: a file is missing, broken, or asks for a module that labelf does not know.
            ConfigError: ``max_length`` leaves no room for text.
        """
        folder = ModelFolder.find(path, None)
        self.graph = TextGraph(folder, _OUTPUTS, max_length, tokenizers, providers)
        self._pooling = Pooling.of(folder)

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides an embedding."""
        return sha256((self.graph.digest, self._pooling.mode, self._pooling.normalises))

    @cached_property
    def identity(self) -> str:
        """SHA-256 over its files: a head belongs to one encoder, whatever runs it."""
        folder = self.graph.folder
        tokenizer = folder.tokenizer.read_bytes()
        return sha256(
            (folder.files_digest, tokenizer, self._pooling.mode, self._pooling.normalises)
        )

    @property
    def rule(self) -> str:
        """How the vectors of the tokens become one, in words."""
        if self.graph.session.output == _OUTPUTS[0]:
            return "pooled in the graph"
        return self._pooling.rule

    @cached_property
    def width(self) -> int:
        """Numbers in an embedding, as given for a text of one token."""
        with probing(self.graph.folder.onnx):
            return int(self.embed(TokenIds.of([[0]]), np.zeros(1, np.int64)).shape[1])

    def embed(self, ids: TokenIds, rows: Ints) -> Floats:
        """Embeddings of some texts, in one call, [n × width] float32."""
        inputs = self.graph.inputs(ids, rows)
        vectors = self.graph.session.run(inputs)
        if vectors.ndim == 3 and vectors.shape[:2] == inputs.attention_mask.shape:
            vectors = self._pooling.pool(vectors, inputs.attention_mask)
        if vectors.ndim != 2 or len(vectors) != len(rows):
            shape = " × ".join(map(str, vectors.shape))
            raise ModelError(
                f"answers {len(rows)} texts with {shape} numbers, not with embeddings",
                where=self.graph.folder.onnx,
                todo="Export it for feature extraction",
            )
        return vectors


class _Head:
    """One classifier over the embeddings: a graph of one input, [texts × width] float32."""

    def __init__(self, config: ModelConfig, encoder: Encoder) -> None:
        self.folder = ModelFolder.find(config.path, config.file)
        _ = self.folder.graph_files  # what they refuse comes before all else
        self._encoder = encoder
        self.model = model_of(self.folder, config, lambda: self.num_labels)
        trained_on = self.folder.config.get(ENCODER_KEY)
        if trained_on is not None and trained_on != encoder.identity:
            raise ModelError(
                f"a head of another encoder than {encoder.graph.folder.path}",
                where=self.folder.path,
                todo="Correct encoder in the config, or train it again with --encoder",
            )

    @cached_property
    def session(self) -> Session:
        graph, folder = self._encoder.graph, self.folder
        return Session(
            folder.onnx, folder.tuning, ("logits",), stop=graph.stop, providers=graph.providers
        )

    @cached_property
    def num_labels(self) -> int:
        """Width of the logits, as declared or else as given."""
        width = next(iter(self.session.declared[-1:]), None)
        if isinstance(width, int):
            return width
        with probing(self.folder.onnx):
            return int(self.logits(np.zeros((1, self._encoder.width), np.float32)).shape[-1])

    def logits(self, embeddings: Floats) -> Floats:
        """One text a call, at the price of some microseconds: no company can move a bit."""
        return np.concatenate([self.session.run_vectors(one[None]) for one in embeddings])


class EncoderHeads(Group):
    """Classifiers over one frozen encoder, which runs once a text.

    Attributes:
        encoder: the encoder.
        providers: what runs it and the heads.
    """

    def __init__(self, configs: Sequence[ModelConfig], tokenizers: dict[str, Tokenizer]) -> None:
        """Read everything but the graphs.

        Args:
            configs: of the heads, with the same encoder, ``max_length``, windows and providers.
            tokenizers: those that are loaded already, by digest; an equal one is shared.

        Raises:
            ModelError: a file is missing or broken, or a head belongs to another encoder.
            ConfigError: the config asks for what a head does not have.
        """
        first = configs[0]
        assert first.encoder is not None
        self.providers = Providers.of(first)
        self.encoder = Encoder(first.encoder, first.max_length, tokenizers, self.providers)
        self._heads = tuple(_Head(config, self.encoder) for config in configs)
        graph = self.encoder.graph
        self.tokenizer, self.template = graph.tokenizer, graph.template
        self._first, self.max_length = first, graph.max_length
        self.stride = self.window_stride if first.on_long == "window" else None
        self.num_bytes = graph.folder.num_bytes + sum(h.folder.num_bytes for h in self._heads)
        self.token_budget = first.token_budget or graph.folder.tuning.token_budget
        self.models: tuple[Model, ...] = tuple(head.model for head in self._heads)

    @property
    def window_stride(self) -> int | None:
        """See ``Group.window_stride``."""
        return self.encoder.graph.stride(self._first, self.template)

    @property
    def explained(self) -> dict[str, Because[str]]:
        """See ``Group.explained``."""
        encoder = Because(str(self.encoder.graph.folder.path), self.encoder.rule)
        return {"encoder": encoder} | self.providers.explained

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """See ``Group.digests``."""
        return tuple(sha256((self.encoder.digest, head.folder.digest)) for head in self._heads)

    def load(self) -> Because[Batching]:
        """Create the sessions, check their answers on a probe, and find out how texts may share."""
        for head in self._heads:
            require_labels(head.folder, head.model, head.num_labels)
        return find_batching(self)

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        """See ``Group.logits``."""
        embeddings = self.encoder.embed(ids, rows)
        return tuple(head.logits(embeddings) for head in self._heads)

    def stop(self) -> None:
        """See ``Group.stop``."""
        self.encoder.graph.stop.set()


class Embedder(Group):
    """The embeddings themselves, as the scores of one model: what heads are trained on."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        graph = encoder.graph
        self.tokenizer, self.template = graph.tokenizer, graph.template
        self.max_length, self.num_bytes = graph.max_length, graph.folder.num_bytes
        self.token_budget = graph.folder.tuning.token_budget
        places = tuple(map(str, range(encoder.width)))
        config = ModelConfig(
            name="embedding",
            path=graph.folder.path,
            activation="none",
            labels=places,
            label_filter=places[:1],  # nothing is to be ranked
        )
        self.models = (model_of(graph.folder, config, lambda: len(places)),)

    @property
    def digests(self) -> tuple[str, ...]:
        """See ``Group.digests``."""
        return (self.encoder.digest,)

    def load(self) -> Because[Batching]:
        """See ``Group.load``."""
        return find_batching(self)

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        """See ``Group.logits``."""
        return (self.encoder.embed(ids, rows),)

    def stop(self) -> None:
        """See ``Group.stop``."""
        self.encoder.graph.stop.set()
