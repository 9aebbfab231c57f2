"""A graph that is fed with texts: its folder, its tokenizer, its longest text, its session."""

from contextlib import suppress
from functools import cached_property

import numpy as np
import tokenizers

from labelf_cli.classifiers.digest import sha256
from labelf_cli.classifiers.folder import ENCODER_KEY, ModelFolder
from labelf_cli.classifiers.graph_file import cut_to_first_token
from labelf_cli.classifiers.interface import Because
from labelf_cli.classifiers.pairs import PairTemplate
from labelf_cli.classifiers.probe import probe_ids
from labelf_cli.classifiers.providers import CPU, Providers
from labelf_cli.classifiers.session import Session, Stop
from labelf_cli.config import ModelConfig
from labelf_cli.errors import ConfigError, ModelError
from labelf_cli.sequences import Sequences, sequences
from labelf_cli.tokens import Ints, Template, TokenIds, Tokenizer

_STRIDE = 64


class TextGraph:
    """What text classifiers and sentence encoders have in common.

    Attributes:
        folder: its files.
        tokenizer: shared with other graphs that have an equal one.
        template: special tokens and padding.
        max_length: longest sequence, special tokens included; None for no limit.
        stop: ends the calls of its sessions.
        providers: what runs them.
    """

    def __init__(
        self,
        folder: ModelFolder,
        outputs: tuple[str, ...],
        max_length: int | None,
        known: dict[str, Tokenizer],
        providers: Providers = CPU,
    ) -> None:
        """Read everything but the graph.

        Args:
            folder: its files.
            outputs: names of the output that is asked for (see ``Session``).
            max_length: as the config says.
            known: the tokenizers that are loaded already, by digest; an equal one is shared.
            providers: what runs it.

        Raises:
            ModelError: a file is missing or broken, or it is the head of an encoder.
            ConfigError: ``max_length`` leaves no room for text.
        """
        self.folder, self._outputs, self.providers = folder, outputs, providers
        self.stop = Stop()
        _ = folder.graph_files  # what they refuse comes before all else
        if ENCODER_KEY in folder.config:
            raise ModelError(
                "the head of an encoder, which is not fed with texts",
                where=folder.path,
                todo='Name the encoder in the config: encoder = "…"',
            )
        tokenizer = Tokenizer.load(folder.tokenizer)
        self.tokenizer = known.setdefault(tokenizer.digest, tokenizer)
        self.template = folder.template(self.tokenizer)
        self.max_length: Because[int | None] = folder.max_length(max_length)
        self._require_room()

    def _require_room(self) -> None:
        limit, special = self.max_length.value, self.template.num_special
        if limit is not None and limit <= special:
            raise ConfigError(
                f"{limit} leaves no room beside {special} special tokens ({self.max_length.rule})",
                where=f"{self.folder.path}, max_length",
                todo="Choose a larger one",
            )

    def pair_with(self, second: str) -> None:
        """Let a second text follow each text; to be said before anything else is asked.

        Raises:
            ModelError: the tokenizer can't make pairs.
            ConfigError: it leaves no room for the text.
        """
        try:
            pair = PairTemplate.of(self.tokenizer, self.template)
            self.template = pair.followed_by(self.tokenizer.encode([second]).flat)
        except ValueError as error:
            raise ModelError(
                f"can't be used for pairs of texts ({error})",
                where=self.folder.tokenizer,
                todo="Export a cross-encoder with its own tokenizer",
            ) from None
        self._require_room()

    @cached_property
    def session(self) -> Session:
        """The loaded graph, for the first token alone where that gives the same bits.

        Raises:
            ModelError: it can't be loaded, or is not fed with texts.
        """
        session = self._open(None)
        session.require_token_ids()
        with suppress(Exception):  # a graph unlike those that it is meant for may fail as it likes
            cut = self.open_cut() if self.folder.tuning.first_token else None
            if cut is not None and self._agree(session, cut):
                return cut
        return session

    @property
    def is_cut(self) -> bool:
        """Whether the session leaves out what only other tokens than the first would need."""
        return self.session.is_rewritten

    def open_cut(self) -> Session | None:
        """The graph cut to the first token (see ``keep_first_token``); None if nothing is cut."""
        graph = cut_to_first_token(self.folder.onnx)
        return None if graph is None else self._open(graph)

    def _open(self, graph: bytes | None) -> Session:
        onnx, tuning = self.folder.onnx, self.folder.tuning
        return Session(onnx, tuning, self._outputs, graph, self.stop, providers=self.providers)

    def _agree(self, one: Session, other: Session) -> bool:
        """Whether two sessions make the same bits of the probe texts, each alone and all padded."""
        ids = probe_ids(self.tokenizer.vocab_size)
        everything = np.arange(len(ids.lengths))
        calls = (self.inputs(ids, rows) for rows in [*everything[:, None], everything])
        return all(one.run(call).tobytes() == other.run(call).tobytes() for call in calls)

    def stride(self, config: ModelConfig, template: Template) -> int | None:
        """Tokens that windows of a text share; None where no text is too long.

        Args:
            config: of the model.
            template: of its sequences.

        Raises:
            ConfigError: a window has no more tokens than it shares.
        """
        limit = self.max_length.value
        if limit is None:
            return None
        room = limit - template.num_special
        stride = min(_STRIDE, room // 4) if config.stride is None else config.stride
        if stride >= room:
            raise ConfigError(
                f"{stride} leaves nothing new for a window of {room} tokens",
                where=f"model '{config.name}', stride",
                todo="Choose a smaller one, or a larger max_length",
            )
        return stride

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that decides an answer."""
        return sha256(
            (
                self.folder.digest,
                self.tokenizer.digest,
                tokenizers.__version__,
                self.template.key,
                self.max_length.value,
                *self.providers.decides,
            )
        )

    def inputs(self, ids: TokenIds, rows: Ints) -> Sequences:
        """The padded inputs of some texts; see ``sequences``."""
        return sequences(ids, rows, self.template, self.max_length.value)
