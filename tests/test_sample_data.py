"""The sample data: what it is made of, that it can be made again, and what its models are worth."""

import csv
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

from labelf_cli.config import Config, ModelConfig
from labelf_cli.config_file import load_config
from labelf_cli.jobs.train import TrainSettings, train
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings

SAMPLE = ROOT / "sample_data"
CALLS = SAMPLE / "calls.csv"
LABELLED = SAMPLE / "labelled.csv"
CONFIG = ROOT / "configs" / "models.toml"
UNSEEN = Path(__file__).parent / "data" / "unseen_sentences.csv"
QUESTIONS = ("product", "issue_type", "root_cause", "sentiment")
MODELS = {
    ".": ("labelled.csv", (*QUESTIONS, "churn_risk")),
    "triage": ("tickets_labelled.csv", ("language", "topic", "urgency")),
    "agents": ("agents_labelled.csv", ("empathy", "resolution", "compliance")),
}
"""Folders of models: the table that they learned from, and the models."""

STORY = (
    "Hi, I'm calling about my mobile broadband. I was charged 349 kr this month but my plan is "
    "supposed to be 199 kr. This has happened two months in a row and I'm really frustrated. I've "
    "been a customer for six years and I'm starting to think about switching."
)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def answers(config: Config, source: Path, folder: Path) -> list[dict[str, Any]]:
    """The rows of a table with the answers of a config's models."""
    output = folder / "answers.parquet"
    run(RunSettings(config, (str(source),), threads=2, output=output), lambda _: None)
    return list(pq.read_table(output).to_pylist())


# calls.csv --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calls() -> list[dict[str, str]]:
    return read(CALLS)


def test_calls_are_eighty(calls: list[dict[str, str]]) -> None:
    assert len(calls) == 80
    assert list(calls[0]) == ["id", "channel", "started_at", "language", "customer_since", "text"]


def test_ids_begin_with_zeros(calls: list[dict[str, str]]) -> None:
    assert all(row["id"].startswith("0") for row in calls)
    assert len({row["id"] for row in calls}) == 80


def test_one_text_is_empty_and_one_stands_twice(calls: list[dict[str, str]]) -> None:
    texts = [row["text"] for row in calls]
    assert texts.count("") == 1
    assert max(texts.count(text) for text in texts if text) == 2


def test_texts_have_line_ends_quotes_and_swedish_letters(calls: list[dict[str, str]]) -> None:
    texts = "".join(row["text"] for row in calls)
    assert {"\n", '"', ",", "å", "ä", "ö"} <= set(texts)
    assert CALLS.read_bytes().count(b"\n") > 81


def test_a_third_of_the_calls_are_swedish(calls: list[dict[str, str]]) -> None:
    swedish = sum(row["language"] == "sv" for row in calls)
    assert {row["language"] for row in calls} == {"en", "sv"}
    assert 20 <= swedish <= 34


def test_texts_are_short_and_long(calls: list[dict[str, str]]) -> None:
    lengths = [len(row["text"].split()) for row in calls if row["text"]]
    assert min(lengths) < 20
    assert max(lengths) >= 300


def test_the_sample_data_is_small() -> None:
    sizes = [path.stat().st_size for path in SAMPLE.rglob("*") if "__pycache__" not in path.parts]
    assert sum(sizes) < 8_000_000


@pytest.mark.parametrize(
    ("table", "rows", "gold"),
    [("tickets", 56, ("language", "topic", "urgency")), ("agents", 30, MODELS["agents"][1])],
)
def test_tables_with_gold_name_labels_that_models_give(
    table: str, rows: int, gold: tuple[str, ...]
) -> None:
    sample = read(SAMPLE / f"{table}.csv")
    assert len(sample) == rows == len({row["id"] for row in sample})
    learned = read(SAMPLE / f"{table}_labelled.csv")
    for column in gold:
        assert {row[column] for row in sample} <= {row[column] for row in learned}
    texts = "body" if table == "tickets" else "text"
    assert not {row[texts] for row in sample} & {row[texts] for row in learned}


def test_the_config_names_four_models() -> None:
    models = load_config(CONFIG).models
    assert {model.name: model.id for model in models} == dict(
        zip(QUESTIONS, (42, 87, 156, 201), strict=True)
    )


def test_models_are_those_that_the_documents_make() -> None:
    made = {path.parent.relative_to(SAMPLE / "models") for path in SAMPLE.rglob("model.onnx")}
    assert made == {Path(at) / name for at, (_, names) in MODELS.items() for name in names}


