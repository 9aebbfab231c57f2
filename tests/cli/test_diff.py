"""``labelf diff``: what changed, and an exit code for a cron job."""

import json
from pathlib import Path

import pytest
from conftest import Labelf

HEADER = "id,text,m.label,m.score\n"
BEFORE = HEADER + "1,one,a,0.9\n2,two,b,0.6\n3,three,b,0.5\n"
AFTER = HEADER + "2,two,b,0.6\n1,one,b,0.7\n4,four,a,0.8\n"


@pytest.fixture
def folder(labelf: Labelf, tmp_path: Path) -> Path:  # noqa: ARG001
    (tmp_path / "work" / "a.csv").write_text(BEFORE)
    (tmp_path / "work" / "b.csv").write_text(AFTER)
    return tmp_path / "work"


DIFF = ("diff", "a.csv", "b.csv", "--key", "id")


def test_shows_what_changed(labelf: Labelf, folder: Path) -> None:
    done = labelf(*DIFF, "--text-column", "text")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [" ".join(line.split()) for line in done.stdout.decode().splitlines()]
    for line in (
        "2 rows in both",
        "1 rows only before: 3",
        "1 rows only after: 4",
        "m 50.00% 1 0.1000 0.2000",
        "a b 1",
        "1 a → b (score 0.900 → 0.700): one",
    ):
        assert line in lines
    assert folder.is_dir()


def test_json_is_one_object(labelf: Labelf, folder: Path) -> None:
    done = labelf(*DIFF, "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    told = json.loads(done.stdout)
    assert (told["rows"], told["models"]["m"]["share"]) == (2, 0.5)
    assert told["models"]["m"]["moves"] == [{"before": "a", "after": "b", "rows": 1}]
    assert folder.is_dir()


def test_more_changes_than_allowed_are_exit_code_1(labelf: Labelf, folder: Path) -> None:
    assert labelf(*DIFF, "--max-changed", "0.5").returncode == 0
    done = labelf(*DIFF, "--max-changed", "0.4", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["rows"] == 2
    assert done.stderr.decode() == (
        "error: model 'm': 0.5000 of the labels changed, more than --max-changed 0.4. "
        "Look at the rows that changed, or allow more\n"
    )
    assert folder.is_dir()


def test_needs_no_extra(labelf: Labelf, folder: Path) -> None:
    """It is for machines that only classify."""
    (folder / "sklearn.py").write_text("raise ModuleNotFoundError(name='sklearn')\n")
    done = labelf(*DIFF)
    assert (done.returncode, done.stderr) == (0, b"")
    done = labelf("evaluate", "a.csv", "--gold", "m=id")
    assert done.returncode == 2
    assert b"this command needs sklearn. Run: pip install 'labelf-cli[train]'" in done.stderr
