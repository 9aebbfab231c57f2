"""``labelf report``: a whole page or none, data on stdout, whole messages."""

from pathlib import Path

import pytest
from conftest import Labelf

ROWS = "id,text,m.label,m.score,gold\n1,one,a,0.9,a\n2,two,b,0.6,a\n"


@pytest.fixture
def folder(labelf: Labelf, tmp_path: Path) -> Path:  # noqa: ARG001
    (tmp_path / "work" / "a.csv").write_text(ROWS)
    return tmp_path / "work"


OPTIONS = ("--gold", "m=gold", "--key", "id", "--title", "Monday & Tuesday")


def test_a_file_and_stdout_get_the_same_page(labelf: Labelf, folder: Path) -> None:
    done = labelf("report", "a.csv", *OPTIONS, "-o", "page.html")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    page = (folder / "page.html").read_bytes()
    assert page.startswith(b"<!doctype html>")
    assert b"<h1>Monday &amp; Tuesday</h1>" in page
    # As cron runs it; matplotlib has nowhere to keep what it finds.
    env = {"PATH": "/usr/bin:/bin", "LANG": "C", "MPLCONFIGDIR": "/proc/nowhere"}
    piped = labelf("report", "-", *OPTIONS, stdin=ROWS.encode(), env=env)
    assert (piped.returncode, piped.stderr) == (0, b"")
    assert piped.stdout == page.replace(b"a.csv", b"-")


def test_a_page_that_breaks_off_leaves_the_old_one(labelf: Labelf, folder: Path) -> None:
    (folder / "page.html").write_text("old")
    (folder / "a.csv").write_text(ROWS + "3,three\n")
    done = labelf("report", "a.csv", "-o", "page.html")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error: a.csv, line 4: ")
    assert (folder / "page.html").read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == ["a.csv", "page.html"]


def test_a_missing_extra_is_named(labelf: Labelf, folder: Path) -> None:
    (folder / "matplotlib.py").write_text("raise ModuleNotFoundError(name='matplotlib')\n")
    done = labelf("report", "a.csv")
    assert done.returncode == 2
    assert b"this command needs matplotlib. Run: pip install 'labelf-cli[report]'" in done.stderr


def test_evaluate_writes_a_page_beside_its_tables(labelf: Labelf, folder: Path) -> None:
    done = labelf("evaluate", "a.csv", "--gold", "m=gold", "--json", "-o", "page.html")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"{")
    assert b"How good the models are: a.csv" in (folder / "page.html").read_bytes()
    done = labelf("evaluate", "a.csv", "--gold", "m=gold", "-o", "absent/page.html")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"absent/page.html: can't be written" in done.stderr
