"""A model folder as Optimum, transformers.js and ``labelf train`` write it: which file is what."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import onnxruntime as ort
from pydantic import ValidationError

from labelf_cli.classifiers.digest import sha256
from labelf_cli.classifiers.files import read_json, refuse_impostors, require_inside
from labelf_cli.classifiers.graph_file import graph_files, read_probabilities
from labelf_cli.classifiers.interface import Because
from labelf_cli.classifiers.max_length import longest, pad_token_id
from labelf_cli.classifiers.tuning import TUNING, Tuning
from labelf_cli.errors import ModelError
from labelf_cli.graphs.pipeline import Pipeline
from labelf_cli.tokens import Template, Tokenizer

TOKENIZER = "tokenizer.json"
SETFIT = "config_setfit.json"
ENCODER_KEY = "labelf_encoder"
"""Key of a head's ``config.json``: the identity of the encoder that it was trained on."""


def choose_graph(names: Iterable[str], where: object) -> str:
    """The graph among the files of a model: a usual one, else the only one.

    Args:
        names: of files, relative to the model's folder.
        where: the model is, for the error.

    Raises:
        ModelError: there is none, or several without a rule to choose.
    """
    graphs = sorted(name for name in names if name.endswith(".onnx"))
    found = [name for name in graphs if name.removeprefix("onnx/").count("/") == 0]
    for usual in ("model.onnx", "onnx/model.onnx"):
        if usual in found:
            return usual
    if len(found) == 1:
        return found[0]
    if not graphs:
        raise ModelError(
            "no .onnx file in the model folder", where=where, todo="Export the model to ONNX"
        )
    raise ModelError(
        f"several .onnx files: {', '.join(found)}"
        if found
        else f"its .onnx files stand in no usual place: {', '.join(graphs)}",
        where=where,
        todo='Choose with file = "…" in the config',
    )


@dataclass(frozen=True)
class ModelFolder:
    """The files of one model.

    Attributes:
        onnx: the graph.
        path: the folder with ``tokenizer.json`` and ``config.json``.
    """

    onnx: Path
    path: Path

    @classmethod
    def find(cls, path: Path, file: str | None) -> "ModelFolder":
        """Resolve a model's path (see ``_locate``).

        Raises:
            ModelError: nothing is found, several files are without a rule to choose, or the file
                lies outside the folder.
        """
        found = cls._locate(path, file)
        require_inside(found.onnx, found.path)
        return found

    @classmethod
    def _locate(cls, path: Path, file: str | None) -> "ModelFolder":
        """Where a model's files are.

        ``model.onnx``, else ``onnx/model.onnx``, else the only ``.onnx`` file in the folder or its
        ``onnx/``; ``file`` picks one.
        """
        if path.is_file():
            in_hub_layout = path.parent.name == "onnx" and not (path.parent / TOKENIZER).is_file()
            return cls(path, path.parent.parent if in_hub_layout else path.parent)
        if not path.is_dir():
            raise ModelError(
                "no such model folder", where=path, todo="Correct the model's path in the config"
            )
        if file is not None:
            if not (path / file).is_file():
                raise ModelError(
                    f"no file '{file}' in the model folder",
                    where=path,
                    todo="Correct file in the config",
                )
            return cls(path / file, path)
        found = [*path.glob("*.onnx"), *path.glob("onnx/*.onnx")]
        name = choose_graph((file.relative_to(path).as_posix() for file in found), path)
        return cls(path / name, path)

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's file.

        Raises:
            ModelError: another thing stands in its place, or it lies outside the folder.
        """
        path = self.path / TOKENIZER
        require_inside(path, self.path)
        if path.exists():
            refuse_impostors(path, "a tokenizer")
        return path

    @cached_property
    def config(self) -> dict[str, Any]:
        """Content of ``config.json``; empty where there is none."""
        return self._json("config.json")

    @cached_property
    def tokenizer_config(self) -> dict[str, Any]:
        """Content of ``tokenizer_config.json``; empty where there is none."""
        return self._json("tokenizer_config.json")

    @cached_property
    def setfit(self) -> dict[str, Any]:
        """Content of ``config_setfit.json``; empty where there is none."""
        return self._json(SETFIT)

    @cached_property
    def head(self) -> Pipeline:
        """What the graph says of its head, if SetFit has made it: that may be scikit-learn's."""
        return read_probabilities(self.onnx) if self.setfit else Pipeline("", ())

    @cached_property
    def tuning(self) -> Tuning:
        """Content of ``labelf.json``; the defaults where there is none.

        Raises:
            ModelError: it is not what ``labelf optimize`` writes.
        """
        try:
            return Tuning.model_validate(self._json(TUNING))
        except ValidationError as error:
            reasons = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
            raise ModelError(
                f"can't be used ({reasons})",
                where=self.path / TUNING,
                todo="Remove it, or run labelf optimize again",
            ) from None

    def _json(self, name: str) -> dict[str, Any]:
        content = self.read_json(name)
        if not isinstance(content, dict):
            raise ModelError("not a JSON object", where=self.path / name)
        return content

    def read_json(self, name: str) -> Any:  # noqa: ANN401  # it is what the file says
        """Content of a JSON file of the folder; empty where there is none.

        Raises:
            ModelError: it can't be read, or lies outside the folder.
        """
        return read_json(self.path / name, self.path)

    @cached_property
    def graph_files(self) -> tuple[Path, ...]:
        """The graph and its external data.

        Raises:
            ModelError: see ``graph_files``.
        """
        return graph_files(self.onnx, self.path)

    @property
    def num_bytes(self) -> int:
        """Size of the graph with its external data."""
        return sum(file.stat().st_size for file in self.graph_files)

    @cached_property
    def files_digest(self) -> str:
        """SHA-256 over the graph and its external data."""
        digest = hashlib.sha256()
        for path in self.graph_files:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides what the graph makes of its inputs."""
        decides = (self.files_digest, self.tuning.disabled_optimizers, ort.__version__)
        return sha256(decides)

    def max_length(self, given: int | None) -> Because[int | None]:
        """The longest sequence in tokens: the least of what the files and the config allow."""
        sentence_bert = self._json("sentence_bert_config.json")
        return longest(self.config, self.tokenizer_config, sentence_bert, given)

    def template(self, tokenizer: Tokenizer) -> Template:
        """How the export pads and cuts."""
        config = self.tokenizer_config
        pad_token = config.get("pad_token")
        if isinstance(pad_token, dict):
            pad_token = pad_token.get("content")
        pad_id = tokenizer.token_id(pad_token) if pad_token else None
        if pad_id is None:
            pad_id = pad_token_id(self.config)
        return tokenizer.template(
            pad_id,
            pad_left=config.get("padding_side") == "left",
            cut_left=config.get("truncation_side") == "left",
        )
