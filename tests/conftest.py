"""Fixtures that many tests share: tiny models, made on the spot, and ways to run the command."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pytest
from hypothesis import settings
from onnx import ModelProto, TensorProto, helper
from s3_server import S3Server, s3_server
from starlette.testclient import TestClient
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers import models as tokenizer_models

from labelf_cli.config import Config
from labelf_cli.graphs.build import build_model
from labelf_cli.server.serving import open_api
from labelf_cli.server.settings import Limits, ServeSettings
from labelf_cli.sources.rejects import BadRows, Reject
from labelf_cli.training.bag import to_onnx
from labelf_cli.training.head import EncoderHead

# The machine that runs the tests may be slow or shared.
settings.register_profile("labelf", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("labelf")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the real models and data stand beside the checkout, not in it"
)


@pytest.fixture
def survived(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """A function that takes how many there were of what; the end of the test run tells the sums."""
    return record_property


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was survived."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        counts.update(dict(report.user_properties))
    if counts:
        told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        terminalreporter.write_line(f"survived: {told}")


class Kept(BadRows):
    """Keeps line, offset, reason and bytes of each bad row."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, int, str, bytes]] = []

    def add(self, reject: Reject) -> None:
        self.count += 1
        self.kept.append((reject.line, reject.offset, reject.reason, reject.raw))


_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = (*_SPECIAL, "the", "my", "bill", "is", "too", "high", "no", "signal", "tv", "angry")
"""Vocabulary of the tiny models; a word's id is its position."""

Moves = Literal["padding", "batch"]


class WriteModel(Protocol):
    """Makes a model folder; see ``write_model``."""

    def __call__(
        self,
        name: str = ...,
        labels: Sequence[str] = ...,
        *,
        moves: Moves | None = ...,
        seed: int = ...,
        config: dict[str, Any] | None = ...,
        tokenizer_config: dict[str, Any] | None = ...,
        nan_word: str | None = ...,
        words: Sequence[str] = ...,
    ) -> Path: ...


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """A function that makes a tiny model folder: words, special tokens, a linear bag of words.

    ``moves`` makes its logits depend on the padded length or on the batch size, ``nan_word`` makes
    them NaN for texts with that word.
    """

    def write(
        name: str = "model",
        labels: Sequence[str] = ("yes", "no", "maybe"),
        *,
        moves: Moves | None = None,
        seed: int = 0,
        config: dict[str, Any] | None = None,
        tokenizer_config: dict[str, Any] | None = None,
        nan_word: str | None = None,
        words: Sequence[str] = WORDS,
    ) -> Path:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        random = np.random.default_rng(seed)
        weights = random.normal(size=(len(labels), len(words))).T
        if nan_word is not None:
            weights[words.index(nan_word)] = np.nan
        graph = to_onnx(weights, random.normal(size=len(labels)))
        if moves:
            _make_it_move(graph, moves)
        (folder / "model.onnx").write_bytes(graph.SerializeToString())
        write_tokenizer(folder / "tokenizer.json", words)
        id2label = {"id2label": {str(i): label for i, label in enumerate(labels)}}
        (folder / "config.json").write_text(json.dumps(id2label | (config or {})))
        settings_ = {"pad_token": "[PAD]", "model_max_length": 64} | (tokenizer_config or {})
        (folder / "tokenizer_config.json").write_text(json.dumps(settings_))
        return folder

    return write


ENDLESS = 1000
"""The id of "angry" in an endless model; one that no probe asks for."""


