"""``labelf train``'s job: from a labelled table to a model folder that labelf reads."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import write_encoder
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer as HfTokenizer

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.encoder import Embedder, Encoder
from labelf_cli.classifiers.interface import Batching
from labelf_cli.config import Config
from labelf_cli.errors import InputError, ModelError, OutputError
from labelf_cli.jobs.train import TOLERANCE, TrainSettings, train
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status
from labelf_cli.training.bag import BagOfSubwords
from labelf_cli.training.card import Trained
from labelf_cli.training.head import EncoderHead

Row = Sequence[str]

DATE = date(2026, 1, 1)
RANDOM = np.random.default_rng(0)
EPOCH = "1767225600"
"""The same in seconds."""

TOPICS = {
    "Billing": ["bill", "invoice", "amount", "charged", "twice", "refund", "price", "money"],
    "Mobile": ["phone", "signal", "roaming", "sim", "data", "antenna", "calls", "voice"],
    "TV": ["screen", "channel", "remote", "picture", "recording", "box", "film", "programme"],
    "Broadband": ["router", "fibre", "wifi", "speed", "outage", "modem", "cable", "download"],
}
COMMON = ["my", "the", "is", "too", "for", "since", "and", "again", "please", "help", "it", "was"]


def rows_of(labels: Sequence[str], count: int = 200, seed: int = 0) -> Iterator[tuple[str, str]]:
    """Made-up texts about topics, each with the topic as its label."""
    random = np.random.default_rng(seed)
    for i in range(count):
        label = labels[i % len(labels)]
        words = [*random.choice(TOPICS[label], 3), *random.choice(COMMON, 6)]
        yield " ".join(random.permutation(words)), label


def train_on(
    folder: Path,
    rows: Sequence[Row],
    header: Row = ("text", "label"),
    texts: tuple[str, ...] = ("text",),
    labels: tuple[str, ...] = ("label",),
) -> list[Trained]:
    """Train on a table, which is put beside the folder."""
    table = folder.with_suffix(".csv")
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return train(TrainSettings((str(table),), labels, folder, texts, min_examples=1, date=DATE))


def opened(*folders: Path) -> Labeller:
    models = [{"name": f"m{i}", "path": folder} for i, folder in enumerate(folders)]
    return Labeller.open(Config.model_validate({"models": models}), threads=2)


def classify(folder: Path, texts: Sequence[str]) -> Answers:
    """What a trained model says, through the kernel."""
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    with opened(folder).load() as labeller:
        return labeller.submit(Chunk(0, 0, batch)).result()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model of four labels."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    (card,) = train_on(folder, list(rows_of(list(TOPICS))))
    return card


class TestScores:
    @staticmethod
    def features(tokenizer: HfTokenizer, texts: Sequence[str]) -> csr_matrix:
        """What the job's description says: counts of pieces by the root of their number."""
        features = np.zeros((len(texts), tokenizer.get_vocab_size()))
        for row, text in enumerate(texts):
            ids = tokenizer.encode(text).ids
            for piece, count in Counter(ids).items():
                features[row, piece] = count / np.sqrt(len(ids))
        return csr_matrix(features)

    @pytest.mark.parametrize(
        "labels", [("TV", "Mobile"), ("TV", "Mobile", "Billing"), tuple(TOPICS)], ids=len
    )
    def test_are_those_of_scikit_learn(self, tmp_path: Path, labels: tuple[str, ...]) -> None:
        rows = list(rows_of(labels))
        train_on(tmp_path / "m", rows)
        unseen = [text for text, _ in rows_of(labels, 100, seed=1)] + ["tv", "日本", "my my my"]
        tokenizer = HfTokenizer.from_file(str(tmp_path / "m/tokenizer.json"))
        expected = (
            LogisticRegression(C=BagOfSubwords.inverse_regularisation, tol=TOLERANCE, max_iter=9999)
            .fit(self.features(tokenizer, [text for text, _ in rows]), [label for _, label in rows])
            .predict_proba(self.features(tokenizer, unseen))
        )
        (scores,) = classify(tmp_path / "m", unseen).scores
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)

    def test_find_the_label_of_unseen_texts(self, trained: Trained) -> None:
        unseen = list(rows_of(list(TOPICS), 100, seed=2))
        best = classify(trained.path, [text for text, _ in unseen]).accepted[0].labels[:, 0]
        assert [sorted(TOPICS)[place] for place in best] == [label for _, label in unseen]

    @pytest.mark.parametrize("text", ["日本語", "\u200b", "!!!", "my bill " * 3000])
    def test_exist_for_strange_and_long_texts(self, trained: Trained, text: str) -> None:
        assert classify(trained.path, [text]).status.tolist() == [Status.OK]

    def test_stay_in_place_when_texts_are_padded(self, trained: Trained) -> None:
        with opened(trained.path).load() as labeller:
            assert labeller.batching[0].value is Batching.PADDED


