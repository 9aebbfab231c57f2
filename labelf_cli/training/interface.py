"""What a way of training gives: features of texts, and the files of a model over them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import ModelProto
from scipy.sparse import csr_matrix

Features: TypeAlias = csr_matrix | npt.NDArray[np.float64]
Weights: TypeAlias = npt.NDArray[np.float64]


class Recipe(ABC):
    """From texts to the features of a logistic regression, and from that to a model folder.

    Attributes:
        description: of the features, in words.
        inverse_regularisation: scikit-learn's ``C``, chosen by cross-validation on Banking77.
    """

    description: str
    inverse_regularisation: float

    @abstractmethod
    def features(self, texts: Sequence[str]) -> Features:
        """One row of features per text, [texts × features] float64."""

    @abstractmethod
    def graph(self, weights: Weights, bias: Weights) -> ModelProto:
        """The ONNX graph that gives logits.

        Args:
            weights: [features × labels].
            bias: [labels].
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What ``config.json`` says beside the labels."""

    @abstractmethod
    def files(self) -> dict[str, str]:
        """Content of further files, by name."""