# What the models are worth ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The sentences that were written apart from the phrases, with right and given labels."""
    return answers(load_config(CONFIG), UNSEEN, tmp_path_factory.mktemp("unseen"))


def share_of_right(question: str, rows: list[dict[str, Any]]) -> float:
    right = [row for row in rows if row[question] == row[f"{question}.label"]]
    return len(right) / len(rows)


@pytest.mark.parametrize(
    ("question", "least"),
    [("product", 0.8), ("issue_type", 0.7), ("root_cause", 0.6), ("sentiment", 0.55)],
)
def test_most_unseen_sentences_are_understood(
    question: str, least: float, judged: list[dict[str, Any]]
) -> None:
    assert share_of_right(question, judged) >= least
    for language in ("en", "sv"):
        rows = [row for row in judged if row["language"] == language]
        assert share_of_right(question, rows) >= least - 0.1, language


def test_unseen_sentences_stand_in_no_training_table() -> None:
    seen = {row["text"] for row in read(LABELLED)}
    unseen = {row["text"] for row in read(UNSEEN)}
    assert len(unseen) >= 100
    assert not unseen & seen
    assert STORY not in seen


def test_a_story_that_no_table_holds_is_understood(tmp_path: Path) -> None:
    source = tmp_path / "story.csv"
    source.write_text(f'text\n"{STORY}"\n')
    (row,) = answers(load_config(CONFIG), source, tmp_path)
    assert row["text"] == STORY
    assert {question: row[f"{question}.label"] for question in QUESTIONS} == {
        "product": "Mobile Broadband",
        "issue_type": "Billing",
        "root_cause": "Incorrect charge",
        "sentiment": "Frustrated",
    }


# How it was made --------------------------------------------------------------------------------


TABLES_OF_SCRIPTS = {
    "generate.py": "labelled.csv",
    "generate_tickets.py": "tickets_labelled.csv",
    "generate_conversations.py": "agents_labelled.csv",
}


@pytest.mark.parametrize("script", TABLES_OF_SCRIPTS)
def test_a_generator_gives_the_same_table_again(script: str, tmp_path: Path) -> None:
    shutil.copytree(SAMPLE / "phrases", tmp_path / "phrases")
    shutil.copy(SAMPLE / script, tmp_path)
    subprocess.run([sys.executable, tmp_path / script], check=True, timeout=60)
    table = TABLES_OF_SCRIPTS[script]
    assert (tmp_path / table).read_bytes() == (SAMPLE / table).read_bytes()


def retrain(at: str, names: Sequence[str], folder: Path) -> None:
    """As the documents say it, but for the figures."""
    table, _ = MODELS[at]
    train(
        TrainSettings(
            (str(SAMPLE / table),),
            tuple(names),
            folder / names[0] if len(names) == 1 else folder,
            text_columns=("subject", "body") if at == "triage" else ("text",),
            folds=0,
            multi_label=names == ["compliance"],
        )
    )


def test_training_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        retrain("agents", ["compliance"], folder)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "compliance").iterdir()}
        for name in ("one", "two")
    )
    assert len(one) == 7
    assert one == two


@pytest.mark.parametrize(
    ("at", "names"),
    [
        ("triage", ["language", "topic", "urgency"]),
        ("agents", ["compliance"]),
        pytest.param("agents", ["empathy", "resolution"], marks=pytest.mark.long),
        pytest.param(".", [*QUESTIONS, "churn_risk"], marks=pytest.mark.long),
    ],
)
def test_retraining_gives_the_same_answers_again(at: str, names: list[str], tmp_path: Path) -> None:
    """Compared by answers, not bytes: the folders record neither versions nor the processor."""
    retrain(at, names, tmp_path)
    # English and Swedish of a kind that no model has seen, so that no score is near one or zero.
    old, new = (
        answers(
            Config(models=tuple(ModelConfig(name=name, path=folder / name) for name in names)),
            UNSEEN,
            tmp_path,
        )
        for folder in (SAMPLE / "models" / at, tmp_path)
    )
    scores = [column for column in old[0] if ".score" in column]
    assert len(scores) > 2 * len(names)
    old_scores, new_scores = (
        np.array([[row[column] for column in scores] for row in rows], np.float64)
        for rows in (old, new)
    )
    np.testing.assert_allclose(new_scores, old_scores, rtol=0, atol=1e-3)