class TestFolder:
    def test_tells_labels_and_activation(self, trained: Trained) -> None:
        with opened(trained.path) as labeller:
            (model,) = labeller.models
        assert model.labels == (tuple(sorted(TOPICS)), "id2label of config.json")
        assert model.activation.value == "softmax"

    def test_has_the_labels_as_they_are_written(self, tmp_path: Path) -> None:
        rows = [("my tv", "007"), ("my phone", "7"), ("my bill", "NA"), ("fibre", "1.10")]
        (card,) = train_on(tmp_path / "m", rows)
        assert list(card.labels) == ["007", "1.10", "7", "NA"]

    def test_has_the_same_bytes_in_another_process(self, trained: Trained, tmp_path: Path) -> None:
        table = trained.path.with_suffix(".csv")
        for seed in ("1", "2"):
            options = ("--label-column", "label", "-o", str(tmp_path / seed))
            subprocess.run(
                [sys.executable, "-m", "labelf_cli", "train", str(table), *options],
                env={
                    **os.environ,
                    "PYTHONHASHSEED": seed,
                    "OPENBLAS_NUM_THREADS": seed,
                    "SOURCE_DATE_EPOCH": EPOCH,
                },
                check=True,
                capture_output=True,
                timeout=60,
            )
        first, second = contents(tmp_path / "1"), contents(tmp_path / "2")
        assert first == second == contents(trained.path)
        described = (
            "README.md",
            "config.json",
            "labelf.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "training.json",
        )
        assert sorted(first) == sorted([*described, "model.onnx"])

    def test_that_can_not_be_made_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "m").write_text("a file")
        with pytest.raises(OutputError) as refusal:
            train_on(tmp_path / "m", list(rows_of(["TV", "Mobile"], 10)))
        assert str(refusal.value) == (
            f"{tmp_path}/m: can't be written (File exists). Choose another -o"
        )