def write_endless_model(folder: Path, since: int = ENDLESS) -> Path:
    """A model that never answers texts with token ids from ``since`` on: it goes on multiplying."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(_endless_graph(since).SerializeToString())
    write_tokenizer(folder / "tokenizer.json")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["angry"] = ENDLESS
    (folder / "tokenizer.json").write_text(json.dumps(content))
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "yes", "1": "no"}}))
    return folder


def _endless_graph(since: int) -> ModelProto:
    """Loops zero times or 10**15 times; the logits are the sum of the ids, twice."""
    node, info = helper.make_node, helper.make_tensor_value_info
    square = [64, 64]
    body = helper.make_graph(
        [
            node("Identity", ["on"], ["still_on"]),
            node("MatMul", ["x", "zeros"], ["y"]),
        ],
        "body",
        [info("i", TensorProto.INT64, []), info("on", TensorProto.BOOL, []), info("x", 1, square)],
        [info("still_on", TensorProto.BOOL, []), info("y", 1, square)],
    )
    nodes = [
        node("ReduceMax", ["input_ids"], ["largest"], keepdims=0),
        node("GreaterOrEqual", ["largest", "since"], ["is_endless"]),
        node("Cast", ["is_endless"], ["zero_or_one"], to=TensorProto.INT64),
        node("Mul", ["zero_or_one", "many"], ["times"]),
        node("Loop", ["times", "", "zeros"], ["product"], body=body),
        node("ReduceSum", ["product"], ["zero"], keepdims=0),
        node("Cast", ["input_ids"], ["as_float"], to=TensorProto.FLOAT),
        node("ReduceSum", ["as_float", "last"], ["sums"]),
        node("Add", ["sums", "zero"], ["logit"]),
        node("Concat", ["logit", "logit"], ["logits"], axis=1),
    ]
    constants = {
        "since": np.array(since),
        "many": np.array(10**15),
        "zeros": np.zeros(square, np.float32),
        "last": np.array([-1]),
    }
    ids = info("input_ids", TensorProto.INT64, ["batch", "sequence"])
    return build_model("endless", nodes, [ids], [info("logits", 1, ["batch", 2])], constants)


class WriteDenseModel(Protocol):
    """Makes a model folder; see ``write_dense_model``."""

    def __call__(
        self, name: str = ..., *, nearness: float = ..., config: dict[str, Any] | None = ...
    ) -> Path: ...


DENSE_WIDTH = 64


@pytest.fixture
def write_dense_model(tmp_path: Path) -> WriteDenseModel:
    """A function that makes a tiny model folder with a matrix product in each layer.

    ``nearness`` is how far apart the logits of its three labels are: where it is small, a text's
    best label hangs by a hair.
    """

    def write(
        name: str = "dense", *, nearness: float = 1.0, config: dict[str, Any] | None = None
    ) -> Path:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(dense_graph(nearness).SerializeToString())
        write_tokenizer(folder / "tokenizer.json")
        id2label = {"id2label": {"0": "yes", "1": "no", "2": "maybe"}}
        (folder / "config.json").write_text(json.dumps(id2label | (config or {})))
        settings_ = {"pad_token": "[PAD]", "model_max_length": 64}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings_))
        return folder

    return write


def dense_graph(nearness: float = 1.0) -> ModelProto:
    """Vectors of words → a product → the largest value over the tokens → a product → logits."""
    random = np.random.default_rng(0)
    common, own = random.normal(size=(DENSE_WIDTH, 1)), random.normal(size=(DENSE_WIDTH, 3))
    constants = {
        "table": random.normal(size=(len(WORDS), DENSE_WIDTH)),
        "square": random.normal(size=(DENSE_WIDTH, DENSE_WIDTH)) / DENSE_WIDTH**0.5,
        "head": (common + nearness * own) / DENSE_WIDTH**0.5,
        "one": np.array(1.0),
        "far": np.array(1e6),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "input_ids"], ["words"]),
        node("MatMul", ["words", "square"], ["seen"]),
        node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        node("Sub", ["mask", "one"], ["absent"]),
        node("Mul", ["absent", "far"], ["below"]),
        node("Unsqueeze", ["below", "last"], ["below_all"]),
        node("Add", ["seen", "below_all"], ["there"]),
        node("ReduceMax", ["there"], ["most"], axes=[1], keepdims=0),
        node("MatMul", ["most", "head"], ["logits"]),
    ]
    shape = ["batch", "sequence"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", "attention_mask")
    ]
    return build_model(
        "dense",
        nodes,
        inputs,
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        {name: array.astype(np.float32) for name, array in constants.items()}
        | {"last": np.array([-1])},
    )


def write_tokenizer(path: Path, words: Sequence[str] = WORDS) -> None:
    """A tokenizer that splits at white space and puts [CLS] and [SEP] around a text."""
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(tokenizer_models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    tokenizer.save(str(path))


def _make_it_move(model: ModelProto, moves: Moves) -> None:
    """Add a thousandth of the padded length, or of the batch size, to the logits."""
    axis = 1 if moves == "padding" else 0
    last = model.graph.node[-1]
    last.output[0] = "still"
    model.graph.node.extend(
        [
            helper.make_node("Shape", ["input_ids"], ["size"], start=axis, end=axis + 1),
            helper.make_node("Cast", ["size"], ["size_as_float"], to=1),
            helper.make_node("Mul", ["size_as_float", "thousandth"], ["moved"]),
            helper.make_node("Add", ["still", "moved"], ["logits"]),
        ]
    )
    model.graph.initializer.append(helper.make_tensor("thousandth", 1, [1], [0.001]))


ENCODER_WIDTH = 4
"""Of the tiny encoders' vectors."""


