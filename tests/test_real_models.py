"""Real models, which stand beside the checkout (see ``../shared/README.md``)."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from conftest import SHARED, needs_shared
from tokenizers import Tokenizer as HfTokenizer

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.encoder import Embedder, Encoder
from labelf_cli.classifiers.interface import Batching
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.config import Config
from labelf_cli.errors import ModelError
from labelf_cli.evaluation.labelled import LabelledTable
from labelf_cli.jobs.evaluate import EvaluateSettings, evaluate
from labelf_cli.jobs.train import TrainSettings, train
from labelf_cli.jobs.tune import TuneSettings, tune
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status
from labelf_cli.tokens import Tokenizer

pytestmark = needs_shared

TWEETS = SHARED / "models/tweet-emotion"
MINILM = SHARED / "models/minilm-l6-v2"


def config_of(path: Path) -> Config:
    return Config.model_validate({"models": [{"name": "m", "path": path}]})


def classify(labeller: Labeller, *texts: str) -> Answers:
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    return labeller.submit(Chunk(0, 0, batch)).result()


@pytest.fixture(scope="module")
def tweets() -> Iterator[Labeller]:
    """The labeller of tweet-emotion, on two threads."""
    with Labeller.open(config_of(TWEETS), threads=2) as labeller:
        yield labeller.load()


@pytest.fixture(scope="module")
def reference() -> list[dict[str, Any]]:
    """Texts with the scores that the PyTorch original gives them, best first."""
    with (TWEETS / "reference.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def answers(tweets: Labeller, reference: list[dict[str, Any]]) -> Answers:
    return classify(tweets, *(row["text"] for row in reference))


class TestTweetEmotion:
    def test_every_label_is_that_of_the_original(
        self, tweets: Labeller, reference: list[dict[str, Any]], answers: Answers
    ) -> None:
        labels = tweets.models[0].labels.value
        ranked = [[labels[place] for place in row] for row in answers.accepted[0].labels]
        expected = [[found["label"] for found in row["predictions"]] for row in reference]
        assert ranked == expected

    def test_every_score_is_that_of_the_original(
        self, tweets: Labeller, reference: list[dict[str, Any]], answers: Answers
    ) -> None:
        labels = tweets.models[0].labels.value
        scores = [
            {found["label"]: found["score"] for found in row["predictions"]} for row in reference
        ]
        expected = [[row[label] for label in labels] for row in scores]
        np.testing.assert_allclose(answers.scores[0], expected, rtol=0, atol=1e-5)

    def test_exactly_the_texts_of_over_512_tokens_are_truncated(
        self, reference: list[dict[str, Any]], answers: Answers
    ) -> None:
        tokenizer = HfTokenizer.from_file(str(TWEETS / "tokenizer.json"))
        tokenizer.no_truncation()
        long = [len(tokenizer.encode(row["text"]).ids) > 512 for row in reference]
        assert any(long)
        assert answers.status.tolist() == [Status.TRUNCATED if its else Status.OK for its in long]

    def test_its_texts_may_share_padded_batches(self, tweets: Labeller) -> None:
        assert tweets.batching[0].value is Batching.PADDED

    def test_a_score_has_the_same_bits_in_any_company(
        self, tweets: Labeller, reference: list[dict[str, Any]], answers: Answers
    ) -> None:
        for row in range(0, len(reference), 5):
            (alone,) = classify(tweets, reference[row]["text"]).scores[0]
            assert alone.tobytes() == answers.scores[0][row].tobytes()

    def test_long_texts_have_the_same_bits_in_any_company(
        self, tweets: Labeller, reference: list[dict[str, Any]]
    ) -> None:
        words = " ".join(row["text"] for row in reference).split()
        texts = [" ".join(words[i : i + 50 * i]) for i in (1, 2, 3, 4, 5, 6)]
        together = classify(tweets, *texts).scores[0]
        for text, among_others in zip(texts, together, strict=True):
            (alone,) = classify(tweets, text).scores[0]
            assert alone.tobytes() == among_others.tobytes()

    def test_the_truncation_in_its_tokenizer_is_cleared(self, tweets: Labeller) -> None:
        # Each word is one token; tokenizer.json says truncation at 128.
        beginning = "the " * 126
        answers = classify(tweets, beginning, beginning + "i am so angry and furious " * 10)
        assert answers.status.tolist() == [Status.OK, Status.OK]
        first, whole = answers.scores[0]
        assert np.abs(first - whole).max() > 0.01

    def test_a_text_is_cut_where_the_positions_end(self, tweets: Labeller) -> None:
        longest = "the " * 510
        answers = classify(tweets, longest, longest + "i am so angry")
        assert answers.status.tolist() == [Status.OK, Status.TRUNCATED]
        assert answers.scores[0][0].tobytes() == answers.scores[0][1].tobytes()


class TestMiniLm:
    def test_quantised_on_the_fly_it_gets_one_text_a_call(self) -> None:
        batching, rule = Embedder(Encoder(MINILM, None, {})).load()
        assert batching is Batching.ONE_TEXT
        assert rule.startswith("texts that share a call moved logits by up to ")

    def test_truncation_and_padding_in_its_tokenizer_are_cleared(self) -> None:
        tokenizer = Tokenizer.load(MINILM / "tokenizer.json")
        assert tokenizer.encode(["the " * 400, "the", ""]).lengths.tolist() == [400, 1, 0]

    def test_without_a_head_it_is_refused_as_a_classifier(self) -> None:
        classifier = OnnxClassifier(config_of(MINILM).local_models, {})
        with pytest.raises(ModelError, match=r"model_quantized\.onnx"):
            classifier.load()

    @pytest.mark.long
    def test_a_head_over_it_knows_what_customers_of_a_bank_want(self, tmp_path: Path) -> None:
        """Banking77: 0.929 of the test file's 3,080 texts; half a minute, most of it training."""
        inputs = (str(SHARED / "data/banking77_train.csv"),)
        settings = TrainSettings(inputs, ("category",), tmp_path / "head", folds=0, encoder=MINILM)
        (card,) = train(settings)
        assert card.rows == 10_003
        assert accuracy({"path": card.path, "encoder": MINILM}) >= 0.92


