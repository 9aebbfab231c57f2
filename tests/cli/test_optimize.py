"""``labelf optimize`` as a user runs it."""

import re
from pathlib import Path

import pytest
from conftest import Labelf, WriteDenseModel

QUICK = ("--seconds", "0.01")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.tsv"
    path.write_text("id\tbody\n1\tmy bill is too high\n2\tno signal\n3\tthe tv\n")
    return path


def test_the_figures_go_to_stdout(
    labelf: Labelf, write_dense_model: WriteDenseModel, texts: Path
) -> None:
    own = ("--input", texts, "--text-column", "body", "--min-agreement", "0.5")
    done = labelf("optimize", write_dense_model(), "-o", "small", *own, *QUICK)
    assert (done.returncode, done.stderr) == (0, b"")
    said = " ".join(done.stdout.decode().split())
    assert said.startswith("small size 0.0 MB, 0.")
    assert re.search(r" speed \d+\.\d\d times, on [1-3] texts runs in padded batches \(", said)
    assert " settings token budget " in said
    assert re.search(r" equal labels [01]\.\d{4} of 3 texts score change [\d.e-]+ at most$", said)
    config = texts.with_name("models.toml")
    config.write_text('[[models]]\nname = "m"\npath = "work/small"\n')
    classified = labelf("classify", texts, "-c", config, "--text-column", "body", "-q")
    assert classified.returncode == 0
    assert classified.stdout.count(b"\n") == 4


def test_without_texts_it_says_that_answers_were_not_compared(
    labelf: Labelf, write_dense_model: WriteDenseModel
) -> None:
    arguments = ("-o", "tuned", "--precision", "fp32", *QUICK)
    done = labelf("optimize", write_dense_model(), *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    said = " ".join(done.stdout.decode().split())
    assert "made-up texts" in said
    assert "not measured. Give your own texts with --input." in said
    assert "equal labels" not in said


def test_a_result_that_is_not_good_enough_is_not_written(
    labelf: Labelf, write_dense_model: WriteDenseModel, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.csv"
    words = ("my", "bill", "is", "too", "high", "no", "signal", "tv", "angry")
    texts.write_text(
        "text\n" + "\n".join(f"{a} {b} {c}" for a in words for b in words for c in words)
    )
    demand = ("--input", texts, "--min-agreement", "1")
    done = labelf("optimize", write_dense_model(nearness=1e-4), "-o", "out", *demand, *QUICK)
    assert (done.returncode, done.stdout) == (1, b"")
    message = done.stderr.decode()
    assert message.startswith("error: ")
    assert "of the labels stay, less than --min-agreement 1; nothing was written. Keep" in message
    assert not (tmp_path / "work/out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--min-agreement", "0.98"], "--min-agreement needs texts. Give your own with --input"),
        (["--input", "absent.csv"], "absent.csv: no such file. Check the path"),
        (["--min-agreement", "98"], "--min-agreement"),
        (["--precision", "int4"], "--precision"),
    ],
)
def test_what_cant_be_used_is_refused(
    labelf: Labelf,
    write_dense_model: WriteDenseModel,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    done = labelf("optimize", write_dense_model(), "-o", "out", *arguments, *QUICK)
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr.decode()
    assert not (tmp_path / "work/out").exists()


def test_a_folder_with_something_in_it_is_not_replaced(
    labelf: Labelf, write_dense_model: WriteDenseModel, tmp_path: Path
) -> None:
    (tmp_path / "work/out").mkdir()
    (tmp_path / "work/out/mine").write_text("mine")
    done = labelf("optimize", write_dense_model(), "-o", "out", *QUICK)
    assert done.returncode == 2
    expected = "error: out: exists already. Remove it, or choose another -o\n"
    assert done.stderr.decode() == expected
    assert (tmp_path / "work/out/mine").read_text() == "mine"