def write_encoder(
    folder: Path,
    outputs: Sequence[str] = ("last_hidden_state",),
    *,
    seed: int = 0,
    pooling: dict[str, Any] | None = None,
    normalizes: bool = False,
    tokenizer_config: dict[str, Any] | None = None,
) -> Path:
    """A tiny sentence encoder, one random vector a word, as sentence-transformers lays it out.

    ``pooling`` is the content of ``1_Pooling/config.json``. ``sentence_embedding`` among the
    outputs is pooled in the graph: the largest number of each place, padding included.
    """
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(_encoder_graph(outputs, seed).SerializeToString())
    write_tokenizer(folder / "tokenizer.json")
    kinds = ["Transformer", *["Pooling"] * (pooling is not None), *["Normalize"] * normalizes]
    settings_ = {"pad_token": "[PAD]", "model_max_length": 64} | (tokenizer_config or {})
    files: dict[str, object] = {
        "tokenizer_config.json": settings_,
        "1_Pooling/config.json": pooling,
        "modules.json": [
            {"type": f"sentence_transformers.models.{kind}", "path": f"{i}_{kind}" if i else ""}
            for i, kind in enumerate(kinds)
        ],
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def _encoder_graph(outputs: Sequence[str], seed: int) -> ModelProto:
    vectors = np.random.default_rng(seed).normal(size=(len(WORDS), ENCODER_WIDTH))
    nodes = [helper.make_node("Gather", ["vectors", "input_ids"], ["tokens"])]
    infos = []
    for name in outputs:
        shape: list[int | str] = ["batch", "sequence", ENCODER_WIDTH]
        if name == "sentence_embedding":
            nodes.append(helper.make_node("ReduceMax", ["tokens"], [name], axes=[1], keepdims=0))
            del shape[1]
        else:
            nodes.append(helper.make_node("Identity", ["tokens"], [name]))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])
    constants = {"vectors": vectors.astype(np.float32)}
    return build_model("encoder", nodes, [ids], infos, constants)


def write_head(
    folder: Path, encoder: Path, labels: Sequence[str] = ("yes", "no", "maybe"), *, seed: int = 0
) -> Path:
    """A head with random weights over a tiny encoder, as ``labelf train --encoder`` writes it."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    recipe = EncoderHead(encoder)
    weights = random.normal(size=(ENCODER_WIDTH, len(labels)))
    graph = recipe.graph(weights, random.normal(size=len(labels)))
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    id2label = {"id2label": {str(i): label for i, label in enumerate(labels)}}
    (folder / "config.json").write_text(json.dumps(recipe.config() | id2label))
    return folder


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An object store; each test makes a bucket of its own."""
    with s3_server() as server:
        yield server


@pytest.fixture
def config(write_model: WriteModel, tmp_path: Path) -> Path:
    """A config with one tiny model, ``m``, that gives one label."""
    write_model("m")
    return write_config(tmp_path)


def write_config(folder: Path, extra: str = "") -> Path:
    """A config with the tiny model ``m`` of that folder and more keys for it."""
    path = folder / "tiny.toml"
    path.write_text(f'[[models]]\nname = "m"\npath = "models/m"\nmax_predictions = 1\n{extra}')
    return path


def write_calls(path: Path, rows: int) -> Path:
    """A CSV table of so many distinct texts."""
    with path.open("w") as file:
        file.write("id,text\n")
        file.writelines(f"{n:06},bill {n} for my broadband is too high\n" for n in range(rows))
    return path


@pytest.fixture
def make_config() -> Callable[..., Config]:
    """A function that makes a config from model entries, with absolute paths."""

    def make(*models: dict[str, Any], **sections: object) -> Config:
        return Config.model_validate({"models": list(models), **sections})

    return make


LIMITS = Limits()


class Serve(Protocol):
    """Makes a client of the HTTP API; see ``serve``."""

    def __call__(
        self, *models: dict[str, Any], limits: Limits = ..., tokens: tuple[str, ...] = ...
    ) -> TestClient: ...


@pytest.fixture
def serve(make_config: Callable[..., Config]) -> Iterator[Serve]:
    """A function that makes a client of the HTTP API over models, given as entries of a config.

    The API runs in this process, and no port is bound.
    """
    with ExitStack() as opened:

        def make(
            *models: dict[str, Any], limits: Limits = LIMITS, tokens: tuple[str, ...] = ()
        ) -> TestClient:
            settings_ = ServeSettings(make_config(*models), 2, tokens=tokens, limits=limits)
            api = opened.enter_context(open_api(settings_))
            return TestClient(api.app, raise_server_exceptions=False)

        yield make


class Labelf(Protocol):
    """Runs the command; see ``labelf``."""

    def __call__(
        self, *arguments: str | Path, stdin: bytes = ..., env: dict[str, str] | None = ...
    ) -> subprocess.CompletedProcess[bytes]: ...


@pytest.fixture
def labelf(tmp_path: Path) -> Labelf:
    """A function that runs the command in a process of its own, in an empty folder."""
    work = tmp_path / "work"
    work.mkdir()

    def call(
        *arguments: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "labelf_cli", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=work,
            env=env,
            timeout=120,
            check=False,
        )

    return call
