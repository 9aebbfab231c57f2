"""One graph in onnxruntime: padded token ids in, its first floating-point answer out."""

from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from labelf_cli.classifiers.interface import Stopped
from labelf_cli.classifiers.providers import CPU, Providers
from labelf_cli.classifiers.tuning import Tuning
from labelf_cli.errors import ModelError
from labelf_cli.predictions import Floats
from labelf_cli.sequences import Sequences

_DTYPES = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(bool)": np.bool_,
}

_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")
"""Types of an output that becomes float32. Integers are labels or ranks, not scores."""

_EXTERNAL_DATA = "session.model_external_initializers_file_folder_path"


@cache
def _share_memory() -> None:
    """Let all sessions of the process take memory from one arena.

    Without one, glibc gives the memory of large activations back after each call and faults it in
    anew: 8% of the time of MiniLM's shape in float32 and 13% in int8. An arena for each session
    would keep the memory of its longest text for ever.
    """
    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator(memory, None)


def _options() -> ort.SessionOptions:
    """What all sessions have in common."""
    _share_memory()
    options = ort.SessionOptions()
    # The pool of cores is ours: one thread inside, none spinning.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 4
    return options


def _open(
    path: Path, tuning: Tuning, graph: bytes | None, providers: Providers
) -> ort.InferenceSession:
    """Load a graph; see ``Session``."""
    options = _options()
    if graph is not None:  # for a file it would forbid the links of the hub's cache
        options.add_session_config_entry(_EXTERNAL_DATA, str(path.parent))
    try:
        return ort.InferenceSession(
            path if graph is None else graph,
            sess_options=options,
            providers=providers.for_session(),
            disabled_optimizers=list(tuning.disabled_optimizers),
            enable_fallback=0,  # to another provider, announced on stdout
        )
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise ModelError(
            f"onnxruntime can't load it ({error})", where=path, todo="Export it again"
        ) from None


class Stop:
    """Ends the calls of the sessions that share it, for ever.

    Those that run end at their next operator.
    """

    def __init__(self) -> None:
        self.options = ort.RunOptions()

    def set(self) -> None:
        """Stop."""
        self.options.terminate = True

    def check(self) -> None:
        """Let nobody take the end of a call for an answer, or for a failure.

        Raises:
            Stopped: it is set.
        """
        if self.options.terminate:
            raise Stopped from None


class Session:
    """An onnxruntime session with the names and types that its graph declares.

    Attributes:
        path: of the graph.
        output: name of the output that is asked for.
        declared: its shape as the graph declares it.
        is_rewritten: whether the graph is another than the file's.
    """

    def __init__(  # noqa: PLR0913  # each says another thing of one graph
        self,
        path: Path,
        tuning: Tuning,
        outputs: tuple[str, ...],
        graph: bytes | None = None,
        stop: Stop | None = None,
        *,
        providers: Providers = CPU,
    ) -> None:
        """Load a graph.

        Args:
            path: of the graph.
            tuning: how onnxruntime runs it.
            outputs: names of the output that is asked for, the first that the graph has; it is
                the graph's first output where it has none of them.
            graph: what takes the place of the file's content.
            stop: ends its calls; None where nobody will.
            providers: what runs it.

        Raises:
            ModelError: onnxruntime can't load it, or not with all providers, or its output is not
                of floating-point numbers.
        """
        self.path, self._stop = path, stop or Stop()
        self._session = _open(path, tuning, graph, providers)
        self._require(providers)
        self.is_rewritten = graph is not None
        self._inputs = {i.name: _DTYPES.get(i.type) for i in self._session.get_inputs()}
        declared = {output.name: output for output in self._session.get_outputs()}
        self.output = next((name for name in outputs if name in declared), next(iter(declared)))
        self.declared: list[int | str | None] = declared[self.output].shape
        self._require_floats(declared[self.output].type)

    def _require(self, providers: Providers) -> None:
        """Refuse a session without a provider that was asked for: onnxruntime leaves it out.

        Raises:
            ModelError: its device or its libraries are not there.
        """
        absent = ", ".join(set(providers.names) - set(self._session.get_providers()))
        if absent:
            raise ModelError(
                f"onnxruntime can't run it with {absent}",
                where=self.path,
                todo="Install its driver and libraries, or correct providers in the config",
            )

    def _require_floats(self, kind: str) -> None:
        """Refuse an output of another type.

        Raises:
            ModelError: it names the type.
        """
        if kind not in _FLOATS:
            raise ModelError(
                f"its output {self.output} is a {kind}, not floating-point numbers",
                where=self.path,
                todo="Export it so that it answers with its logits",
            )

    @cached_property
    def takes_token_ids(self) -> bool:
        """Whether it is fed with texts; the head of an encoder is not."""
        return "input_ids" in self._inputs

    def require_token_ids(self) -> None:
        """Refuse a graph that is not fed with texts.

        Raises:
            ModelError: it names what it takes.
        """
        if not self.takes_token_ids:
            raise ModelError(
                f"the graph takes {', '.join(self._inputs)}, not input_ids",
                where=self.path,
                todo="Export it for text classification; the head of an encoder needs encoder = …",
            )

    def run(self, inputs: Sequences) -> Floats:
        """The answer to padded texts, [sequences × …] float32.

        Raises:
            Stopped: it was stopped.
        """
        feeds: dict[str, Any] = {}
        for name, dtype in self._inputs.items():
            feeds[name] = _fed(name, inputs).astype(dtype, copy=False)
        return self._run(feeds)

    def run_vectors(self, vectors: Floats) -> Floats:
        """The answer to one vector a text, [texts × width] float32, by a graph of one input."""
        return self._run({next(iter(self._inputs)): vectors})

    def run_text(self, text: str) -> Floats:
        """The answer to a text, [1 × …] float32, by a graph of one input of strings."""
        return self._run({next(iter(self._inputs)): np.full((1,) * self._rank, text, object)})

    @cached_property
    def _rank(self) -> int:
        return len(self._session.get_inputs()[0].shape)

    def _run(self, feeds: dict[str, Any]) -> Floats:
        """The answer to inputs of the types that the graph declares."""
        try:
            (answer,) = self._session.run([self.output], feeds, self._stop.options)
        except Exception:  # onnxruntime's errors have no common base but this
            self._stop.check()
            raise
        self._stop.check()
        with np.errstate(over="ignore"):  # what float32 can't hold is infinite, and judged later
            return np.ascontiguousarray(answer, np.float32)


def _fed(name: str, inputs: Sequences) -> np.ndarray[Any, np.dtype[np.int64]]:
    """What an input of this name is fed, [sequences × length] int64."""
    if name == "position_ids":
        # transformers' rule for models that are exported with positions as an input.
        return np.maximum(np.cumsum(inputs.attention_mask, axis=1) - 1, 0)
    found = getattr(inputs, name, None)
    return np.zeros_like(inputs.input_ids) if found is None else found
