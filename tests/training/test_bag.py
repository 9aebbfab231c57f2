"""The bag of subwords: its features by hand, and a graph that gives what they come to."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HfTokenizer

from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.config import ModelConfig
from labelf_cli.tokens import TokenIds
from labelf_cli.training.bag import PAD, UNKNOWN, BagOfSubwords

WORDS = ["bill", "invoice", "amount", "signal", "roaming", "screen", "remote", "räkning"]
TEXTS = [f"my {one} and the {two}" for one in WORDS for two in WORDS]
BAG = BagOfSubwords(TEXTS)
TOKENIZER = HfTokenizer.from_str(BAG.files()["tokenizer.json"])

texts = st.lists(st.lists(st.sampled_from([*WORDS, "unheard", "日本"])).map(" ".join), min_size=1)


def by_hand(text: str) -> npt.NDArray[np.float64]:
    """Counts of the pieces of a text, divided by the root of their number."""
    features = np.zeros(TOKENIZER.get_vocab_size())
    ids = TOKENIZER.encode(text).ids
    for piece, count in Counter(ids).items():
        features[piece] = count / np.sqrt(len(ids))
    return features


@given(texts)
@example(["a", ""])  # one piece, and none
def test_features_are_counts_by_the_root_of_their_number(its: list[str]) -> None:
    features = BAG.features(its)
    assert features.has_canonical_format
    np.testing.assert_allclose(features.toarray(), [by_hand(text) for text in its], rtol=1e-12)


WEIGHTS = np.random.default_rng(0).normal(size=(TOKENIZER.get_vocab_size(), 5))
BIAS = np.random.default_rng(1).normal(size=5)


class TestGraph:
    @pytest.fixture
    def model(self, tmp_path_factory: pytest.TempPathFactory) -> OnnxClassifier:
        folder = tmp_path_factory.mktemp("bag")
        for name, content in BAG.files().items():
            (folder / name).write_text(content, "utf-8")
        onnx.save(BAG.graph(WEIGHTS, BIAS), folder / "model.onnx")
        config = ModelConfig(name="m", path=folder, labels=tuple("abcde"))
        return OnnxClassifier([config], {})

    def test_is_valid(self) -> None:
        onnx.checker.check_model(BAG.graph(WEIGHTS, BIAS), full_check=True)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(texts)
    def test_gives_the_products_of_features_and_weights(
        self, model: OnnxClassifier, its: list[str]
    ) -> None:
        ids = model.tokenizer.encode(its)
        (logits,) = model.logits(ids, np.arange(len(its)))
        expected = BAG.features(its) @ WEIGHTS + BIAS
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)

    def test_counts_no_padding(self, model: OnnxClassifier) -> None:
        (alone,) = model.logits(TokenIds.of([[5]]), np.zeros(1, np.int64))
        (padded,) = model.logits(TokenIds.of([[5], [6] * 20]), np.arange(2))
        assert padded[0].tobytes() == alone[0].tobytes()
        np.testing.assert_allclose(alone[0], WEIGHTS[5] + BIAS, rtol=1e-6)
        # Padding has a row of weights, which is not to be used.
        (padding,) = model.logits(TokenIds.of([[0]]), np.zeros(1, np.int64))
        np.testing.assert_allclose(padding[0], BIAS, rtol=1e-6)


class TestTokenizer:
    def test_is_the_same_every_time(self) -> None:
        assert BagOfSubwords(TEXTS).files() == BAG.files()

    def test_knows_its_special_pieces(self) -> None:
        assert [TOKENIZER.id_to_token(place) for place in (0, 1)] == [PAD, UNKNOWN]
        assert TOKENIZER.encode("日").ids[-1] == 1

    @pytest.mark.parametrize("other", ["BILL", "Bill", "ｂｉｌｌ"])
    def test_does_not_tell_letters_by_their_case_or_width(self, other: str) -> None:
        assert TOKENIZER.encode(other).ids == TOKENIZER.encode("bill").ids

    def test_makes_no_piece_of_letters_and_punctuation(self) -> None:
        assert TOKENIZER.pre_tokenizer is not None
        words = TOKENIZER.pre_tokenizer.pre_tokenize_str("my bill.")
        assert [word for word, _ in words] == ["▁my", "▁bill", "."]


def test_files_are_those_of_a_model_folder_without_a_limit(tmp_path: Path) -> None:
    for name, content in BAG.files().items():
        (tmp_path / name).write_text(content, "utf-8")
    (tmp_path / "config.json").write_text(json.dumps(BAG.config()))
    (tmp_path / "model.onnx").touch()
    folder = ModelFolder.find(tmp_path, None)
    assert folder.max_length(None) == (None, "no limit known")
    # Its graph is so small that a call costs more than its tokens.
    assert folder.tuning.token_budget == 8192
