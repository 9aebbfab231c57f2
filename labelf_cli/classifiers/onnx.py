"""One ONNX text classifier: token ids to logits by onnxruntime."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.interface import Batching, Because, Group, Model
from labelf_cli.classifiers.probe import find_batching
from labelf_cli.config import ModelConfig
from labelf_cli.errors import ConfigError, ModelError
from labelf_cli.predictions import Floats, rules
from labelf_cli.tokens import Ints, Template, TokenIds, Tokenizer, sequences

_DTYPES = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(bool)": np.bool_,
}


class OnnxClassifier(Group):
    """A sequence classifier as Optimum exports it: declared inputs in, ``logits`` out."""

    def __init__(self, config: ModelConfig, tokenizers: dict[str, Tokenizer]) -> None:
        """Read everything but the graph.

        Args:
            config: of the model.
            tokenizers: those that are loaded already, by digest; an equal one is shared.

        Raises:
            ModelError: a file is missing or broken.
            ConfigError: the config asks for what the model does not have.
        """
        self._folder = ModelFolder.find(config.path, config.file)
        _refuse_impostors(self._folder.onnx)
        self.num_bytes = self._folder.num_bytes
        tokenizer = Tokenizer.load(self._folder.tokenizer)
        self.tokenizer = tokenizers.setdefault(tokenizer.digest, tokenizer)
        self.template = _template(self._folder, self.tokenizer)
        self.max_length = self._settle_max_length(config)
        self.models = (self._understand(config),)

    def _understand(self, config: ModelConfig) -> Model:
        labels = self._folder.labels(config.labels)
        if labels is None:
            numbered = tuple(f"LABEL_{i}" for i in range(self._session.num_labels))
            labels = Because(numbered, "numbered, since config.json has no id2label")
        activation = self._folder.activation(config.activation, len(labels.value))
        multi_label = activation.value == "sigmoid" and len(labels.value) > 1
        return Model(
            name=config.name,
            id=config.id,
            labels=labels,
            activation=activation,
            rules=rules(config, labels.value, multi_label=multi_label),
            fails_long=config.on_long == "error",
        )

    def _settle_max_length(self, config: ModelConfig) -> Because[int | None]:
        limit = self._folder.max_length(config.max_length)
        if limit.value is not None and limit.value <= self.template.num_special:
            raise ConfigError(
                f"{limit.value} leaves no room beside {self.template.num_special} special tokens",
                where=f"model '{config.name}', max_length",
                todo="Choose a larger one",
            )
        return limit

    @cached_property
    def _session(self) -> "_Session":
        return _Session(self._folder.onnx)

    def load(self) -> Because[Batching]:
        """Create the session, check its answer on a probe, and find out how texts may share it."""
        session, labels = self._session, self.models[0].labels
        batching = find_batching(self)
        if session.num_labels != len(labels.value):
            raise ModelError(
                f"{len(labels.value)} labels ({labels.rule}), but the graph gives "
                f"{session.num_labels} logits",
                where=self._folder.onnx,
                todo="Correct labels in the config",
            )
        return batching

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        """See ``Group.logits``."""
        inputs = sequences(ids, rows, self.template, self.max_length.value)
        return (self._session.run(inputs.input_ids, inputs.attention_mask, inputs.token_type_ids),)


class _Session:
    """An onnxruntime session with the names and types that its graph declares."""

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        # The pool of cores is ours: one thread inside, none spinning, and no arena that keeps
        # the memory of the longest text for ever.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(
                path, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common base but this
            raise ModelError(
                f"onnxruntime can't load it ({error})", where=path, todo="Export it again"
            ) from None
        self._inputs = {i.name: _DTYPES.get(i.type) for i in self._session.get_inputs()}
        if "input_ids" not in self._inputs:
            raise ModelError(
                f"the graph takes {', '.join(self._inputs)}, not input_ids",
                where=path,
                todo="Export it for text classification",
            )
        outputs = {output.name: output for output in self._session.get_outputs()}
        self._output = "logits" if "logits" in outputs else next(iter(outputs))
        self._declared = outputs[self._output].shape
        self._path = path

    @cached_property
    def num_labels(self) -> int:
        """Width of the logits, as declared or else as given for one token."""
        if isinstance(self._declared[-1], int):
            return self._declared[-1]
        one = np.ones((1, 1), np.int64)
        return int(self.run(one, one, one * 0).shape[-1])

    def run(self, input_ids: Ints, attention_mask: Ints, token_type_ids: Ints) -> Floats:
        """Logits [sequences × labels] float32 of padded inputs [sequences × length] int64."""
        known = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            # transformers' rule for models that are exported with positions as an input.
            "position_ids": np.maximum(np.cumsum(attention_mask, axis=1) - 1, 0),
        }
        feeds: dict[str, Any] = {}
        for name, dtype in self._inputs.items():
            array = known[name] if name in known else np.zeros_like(input_ids)
            feeds[name] = array.astype(dtype, copy=False)
        (logits,) = self._session.run([self._output], feeds)
        if logits.ndim != 2 or len(logits) != len(input_ids):
            shape = " × ".join(map(str, logits.shape))
            raise ModelError(
                f"answers {len(input_ids)} texts with {shape} numbers, not with logits",
                where=self._path,
                todo="Export it for text classification",
            )
        return np.ascontiguousarray(logits, np.float32)


def _template(folder: ModelFolder, tokenizer: Tokenizer) -> Template:
    """How the export pads and cuts."""
    config = folder.tokenizer_config
    pad_token = folder.pad_token()
    pad_id = tokenizer.token_id(pad_token) if pad_token else None
    if pad_id is None:
        pad_id = int(folder.config.get("pad_token_id") or 0)
    return tokenizer.template(
        pad_id,
        pad_left=config.get("padding_side") == "left",
        cut_left=config.get("truncation_side") == "left",
    )


def _refuse_impostors(path: Path) -> None:
    """Name the two things that most often stand in a model file's place."""
    with path.open("rb") as file:
        head = file.read(256).lstrip().lower()
    if head.startswith(b"version https://git-lfs"):
        raise ModelError("a Git LFS pointer, not the model", where=path, todo="Run 'git lfs pull'")
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ModelError("an HTML page, not a model", where=path, todo="Download the file itself")
