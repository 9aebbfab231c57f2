"""Long texts by windows: the same as each window computed by hand, and pooled."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest
from conftest import SHARED, WORDS, Moves, WriteModel, needs_shared, write_encoder, write_head
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as HfTokenizer

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.config import Config
from labelf_cli.errors import ConfigError
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Floats, Status
from labelf_cli.sequences import windows
from labelf_cli.tokens import TokenIds

POOLS: dict[str, Callable[[Floats], Floats]] = {
    "mean": lambda scores: scores.astype(np.float64).mean(axis=0),
    "max": lambda scores: scores.max(axis=0),
    "first": lambda scores: scores[0],
}


def classify(config: Config, texts: list[str], threads: int = 2) -> Answers:
    with Labeller.open(config, threads) as labeller:
        batch = pa.record_batch({TEXT: pa.array(texts)})
        return labeller.load().submit(Chunk(0, 0, batch)).result(60)


def cut(tokenizer: HfTokenizer, text: str, size: int, stride: int) -> list[list[int]]:
    """The windows of a text with their special tokens, by Hugging Face's tokenizers."""
    tokenizer.enable_truncation(size, stride=stride)
    first = tokenizer.encode(text)
    return [window.ids for window in (first, *first.overflowing)]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 12), st.data())
def test_windows_are_those_of_the_tokenizers_library(
    lengths: list[int], size: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(0, size - 1))
    ids = TokenIds.of([list(range(length)) for length in lengths])
    rows = np.array(data.draw(st.permutations(range(len(lengths)))))
    parts, counts = windows(ids, rows, size, stride)
    found = [
        parts.flat[start : start + length].tolist()
        for start, length in zip(parts.starts, parts.lengths, strict=True)
    ]
    tokenizer = HfTokenizer.from_str(_NUMBERS)
    expected = [
        cut(tokenizer, " ".join(map(str, range(lengths[row]))), size, stride) for row in rows
    ]
    assert counts.tolist() == list(map(len, expected))
    assert found == [window for its in expected for window in its]


def _numbers() -> str:
    from tokenizers import models, pre_tokenizers

    tokenizer = HfTokenizer(models.WordLevel({str(i): i for i in range(60)}, unk_token="0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return str(tokenizer.to_str())


_NUMBERS = _numbers()


def make_texts(longest: int) -> list[str]:
    """Texts of 1 to so many words: known and unknown ones, several languages, emoji."""
    dice = Random(1)
    words = [*WORDS[4:], "räkningen", "счёт", "请求书", "👩‍👩‍👧", "unheard"]
    counts = [1, 2, 5, 6, 7, 8, 9, 60, 61, 62, 63, 500, longest]
    return [" ".join(dice.choices(words, k=count)) for count in counts]


def softmax(logits: Floats) -> Floats:
    e = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True), np.float32)


def by_hand(
    folder: Path, texts: list[str], size: int, stride: int, pool: Callable[[Floats], Floats]
) -> Floats:
    """Each window in a call of its own, softmax, pooling."""
    session = ort.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    tokenizer = HfTokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    scores = []
    for text in texts:
        logits = []
        for ids in cut(tokenizer, text, size, stride):
            feeds = {
                "input_ids": np.array([ids]),
                "attention_mask": np.ones((1, len(ids)), np.int64),
                "token_type_ids": np.zeros((1, len(ids)), np.int64),
            }
            (answer,) = session.run(["logits"], {name: feeds[name] for name in names})
            logits.append(answer[0])
        scores.append(pool(softmax(np.array(logits))))
    return np.array(scores, np.float32)


@pytest.mark.parametrize("pooling", POOLS)
@pytest.mark.parametrize(("size", "stride"), [(10, 0), (10, 3), (64, 0), (64, 61), (300, 64)])
def test_scores_are_those_of_the_windows_pooled(
    write_model: WriteModel,
    make_config: Callable[..., Config],
    pooling: str,
    size: int,
    stride: int,
) -> None:
    path = write_model(tokenizer_config={"model_max_length": 512})
    keys = {"on_long": "window", "pooling": pooling, "stride": stride, "max_length": size}
    texts = make_texts(20_000)
    answers = classify(make_config({"name": "m", "path": path, **keys}), texts)
    expected = by_hand(path, texts, size, stride, POOLS[pooling])
    np.testing.assert_allclose(answers.scores[0], expected, rtol=0, atol=1e-6)
    is_cut = [pooling == "first" and len(text.split()) > size - 2 for text in texts]
    assert answers.status.tolist() == [Status.TRUNCATED if c else Status.OK for c in is_cut]


