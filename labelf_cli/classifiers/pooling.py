"""How the vectors of the tokens become one embedding, by the rules of sentence-transformers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.errors import ModelError
from labelf_cli.predictions import Floats
from labelf_cli.tokens import Ints

# torch.nn.functional.normalize divides by no less.
_LEAST_NORM = 1e-12

Pool = Callable[[Floats, Ints], Floats]
"""Vectors of all tokens [tokens × width] and where each text begins among them → one a text."""


def _mean(vectors: Floats, starts: Ints) -> Floats:
    counts = np.diff(starts, append=len(vectors)).astype(np.float32)
    return np.asarray(np.add.reduceat(vectors, starts, axis=0) / counts[:, None], np.float32)


def _max(vectors: Floats, starts: Ints) -> Floats:
    return np.asarray(np.maximum.reduceat(vectors, starts, axis=0), np.float32)


def _cls(vectors: Floats, starts: Ints) -> Floats:
    return vectors[starts]


_POOLS: dict[str, Pool] = {"mean": _mean, "max": _max, "cls": _cls}

# Names of the older files of sentence-transformers.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
}


@dataclass(frozen=True)
class Pooling:
    """What a folder's Pooling and Normalize say.

    Attributes:
        mode: mean, max or cls.
        normalises: whether embeddings are brought to unit length.
    """

    mode: str
    normalises: bool

    @classmethod
    def of(cls, folder: ModelFolder) -> "Pooling":
        """By ``modules.json``.

        Without one, mean pooling and no more: what sentence-transformers does with a plain encoder.

        Raises:
            ModelError: it is broken, or names a module or a pooling that labelf does not know.
        """
        mode, normalises = "mean", False
        for kind, path in _modules(folder):
            if kind == "Pooling":
                mode = _mode(folder, f"{path or '.'}/config.json")
            elif kind == "Normalize":
                normalises = True
            elif kind != "Transformer":
                raise ModelError(
                    f"labelf does not know the module {kind}",
                    where=folder.path / "modules.json",
                    todo="Export the encoder with it inside the graph, as sentence_embedding",
                )
        return cls(mode, normalises)

    @property
    def rule(self) -> str:
        """In words."""
        return f"{self.mode} pooling" + (", unit length" if self.normalises else "")

    def pool(self, vectors: Floats, attention_mask: Ints) -> Floats:
        """Embeddings of texts, [texts × width] float32.

        Args:
            vectors: of their tokens, [texts × length × width] float32.
            attention_mask: which of these are no padding, [texts × length].

        Raises:
            ValueError: a text has no token.
        """
        is_token = attention_mask.astype(bool)
        lengths = is_token.sum(axis=1)
        if not lengths.all():
            raise ValueError("a text without tokens has no embedding")
        # Laid one after the other without padding, so that padding can't move a bit.
        pooled = _POOLS[self.mode](vectors[is_token], np.cumsum(lengths) - lengths)
        if not self.normalises:
            return pooled
        norms = np.sqrt((pooled * pooled).sum(axis=1, keepdims=True))
        return np.asarray(pooled / np.maximum(norms, np.float32(_LEAST_NORM)))


def _modules(folder: ModelFolder) -> list[tuple[str, str]]:
    """Kind and folder of each module."""
    try:
        return [
            (module["type"].rsplit(".", 1)[-1], str(module.get("path", "")))
            for module in folder.read_json("modules.json")
        ]
    except (AttributeError, KeyError, TypeError):
        raise ModelError(
            "not a list of modules with a type each",
            where=folder.path / "modules.json",
            todo="Export the encoder again",
        ) from None


def _mode(folder: ModelFolder, file: str) -> str:
    config: dict[str, Any] = folder.read_json(file)
    flags = [key for key, value in config.items() if key.startswith("pooling_mode_") and value]
    modes = config.get("pooling_mode", [_FLAGS.get(flag, flag) for flag in flags] or ["mean"])
    mode = modes if isinstance(modes, str) else " and ".join(modes)
    if mode not in _POOLS:
        raise ModelError(
            f"labelf does not know the pooling {mode}",
            where=folder.path / file,
            todo="Export the encoder with its pooling inside the graph, as sentence_embedding",
        )
    return mode
