"""``labelf evaluate``: tables for people, one JSON object for programs, whole messages."""

import json
from pathlib import Path

import pytest
from conftest import Labelf, WriteModel

ROWS = "text,gold\nthe bill is too high,yes\nno signal,no\nmy tv,else\nangry,\n"


@pytest.fixture
def folder(labelf: Labelf, write_model: WriteModel, tmp_path: Path) -> Path:  # noqa: ARG001
    """A config, a labelled table."""
    work = tmp_path / "work"
    entry = f'[[models]]\nname = "mood"\npath = "{write_model()}"\nthreshold = 0.5\n'
    (work / "models.toml").write_text(entry)
    (work / "t.csv").write_text(ROWS)
    return work


EVALUATE = ("evaluate", "t.csv", "-c", "models.toml", "--gold")


def test_json_is_one_object_with_plain_numbers(labelf: Labelf, folder: Path) -> None:
    done = labelf(*EVALUATE, "mood=gold", "--json", "--resamples", "50")
    assert (done.returncode, done.stderr) == (0, b"")
    assert folder.is_dir()
    (name, told), *others = json.loads(done.stdout)["models"].items()
    assert (name, others) == ("mood", [])
    assert told["rows"] == 3
    for key in ("accuracy", "macro_f1", "micro_f1", "coverage", "log_loss", "calibration_error"):
        assert isinstance(told[key], float), key
    assert set(told["intervals"]) >= {"accuracy", "macro_f1", "micro_f1", "coverage"}
    assert told["without_gold"] == 1
    assert told["unknown_gold"] == {"else": 1}


def test_tables_tell_the_same(labelf: Labelf, folder: Path) -> None:
    told = json.loads(labelf(*EVALUATE, "mood=gold", "--json").stdout)["models"]["mood"]
    done = labelf(*EVALUATE, "mood=gold")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [line.split() for line in done.stdout.decode().splitlines() if line.strip()]
    assert ["mood,", "3", "rows"] in lines
    low, high = told["intervals"]["accuracy"]
    assert ["accuracy", f"{told['accuracy']:.4f}", f"{low:.4f}", "to", f"{high:.4f}"] in lines
    yes = told["per_label"]["yes"]
    figures = [f"{yes[key]:.3f}" for key in ("precision", "recall", "f1")]
    assert ["yes", *figures, str(yes["support"]), str(yes["answered"])] in lines
    assert b"1 rows have no gold label and are left out." in done.stdout
    assert b"can't give, and that count as wrong: else (1 rows)." in done.stdout
    assert folder.is_dir()


def test_an_output_needs_no_models(labelf: Labelf, folder: Path) -> None:
    arguments = ("classify", "t.csv", "-c", "models.toml", "-q", "-o", "o.parquet")
    assert labelf(*arguments).returncode == 0
    (folder / "models.toml").unlink()
    done = labelf("evaluate", "o.parquet", "--gold", "mood=gold", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["models"]["mood"]["rows"] == 3


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ("mood=glod", "error: t.csv: no column 'glod'. Did you mean 'gold'?\n"),
        ("mod=gold", "error: no model is named 'mod'. Did you mean 'mood'?\n"),
        ("gold", "error: --gold gold names no column. Say --gold model=column\n"),
    ],
)
def test_what_cant_be_compared_is_refused(
    gold: str, message: str, labelf: Labelf, folder: Path
) -> None:
    done = labelf(*EVALUATE, gold)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", message)
    assert folder.is_dir()