class TestLabelColumns:
    HEADER = ("text", "topic", "mood")

    @pytest.fixture
    def cards(self, tmp_path: Path) -> list[Trained]:
        """Models of a topic and a mood; every fifth row has no topic, every fourth no mood."""
        rows = [
            (text, topic if i % 5 else "", ("good", "bad", "so so", "")[i % 4])
            for i, (text, topic) in enumerate(rows_of(list(TOPICS), 100))
        ]
        return train_on(tmp_path / "m", rows, self.HEADER, labels=("topic", "mood"))

    def test_have_a_folder_each(self, cards: list[Trained], tmp_path: Path) -> None:
        assert [card.path for card in cards] == [tmp_path / "m/topic", tmp_path / "m/mood"]
        assert [list(card.labels) for card in cards] == [sorted(TOPICS), ["bad", "good", "so so"]]

    def test_share_one_tokenizer(self, cards: list[Trained]) -> None:
        with opened(*(card.path for card in cards)) as labeller:
            first, second = labeller.groups
        assert first.tokenizer is second.tokenizer

    def test_each_leave_out_the_rows_without_their_label(self, cards: list[Trained]) -> None:
        assert [card.rows for card in cards] == [80, 75]

    def test_take_a_quoted_empty_field_for_no_label(self, tmp_path: Path) -> None:
        table = tmp_path / "table.csv"
        table.write_text('text,label\nmy tv,TV\nmy bill,Billing\nthe,\nmy,""\n')
        settings = TrainSettings((str(table),), ("label",), tmp_path / "m", min_examples=1)
        (card,) = train(settings)
        assert card.labels == {"Billing": 1, "TV": 1}

    def test_with_fewer_than_two_labels_are_refused(self, tmp_path: Path) -> None:
        rows = [("my tv", "TV"), ("my bill", ""), ("the remote", "TV")]
        with pytest.raises(InputError) as refusal:
            train_on(tmp_path / "m", rows)
        assert str(refusal.value) == (
            f"{tmp_path}/m.csv: column 'label' has fewer than two labels. "
            "Name another with --label-column"
        )

    def test_that_are_refused_leave_nothing_of_the_others(self, tmp_path: Path) -> None:
        # Exit code 2 says that nothing was started.
        rows = [("my tv", "TV", "x"), ("my bill", "Billing", "x")]
        with pytest.raises(InputError, match="column 'mood' has fewer than two labels"):
            train_on(tmp_path / "m", rows, self.HEADER, labels=("topic", "mood"))
        assert not (tmp_path / "m").exists()

    def test_that_are_not_there_are_refused_with_their_own_option(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no column 'moood'") as refusal:
            train_on(tmp_path / "m", [("my tv", "TV", "good")], self.HEADER, labels=("moood",))
        assert "--label-column" in refusal.value.todo


class TestTexts:
    def test_that_are_blank_are_left_out(self, tmp_path: Path) -> None:
        rows = list(rows_of(["TV", "Mobile"], 60))
        train_on(tmp_path / "a", rows)
        train_on(tmp_path / "b", [("", "TV"), (" \t", "Mobile"), ("\u00a0", "Other"), *rows])
        assert contents(tmp_path / "a") == contents(tmp_path / "b")

    def test_of_several_columns_are_joined_by_a_newline(self, tmp_path: Path) -> None:
        rows = [(f"about {label}", text, label) for text, label in rows_of(["TV", "Mobile"], 60)]
        train_on(tmp_path / "a", [(f"{subject}\n{body}", label) for subject, body, label in rows])
        train_on(tmp_path / "b", rows, ("subject", "body", "label"), texts=("subject", "body"))
        assert contents(tmp_path / "a") == contents(tmp_path / "b")

    @pytest.mark.parametrize("rows", [[(" ", "TV"), ("", "Mobile")], []], ids=["blank", "no rows"])
    def test_have_to_be_there(self, tmp_path: Path, rows: list[Row]) -> None:
        with pytest.raises(InputError):
            train_on(tmp_path / "m", rows)
        assert not (tmp_path / "m").exists()


class TestFigures:
    def test_are_kept_in_the_folder_as_they_are_returned(self, trained: Trained) -> None:
        told = json.loads((trained.path / "training.json").read_text())
        for key in ("rows", "labels", "problem_type", "data_sha256", "accuracy", "macro_f1"):
            assert told[key] == getattr(trained, key), key
        assert (told["folds"], told["held_out"], told["date"]) == (5, 200, "2026-01-01")

    def test_count_the_rows_of_each_label(self, trained: Trained) -> None:
        assert trained.rows == 200
        assert trained.labels == dict.fromkeys(sorted(TOPICS), 50)

    def test_of_topics_with_words_of_their_own_are_near_one(self, trained: Trained) -> None:
        assert trained.folds == 5
        assert 0.95 < (trained.accuracy or 0) <= 1
        assert 0.95 < (trained.macro_f1 or 0) <= 1

    def test_do_not_flatter_a_model_that_has_seen_the_same_text(self, tmp_path: Path) -> None:
        # The labels follow from nothing, but every text is there five times.
        random = np.random.default_rng(0)
        texts = ["".join(random.choice(list("abcdefghij"), 12)) for _ in range(80)]
        rows = [(text, str(random.choice(["good", "bad"]))) for text in texts]
        (card,) = train_on(tmp_path / "m", [row for row in rows for _ in range(5)])
        assert 0.3 < (card.accuracy or 0) < 0.7

    @pytest.mark.parametrize(
        ("others", "folds"), [("a", 0), ("aa", 0), ("ab", 2), ("aabbcc", 3), ("abcdefg", 5)]
    )
    def test_come_from_no_more_folds_than_the_rarest_label_has_texts(
        self, tmp_path: Path, others: str, folds: int
    ) -> None:
        rows = [*rows_of(["TV", "Mobile"], 40), *((text, "Other") for text in others)]
        (card,) = train_on(tmp_path / "m", rows)
        assert card.folds == folds
        assert (card.accuracy is None) == (card.macro_f1 is None) == (not folds)

    def test_are_not_made_where_nobody_asks_for_folds(self, trained: Trained) -> None:
        table, folder = trained.path.with_suffix(".csv"), trained.path.with_name("unfolded")
        (card,) = train(TrainSettings((str(table),), ("label",), folder, folds=0))
        assert (card.accuracy, card.macro_f1, card.folds) == (None, None, 0)


def several_rows() -> Iterator[tuple[str, str]]:
    """Made-up texts about one or two topics, or none."""
    topics = list(rows_of(list(TOPICS), 300))
    for (one, its), (other, others) in zip(topics[::2], topics[1::2], strict=True):
        yield f"{one} {other}", ";".join(sorted({its, others}))
    yield from topics[:50]
    for _ in range(50):
        yield " ".join(RANDOM.permutation(COMMON)), "[]"


class TestSeveralLabels:
    """A cell may hold several labels; the head is a sigmoid."""

    @pytest.mark.parametrize("encoded", [False, True], ids=["bag", "head"])
    def test_are_found_together(self, encoded: bool, tmp_path: Path) -> None:
        rows = list(several_rows())
        table = tmp_path / "t.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
        encoder = write_encoder(tmp_path / "encoder") if encoded else None
        (card,) = train(
            TrainSettings(
                (str(table),), ("label",), tmp_path / "m", encoder=encoder, multi_label=True
            )
        )
        assert card.rows == len(rows)
        assert list(card.labels) == sorted(TOPICS)
        assert card.held_out is not None
        entry = {"name": "m", "path": card.path} | ({"encoder": encoder} if encoder else {})
        with Labeller.open(Config.model_validate({"models": [entry]}), 1) as labeller:
            (model,) = labeller.models
            assert model.rules.multi_label
            assert model.activation.value == "sigmoid"
        if not encoded:  # the tiny encoder knows none of these words
            assert (card.macro_f1 or 0) > 0.9
            texts = [
                "bill invoice refund money the screen channel remote film",
                "my please help",
                "router wifi",
            ]
            answers = classify(card.path, texts).accepted[0]
            labels = sorted(TOPICS)
            found = [{labels[at] for at in row if at >= 0} for row in answers.labels]
            assert found == [{"Billing", "TV"}, set(), {"Broadband"}]

    def test_with_too_few_texts_are_refused_before_anything_is_made(self, tmp_path: Path) -> None:
        table = tmp_path / "t.csv"
        table.write_text("text,label\n" + "".join(f"text {n},{n % 2}\n" for n in range(9)))
        with pytest.raises(InputError, match=r"fewer than 5 different texts \(4: 1\)"):
            train(TrainSettings((str(table),), ("label",), tmp_path / "m", encoder=tmp_path))
        assert not (tmp_path / "m").exists()


class TestHoldout:
    def test_is_one_part_of_about_that_share(self, trained: Trained) -> None:
        table, folder = trained.path.with_suffix(".csv"), trained.path.with_name("once")
        settings = TrainSettings((str(table),), ("label",), folder, holdout=0.25, date=DATE)
        (card,) = train(settings)
        assert card.held_out is not None
        assert (card.folds, card.held_out.figures.rows) == (1, 50)
        assert (card.accuracy or 0) > 0.9

    def test_changes_nothing_of_the_model(self, trained: Trained) -> None:
        other = trained.path.with_name("once") / "model.onnx"
        assert other.read_bytes() == (trained.path / "model.onnx").read_bytes()


class TestHeads:
    """Over a frozen encoder, by the same kernel that classifies."""

    @pytest.fixture(params=[True, False], ids=["unit length", "any length"])
    def encoder(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        return write_encoder(tmp_path / "encoder", normalizes=request.param)

    def trained(self, folder: Path, encoder: Path, folds: int = 3) -> Trained:
        table = folder.with_suffix(".csv")
        rows = [(f"{one} {two} {n % 7}", label) for label, one, two, n in EXAMPLES]
        with table.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
        settings = TrainSettings((str(table),), ("label",), folder, folds=folds, encoder=encoder)
        (card,) = train(settings)
        return card

    def test_say_what_scikit_learn_says_of_the_same_embeddings(
        self, tmp_path: Path, encoder: Path
    ) -> None:
        card = self.trained(tmp_path / "head", encoder)
        texts = ["the bill", "no signal", "tv", "angry my"]
        embeddings = self.embeddings(encoder, [row["text"] for row in read(tmp_path / "head.csv")])
        labels = [row["label"] for row in read(tmp_path / "head.csv")]
        scale = np.sqrt(np.square(embeddings).sum(axis=1).mean())  # regularised alike
        expected = (
            LogisticRegression(C=EncoderHead.inverse_regularisation, tol=TOLERANCE, max_iter=9999)
            .fit(embeddings / scale, labels)
            .predict_proba(self.embeddings(encoder, texts) / scale)
        )
        model = {"name": "m", "path": card.path, "encoder": encoder}
        with Labeller.open(Config.model_validate({"models": [model]}), 2) as labeller:
            found = self.answers(labeller.load(), texts).scores[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
        assert card.accuracy is not None
        assert card.accuracy > 0.9

    def embeddings(self, encoder: Path, texts: list[str]) -> np.ndarray:
        with Labeller([Embedder(Encoder(encoder, None, {}))], 1) as labeller:
            return self.answers(labeller.load(), texts).scores[0].astype(np.float64)

    def answers(self, labeller: Labeller, texts: list[str]) -> Answers:
        batch = pa.record_batch({TEXT: pa.array(texts)})
        return labeller.submit(Chunk(0, 0, batch)).result(timeout=30)

    def test_have_the_same_bytes_every_time_and_no_tokenizer(
        self, tmp_path: Path, encoder: Path
    ) -> None:
        one, two = (contents(self.trained(tmp_path / n, encoder, 0).path) for n in ("a", "b"))
        assert one == two
        assert sorted(one) == ["README.md", "config.json", "model.onnx", "training.json"]

    def test_are_refused_over_another_encoder(self, tmp_path: Path, encoder: Path) -> None:
        card = self.trained(tmp_path / "head", encoder, folds=0)
        other = write_encoder(tmp_path / "other", normalizes=True, seed=1)
        model = {"name": "m", "path": card.path, "encoder": other}
        with pytest.raises(ModelError, match=f"a head of another encoder than {other}"):
            Labeller.open(Config.model_validate({"models": [model]}), 1)

    def test_need_an_encoder_that_is_there(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no such model folder"):
            self.trained(tmp_path / "head", tmp_path / "none", folds=0)


EXAMPLES = [
    (label, one, two, n)
    for label, words in {"Billing": ("my", "bill"), "Mobile": ("no", "signal")}.items()
    for one in words
    for two in ("the", "is", "too")
    for n in range(5)
]


def read(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
