"""``labelf train``: from a labelled table to a folder that ``labelf classify`` can use."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from conftest import Labelf, write_encoder

FILES = [
    "README.md",
    "config.json",
    "labelf.json",
    "model.onnx",
    "tokenizer.json",
    "tokenizer_config.json",
    "training.json",
]
HEAD_FILES = ["README.md", "config.json", "model.onnx", "training.json"]


@pytest.fixture
def table(labelf: Labelf, tmp_path: Path) -> Path:  # noqa: ARG001  # which makes the folder
    """80 texts with two labels each, and one without; ``same`` is the same for all."""
    said = {"TV": "the tv shows a black picture", "Billing": "my invoice has a charge too many"}
    moods = {"Angry": "this is a disgrace", "Happy": "thank you for your help"}
    rows = [(t, m, n) for t in said for m in moods for n in range(20)]
    lines = [f"{said[t]} since day {n} and {moods[m]},{t},{m},one" for t, m, n in rows]
    path = tmp_path / "work" / "labelled.csv"
    path.write_text("\n".join(["text,topic,mood,same", *lines, "no label here,,,one"]) + "\n")
    return path


def figures(stdout: bytes, model: str) -> list[str]:
    """The line of a model in what was printed."""
    (line,) = [line for line in stdout.decode().splitlines() if line.split()[:1] == [model]]
    return line.split()[1:]


def test_a_table_becomes_a_model(labelf: Labelf, table: Path) -> None:
    done = labelf("train", table, "--label-column", "topic", "-o", "m")
    assert (done.returncode, done.stderr) == (0, b"")
    folder = table.parent / "m"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    training = json.loads((folder / "training.json").read_text("utf-8"))
    assert (training["rows"], training["labels"]) == (80, {"Billing": 40, "TV": 40})
    assert 0.9 < training["accuracy"] <= 1
    rows, labels, accuracy, macro_f1 = figures(done.stdout, "m")
    assert (rows, labels) == ("80", "2")
    assert accuracy == f"{training['accuracy']:.3f}"
    assert macro_f1 == f"{training['macro_f1']:.3f}"
    assert b"cross-validated" in done.stdout


def test_the_model_can_be_used_at_once(labelf: Labelf, table: Path) -> None:
    columns = ("--label-column", "topic", "--label-column", "mood")
    done = labelf("train", table, *columns, "-o", "models")
    assert (done.returncode, done.stderr) == (0, b"")
    folders = [table.parent / "models" / name for name in ("topic", "mood")]
    for folder in folders:
        assert sorted(path.name for path in folder.iterdir()) == FILES
    # Equal tokenizers are shared, so that a text is tokenised once.
    assert len({(folder / "tokenizer.json").read_bytes() for folder in folders}) == 1
    config = table.parent / "models.toml"
    entry = '[[models]]\nname = "{0}"\npath = "models/{0}"\nmax_predictions = 1\n'
    config.write_text(entry.format("topic") + entry.format("mood"))
    stdin = b"text\nno picture on the tv this is a disgrace\na charge on my invoice thank you\n"
    done = labelf("classify", "-", "-c", config, "-q", stdin=stdin)
    assert (done.returncode, done.stderr) == (0, b"")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert [row["topic.label"] for row in rows] == ["TV", "Billing"]
    assert [row["mood.label"] for row in rows] == ["Angry", "Happy"]


def test_heads_over_an_encoder_can_be_used_at_once(labelf: Labelf, table: Path) -> None:
    encoder = write_encoder(table.parent / "encoder")
    columns = ("--label-column", "topic", "--label-column", "mood")
    done = labelf("train", table, *columns, "--encoder", "encoder", "-o", "heads")
    assert (done.returncode, done.stderr) == (0, b"")
    for name in ("topic", "mood"):
        folder = table.parent / "heads" / name
        assert sorted(path.name for path in folder.iterdir()) == HEAD_FILES
        rows, labels, *_ = figures(done.stdout, f"heads/{name}")
        assert (rows, labels) == ("80", "2")
    config = table.parent / "models.toml"
    entry = '[[models]]\nname = "{0}"\npath = "heads/{0}"\nmax_predictions = 1\n'
    # [defaults] names the encoder for both.
    config.write_text(
        f'[defaults]\nencoder = "{encoder}"\n' + entry.format("topic") + entry.format("mood")
    )
    arguments = ("-", "-c", config, "-q", "--report", "run.json")
    stdin = b"text\nthe tv shows a black picture since\nmy invoice has a charge too many\n"
    done = labelf("classify", *arguments, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, b"")
    rows_ = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert [row["topic.label"] for row in rows_] == ["TV", "Billing"]
    assert {row["mood.label"] for row in rows_} <= {"Angry", "Happy"}
    report = json.loads((table.parent / "run.json").read_bytes())
    assert report["spent"]["model_calls"] == 1  # one of the encoder, for both heads


def test_an_encoder_that_is_not_there_is_refused(labelf: Labelf, table: Path) -> None:
    done = labelf("train", table, "--label-column", "topic", "--encoder", "no", "-o", "m")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: no: no such model folder")
    assert [path.name for path in table.parent.iterdir()] == ["labelled.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label-column", "topik"], "no column 'topik'. There are: text, topic, mood, same"),
        (["--label-column", "topic", "--text-column", "body"], "choose with --text-column"),
        (["--label-column", "topik"], "choose with --label-column"),
        (["--label-column", "same"], "column 'same' has fewer than two labels"),
        (["--label-column", "topic", "--label-column", "same"], "fewer than two labels"),
    ],
)
def test_what_cant_be_learned_is_refused_and_nothing_is_written(
    arguments: list[str], message: str, labelf: Labelf, table: Path
) -> None:
    done = labelf("train", table, *arguments, "-o", "m")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1
    assert message in done.stderr.decode()
    assert [path.name for path in table.parent.iterdir()] == ["labelled.csv"]


def test_an_output_that_is_a_file_is_refused(labelf: Labelf, table: Path) -> None:
    (table.parent / "m").write_text("mine")
    done = labelf("train", table, "--label-column", "topic", "-o", "m")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == "error: m: can't be written (File exists). Choose another -o\n"
    assert (table.parent / "m").read_text() == "mine"


def test_the_card_is_dated_by_the_environment(labelf: Labelf, table: Path) -> None:
    command = ("train", table, "--label-column", "topic", "--holdout", "0.2", "-o", "m")
    done = labelf(*command, env={**os.environ, "SOURCE_DATE_EPOCH": "1000000000"})
    assert (done.returncode, done.stderr) == (0, b"")
    card = (table.parent / "m" / "README.md").read_text("utf-8")
    assert "| date | 2001-09-09 |" in card
    assert b"of one held-out part" in done.stdout
    done = labelf(*command, env={**os.environ, "SOURCE_DATE_EPOCH": "today"})
    assert (done.returncode, done.stderr.decode()) == (
        2,
        "error: SOURCE_DATE_EPOCH: 'today' is no number of seconds. Correct it\n",
    )
