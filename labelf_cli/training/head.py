"""A head over a frozen encoder: the features of a text are its embedding."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from onnx import ModelProto, TensorProto, helper

from labelf_cli.chunk import text_chunks
from labelf_cli.classifiers.encoder import Embedder, Encoder
from labelf_cli.classifiers.folder import ENCODER_KEY
from labelf_cli.cores import usable_cores
from labelf_cli.errors import InputError
from labelf_cli.graphs.build import build_model
from labelf_cli.labeller import Labeller
from labelf_cli.training.interface import Recipe, Weights


class EncoderHead(Recipe):
    """Embeddings by the kernel that classifies, so that training and use see the same bits."""

    inverse_regularisation = 30.0

    def __init__(self, path: Path) -> None:
        """Read an encoder's files.

        Raises:
            ModelError: a file is missing or broken.
        """
        self._encoder = Encoder(path, None, {})
        self._scale = 1.0
        self.description = f"embeddings of the frozen encoder `{self._encoder.identity[:12]}`"

    def features(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """See ``Recipe.features``; of mean square 1, as regularisation counts on.

        Raises:
            ModelError: the encoder can't be loaded.
            InputError: it fails for a text.
        """
        with Labeller([Embedder(self._encoder)], usable_cores()) as labeller:
            answers = [its for _, its in labeller.load().label(text_chunks(texts))]
        errors = pa.chunked_array([its.errors for its in answers]).drop_null()
        if len(errors):
            raise InputError(
                f"gives {len(errors)} of the texts no embedding ({errors[0]})",
                where=self._encoder.graph.folder.path,
                todo="Leave them out",
            )
        embeddings = np.concatenate([its.scores[0] for its in answers])
        features = embeddings.astype(np.float64)
        self._scale = 1 / float(np.sqrt(np.square(features).sum(axis=1).mean()))
        return features * self._scale

    def graph(self, weights: Weights, bias: Weights) -> ModelProto:
        """See ``Recipe.graph``: ``embedding`` → ``logits``."""
        width, labels = weights.shape
        constants = {
            "weights": (weights * self._scale).astype(np.float32),
            "bias": bias.astype(np.float32),
        }
        return build_model(
            "head",
            [helper.make_node("Gemm", ["embedding", "weights", "bias"], ["logits"])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", width])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
            constants,
        )

    def config(self) -> dict[str, Any]:
        """See ``Recipe.config``."""
        return {"model_type": "labelf-encoder-head", ENCODER_KEY: self._encoder.identity}

    def files(self) -> dict[str, str]:
        """See ``Recipe.files``."""
        return {}