class TestBanking77:
    """What customers of a bank want: 77 intents, 10,003 texts to learn from, 3,080 to judge by."""

    @pytest.mark.long
    def test_is_understood_without_an_encoder(self, tmp_path: Path) -> None:
        """0.894."""
        inputs = (str(SHARED / "data/banking77_train.csv"),)
        (card,) = train(TrainSettings(inputs, ("category",), tmp_path / "bag", folds=0))
        assert accuracy({"path": card.path}) >= 0.88

    @pytest.mark.parametrize(
        ("labels", "learned", "judged"),
        [(24, 1500, 1000), pytest.param(77, 10_000, 3000, marks=pytest.mark.long)],
    )
    def test_tuned_thresholds_find_more_of_two_intents_at_once(
        self, labels: int, learned: int, judged: int, tmp_path: Path
    ) -> None:
        """Macro F1 on held-out folds: 0.816 before, 0.843 after; 0.734 and 0.758 of all."""
        write_pairs(SHARED / "data/banking77_train.csv", labels, learned, tmp_path / "train.csv")
        write_pairs(SHARED / "data/banking77_test.csv", labels, judged, tmp_path / "test.csv")
        inputs = (str(tmp_path / "train.csv"),)
        settings = TrainSettings(inputs, ("labels",), tmp_path / "m", folds=0, multi_label=True)
        train(settings)
        (tmp_path / "models.toml").write_text('[[models]]\nname = "m"\npath = "m"\n')
        table = LabelledTable((str(tmp_path / "test.csv"),), {"m": "labels"})
        files = tmp_path / "models.toml", tmp_path / "tuned.toml"
        (tuned,) = tune(TuneSettings(table, *files, threads=2), lambda _: None)
        assert tuned.before.macro_f1 > 0.7
        assert tuned.after.macro_f1 > tuned.before.macro_f1 + 0.015
        assert len(tuned.thresholds) == labels


def accuracy(model: dict[str, Any]) -> float:
    """Of a model of Banking77, on its test file."""
    config = Config.model_validate({"models": [{"name": "m"} | model]})
    table = LabelledTable((str(SHARED / "data/banking77_test.csv"),), {"m": "category"})
    (found,) = evaluate(EvaluateSettings(table, config, 2, resamples=0), lambda _: None)
    assert found.figures.rows == 3080
    return found.figures.accuracy


def write_pairs(table: Path, labels: int, count: int, output: Path) -> None:
    """Texts that are two texts, with the labels of both; of the first labels alone."""
    rows = pa.csv.read_csv(table).to_pylist()
    first = sorted({row["category"] for row in rows})[:labels]
    rows = [row for row in rows if row["category"] in first]
    random = np.random.default_rng(0)
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "labels"))
        for _ in range(count):
            one, other = (rows[place] for place in random.choice(len(rows), 2, replace=False))
            its = sorted({one["category"], other["category"]})
            writer.writerow((f"{one['text']} {other['text']}", json.dumps(its)))
