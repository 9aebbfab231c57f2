"""A model folder as Optimum, transformers.js and ``labelf train`` write it: which file is what."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from labelf_cli.classifiers.interface import Because
from labelf_cli.config import Activation
from labelf_cli.errors import ModelError

# transformers writes 1e30 where a tokenizer has no limit.
_SANE_LENGTH = 1_000_000

# Families whose positions start behind the padding token, so that the position table is longer
# than the longest text: those that call create_position_ids_from_input_ids in transformers.
_RESERVED_POSITIONS = {
    "camembert",
    "data2vec-text",
    "ibert",
    "longformer",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}


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
        """Resolve a model's path.

        ``model.onnx``, else ``onnx/model.onnx``, else the only ``.onnx`` file in the folder or its
        ``onnx/``; ``file`` picks one.

        Raises:
            ModelError: there is none, or more than one without a rule to choose.
        """
        if path.is_file():
            return cls(path, path.parent)
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
        for usual in (path / "model.onnx", path / "onnx" / "model.onnx"):
            if usual.is_file():
                return cls(usual, path)
        found = sorted([*path.glob("*.onnx"), *path.glob("onnx/*.onnx")])
        if len(found) == 1:
            return cls(found[0], path)
        names = ", ".join(candidate.relative_to(path).as_posix() for candidate in found)
        raise ModelError(
            f"several .onnx files: {names}" if found else "no .onnx file in the model folder",
            where=path,
            todo='Choose with file = "…" in the config' if found else "Export the model to ONNX",
        )

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's file."""
        return self.path / "tokenizer.json"

    @cached_property
    def config(self) -> dict[str, Any]:
        """Content of ``config.json``; empty where there is none."""
        return self._json("config.json")

    @cached_property
    def tokenizer_config(self) -> dict[str, Any]:
        """Content of ``tokenizer_config.json``; empty where there is none."""
        return self._json("tokenizer_config.json")

    def _json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ModelError(
                f"can't be read as JSON ({error})", where=path, todo="Export the model again"
            ) from None
        if not isinstance(content, dict):
            raise ModelError("not a JSON object", where=path)
        return content

    @property
    def num_bytes(self) -> int:
        """Size of the graph with its external data."""
        return sum(f.stat().st_size for f in self.onnx.parent.glob(f"{self.onnx.name}*"))

    def labels(self, given: tuple[str, ...] | None) -> Because[tuple[str, ...]] | None:
        """The labels in the order of the logits, None where only the graph can tell how many."""
        if given is not None:
            return Because(given, "labels in the config")
        by_position = self.config.get("id2label")
        if not by_position:
            return None
        try:
            labels = tuple(str(by_position[str(i)]) for i in range(len(by_position)))
        except (KeyError, TypeError):
            raise ModelError(
                "id2label does not name the labels from 0 on",
                where=self.path / "config.json",
                todo="Give labels in the config",
            ) from None
        return Because(labels, "id2label of config.json")

    def activation(self, given: Activation | None, num_labels: int) -> Because[Activation]:
        """The activation that the export implies.

        The rule is that of transformers' TextClassificationPipeline.postprocess.
        """
        if given is not None:
            return Because(given, "activation in the config")
        problem = self.config.get("problem_type")
        if problem == "regression":
            return Because("none", "problem_type is regression")
        if problem == "multi_label_classification":
            return Because("sigmoid", "problem_type is multi_label_classification")
        if num_labels == 1:
            return Because("sigmoid", "one label")
        if problem == "single_label_classification":
            return Because("softmax", "problem_type is single_label_classification")
        return Because("softmax", "several labels and no problem_type")

    def max_length(self, given: int | None) -> Because[int | None]:
        """The longest sequence in tokens: the least of what the files and the config allow."""
        limits: list[Because[int]] = []
        model_max_length = self.tokenizer_config.get("model_max_length")
        if isinstance(model_max_length, int | float) and 0 < model_max_length <= _SANE_LENGTH:
            limits.append(Because(int(model_max_length), "model_max_length of the tokenizer"))
        positions = self.config.get("max_position_embeddings")
        if isinstance(positions, int) and positions > 0:
            rule = "max_position_embeddings"
            if self.config.get("model_type") in _RESERVED_POSITIONS:
                reserved = int(self.config.get("pad_token_id") or 0) + 1
                positions, rule = positions - reserved, f"{rule} less {reserved} reserved"
            limits.append(Because(positions, rule))
        if given is not None:
            limits.append(Because(given, "max_length in the config"))
        if not limits:
            return Because(None, "no limit known")
        least = min(limits, key=lambda limit: limit.value)
        return Because(least.value, least.rule)

    def pad_token(self) -> str | None:
        """The padding token as ``tokenizer_config.json`` names it."""
        token = self.tokenizer_config.get("pad_token")
        return token.get("content") if isinstance(token, dict) else token
