"""GLiClass uni-encoders: zero-shot in one pass, the labels stand in the sequence with the text.

What is fed and what comes out are those of gliclass's ``UniEncoderZeroShotClassificationPipeline``.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from labelf_cli.classifiers.digest import sha256
from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.interface import Batching, Because
from labelf_cli.classifiers.max_length import GLICLASS
from labelf_cli.classifiers.probe import find_batching
from labelf_cli.classifiers.text_graph import TextGraph
from labelf_cli.classifiers.zero_shot import ZeroShot
from labelf_cli.config import ModelConfig
from labelf_cli.errors import ConfigError, ModelError
from labelf_cli.predictions import Floats
from labelf_cli.tokens import Ints, Template, TokenIds

_LABEL, _SEP = "<<LABEL>>", "<<SEP>>"


def is_gliclass(folder: ModelFolder) -> bool:
    """Whether a folder holds a GLiClass export, by its ``config.json``."""
    return folder.config.get("model_type") == GLICLASS


class GliClass(ZeroShot):
    """A GLiClass uni-encoder: one sequence of all labels and the text, one logit a label.

    Only the text is ever cut. gliclass cuts the end of the sequence, which is the text's where the
    labels come first.
    """

    def __init__(self, configs: Sequence[ModelConfig], graph: TextGraph) -> None:
        """See ``ZeroShot``.

        Raises:
            ModelError: it is of another architecture, or its tokenizer lacks GLiClass's tokens.
            ConfigError: a label that is not among the labels is named, the labels leave no room
                for text, or there is a ``hypothesis_template``.
        """
        super().__init__(configs, graph)
        self._require_uni_encoder()
        if "hypothesis_template" in configs[0].model_fields_set:
            raise ConfigError(
                "a GLiClass model takes the labels as they are",
                where=f"model '{configs[0].name}', hypothesis_template",
                todo="Leave it out",
            )
        self._labels_first = bool(graph.folder.config.get("prompt_first", False))
        if self._labels_first:
            self.tokenizer = graph.tokenizer.following(_SEP)
        self.template = self._template()
        self.fit(configs[0], "the labels, special ones included")

    def _require_uni_encoder(self) -> None:
        folder = self._graph.folder
        architecture = folder.config.get("architecture_type", "uni-encoder")
        if architecture != "uni-encoder":
            raise ModelError(
                f"a GLiClass {architecture}; labelf runs uni-encoders",
                where=folder.path / "config.json",
                todo="Export a uni-encoder",
            )
        missing = [t for t in (_LABEL, _SEP) if self._graph.tokenizer.token_id(t) is None]
        if missing:
            raise ModelError(
                f"lacks GLiClass's {' and '.join(missing)}",
                where=folder.tokenizer,
                todo="Put the tokenizer there that the model was trained with",
            )

    def _template(self) -> Template:
        """The labels as a part of what stands around every text."""
        around = self._graph.template
        prompt = "".join(f"{_LABEL}{label}" for label in self.labels.value) + _SEP
        ids = self._graph.tokenizer.encode([prompt]).flat
        if self._labels_first:
            return replace(around, prefix=np.concatenate([around.prefix, ids]))
        before, within, after = around.type_ids
        types = (before, within, *[within] * len(ids), *[after] * len(around.suffix))
        return replace(around, suffix=np.concatenate([ids, around.suffix]), type_ids=types)

    @property
    def asked(self) -> dict[str, Because[str]]:
        """See ``ZeroShot.asked``."""
        side = "before" if self._labels_first else "behind"
        prompt = Because(f"the labels stand {side} the text", "prompt_first of config.json")
        rule = f"model_type is {GLICLASS}"
        return {"zero-shot": Because("one pass for all labels", rule), "prompt": prompt}

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """See ``Group.digests``."""
        asked = (self._graph.digest, self.tokenizer.digest, self.template.key)
        return (sha256(asked),) * len(self.models)

    def load(self) -> Because[Batching]:
        """See ``Group.load``."""
        return self._batching

    @cached_property
    def _batching(self) -> Because[Batching]:
        return find_batching(self)

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        """See ``Group.logits``; an export may have room for more labels.

        Raises:
            ModelError: it has room for fewer.
        """
        logits = self.run(ids, rows, self.template)
        asked = len(self.labels.value)
        if logits.ndim == 2 and logits.shape[1] < asked:
            raise ModelError(
                f"has room for {logits.shape[1]} labels, not for {asked}",
                where=self._graph.folder.onnx,
                todo="Ask for fewer, or export it with a larger max_num_classes",
            )
        return (logits[:, :asked],) * len(self.models)
