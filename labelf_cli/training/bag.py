"""A linear bag of subwords: a tokenizer trained on the texts, and the counts of its pieces."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper
from scipy.sparse import csr_matrix
from tokenizers import Tokenizer as HfTokenizer
from tokenizers import models, normalizers, pre_tokenizers, trainers

from labelf_cli.classifiers.folder import TOKENIZER
from labelf_cli.classifiers.tuning import TUNING
from labelf_cli.graphs.build import build_model
from labelf_cli.tokens import Tokenizer
from labelf_cli.training.interface import Recipe, Weights

PAD, UNKNOWN = "<pad>", "<unk>"

# Chosen on Banking77's training file by cross-validation.
VOCABULARY = 8000

TOKEN_BUDGET = 8192
"""So few operations a token that calls are what costs; a quarter of the time at 512."""


class BagOfSubwords(Recipe):
    """Counts of the pieces of a text, divided by the root of their number."""

    description = "pieces of words and how often they occur, with a tokenizer of its own"
    inverse_regularisation = 30.0

    def __init__(self, texts: Sequence[str]) -> None:
        """Train a tokenizer on the texts."""
        self._json = train_tokenizer(texts)
        self._tokenizer = Tokenizer(self._json.encode())

    def features(self, texts: Sequence[str]) -> csr_matrix:
        """See ``Recipe.features``."""
        ids = self._tokenizer.encode(list(texts))
        weights = np.repeat(1 / np.sqrt(np.maximum(ids.lengths, 1)), ids.lengths)
        ends = np.concatenate(([0], np.cumsum(ids.lengths)))
        shape = (len(ids.lengths), self._tokenizer.vocab_size)
        features = csr_matrix((weights, ids.flat, ends), shape=shape)
        features.sum_duplicates()
        return features

    def graph(self, weights: Weights, bias: Weights) -> ModelProto:
        """See ``Recipe.graph``."""
        return to_onnx(weights, bias)

    def config(self) -> dict[str, Any]:
        """See ``Recipe.config``."""
        return {"model_type": "labelf-bag-of-subwords", "pad_token_id": 0}

    def files(self) -> dict[str, str]:
        """See ``Recipe.files``."""
        config = {"pad_token": PAD, "unk_token": UNKNOWN, "model_max_length": int(1e30)}
        tuning = {"token_budget": TOKEN_BUDGET}
        return {
            TOKENIZER: self._json,
            "tokenizer_config.json": json.dumps(config, ensure_ascii=False, indent=2) + "\n",
            TUNING: json.dumps(tuning, indent=2) + "\n",
        }


def train_tokenizer(texts: Sequence[str]) -> str:
    """A Unigram tokenizer for these texts, as the content of ``tokenizer.json``.

    The trainer's scores differ from run to run in their last digits, and with them the order of
    the pieces; rounded and sorted they are the same every time.
    """
    tokenizer = HfTokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, UNKNOWN],
        unk_token=UNKNOWN,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    content = json.loads(tokenizer.to_str())
    special, pieces = content["model"]["vocab"][:2], content["model"]["vocab"][2:]
    rounded = [[piece, round(score, 2)] for piece, score in pieces]
    content["model"]["vocab"] = special + sorted(rounded, key=lambda p: (-p[1], p[0]))
    return json.dumps(content, ensure_ascii=False, indent=1)


def to_onnx(weights: Weights, bias: Weights) -> ModelProto:
    """The graph: ``input_ids``, ``attention_mask`` → ``logits``.

    The weights of a text's pieces are added up over the first axis, which onnxruntime does one row
    after the other, so that padding, whose row is zero, can't move a bit.

    Args:
        weights: [pieces × labels].
        bias: [labels].
    """
    rows = weights.astype(np.float32)
    rows[0] = 0  # padding
    constants = {
        "weights": rows,
        "bias": bias.astype(np.float32),
        "first_axis": np.array([0]),
        "second_axis": np.array([1]),
        "one": np.array(1, np.float32),
    }
    shape = ["batch", "sequence"]
    return build_model(
        "bag_of_subwords",
        _nodes(),
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, shape)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(bias)])],
        constants,
    )


def _nodes() -> list[NodeProto]:
    """The operators, in the order in which they run."""
    return [
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["pieces"]),
        helper.make_node("Transpose", ["pieces"], ["by_place"], perm=[1, 0]),
        helper.make_node("Gather", ["weights", "by_place"], ["rows"], axis=0),
        helper.make_node("ReduceSum", ["rows", "first_axis"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["attention_mask", "second_axis"], ["count"], keepdims=1),
        helper.make_node("Cast", ["count"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Max", ["number", "one"], ["at_least_one"]),
        helper.make_node("Sqrt", ["at_least_one"], ["root"]),
        helper.make_node("Div", ["sum", "root"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["logits"]),
    ]