@pytest.mark.parametrize("moves", [None, "padding", "batch"])
def test_a_score_has_the_same_bits_in_any_company(
    write_model: WriteModel, make_config: Callable[..., Config], moves: Moves | None
) -> None:
    path = write_model(moves=moves)
    config = make_config({"name": "m", "path": path, "on_long": "window", "max_length": 12})
    texts = make_texts(700)
    together = classify(config, texts).scores[0]
    alone = np.concatenate([classify(config, [text], threads=1).scores[0] for text in texts[-4:]])
    assert together[-4:].tobytes() == alone.tobytes()


def test_members_of_one_run_may_pool_and_activate_otherwise(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    path = write_model()
    keys = {"path": path, "on_long": "window", "max_length": 12, "stride": 2}
    own: list[dict[str, Any]] = [
        {"name": "a"},
        {"name": "b", "pooling": "max"},
        {"name": "c", "pooling": "first"},
        {"name": "d", "activation": "sigmoid"},
        {"name": "e", "calibration_temperature": 2.5},
    ]
    entries = [keys | its for its in own]
    texts = make_texts(200)
    together = classify(make_config(*entries), texts)
    assert together.spent.calls == classify(make_config(entries[0]), texts).spent.calls
    for number, entry in enumerate(entries):
        alone = classify(make_config(entry), texts)
        assert together.scores[number].tobytes() == alone.scores[0].tobytes()


def test_heads_of_an_encoder_see_windows_too(
    tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    encoder = write_encoder(tmp_path / "encoder")
    head = write_head(tmp_path / "head", encoder)
    keys = {"name": "m", "path": head, "encoder": encoder, "max_length": 12, "stride": 0}
    text = " ".join(Random(3).choices(WORDS[4:], k=25))
    words = text.split()
    parts = [" ".join(words[i : i + 10]) for i in range(0, 25, 10)]
    whole = classify(make_config(keys | {"on_long": "window"}), [text]).scores[0]
    each = classify(make_config(keys), parts).scores[0]
    np.testing.assert_allclose(whole[0], each.mean(axis=0), rtol=0, atol=1e-6)


def test_a_window_that_fails_fails_its_text_alone(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    path = write_model(nan_word="signal")
    config = make_config({"name": "m", "path": path, "on_long": "window", "max_length": 8})
    answers = classify(config, ["my bill " * 20, "my bill " * 20 + "signal", "tv"])
    assert answers.status.tolist() == [Status.OK, Status.FAILED, Status.OK]


def test_a_cache_knows_pooled_scores_by_what_pools_them(
    write_model: WriteModel, make_config: Callable[..., Config], tmp_path: Path
) -> None:
    path, texts = write_model(), make_texts(300)
    keys = {"name": "m", "path": path, "on_long": "window", "max_length": 12}
    own: list[dict[str, Any]] = [{}, {"pooling": "max"}, {"stride": 5}, {"activation": "sigmoid"}]
    own.append({"calibration_temperature": 2})
    for more in (*own, {"threshold": 0.3}):
        config = make_config(keys | more)
        with Labeller.open(config, 2, tmp_path / "cache") as labeller:
            batch = pa.record_batch({TEXT: pa.array(texts)})
            answers = labeller.load().submit(Chunk(0, 0, batch)).result(60)
        assert answers.spent.cached == (len(texts) if "threshold" in more else 0)
        assert answers.scores[0].tobytes() == classify(config, texts).scores[0].tobytes()


def test_what_leaves_nothing_new_for_a_window_is_refused(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    keys = {"on_long": "window", "max_length": 12, "stride": 10}
    with pytest.raises(ConfigError) as refused:
        Labeller.open(make_config({"name": "m", "path": write_model(), **keys}), 1)
    assert str(refused.value) == (
        "model 'm', stride: 10 leaves nothing new for a window of 10 tokens. "
        "Choose a smaller one, or a larger max_length"
    )


@needs_shared
@pytest.mark.parametrize("stride", [0, 64])
def test_a_real_model_by_windows(stride: int, make_config: Callable[..., Config]) -> None:
    path = SHARED / "models" / "tweet-emotion"
    tweets = (SHARED / "data" / "tweets_emotion_test.csv").read_text("utf-8").split()
    texts = [" ".join(tweets[:count]) for count in (1, 100, 1500)]
    keys = {"on_long": "window", "max_length": 128, "stride": stride}
    answers = classify(make_config({"name": "m", "path": path, **keys}), texts)
    expected = by_hand(path, texts, 128, stride, POOLS["mean"])
    np.testing.assert_allclose(answers.scores[0], expected, rtol=0, atol=1e-6)
