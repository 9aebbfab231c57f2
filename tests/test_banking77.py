"""``docs/banking77.sh``, from labelled texts to a report, on Banking77 or a part of it."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import ROOT, SHARED, needs_shared

SCRIPT = ROOT / "docs" / "banking77.sh"
TABLES = ("banking77_train.csv", "banking77_test.csv")
INTENTS = {"card_arrival", "exchange_rate", "terminate_account", "age_limit"}


def run_script(data: Path, folder: Path) -> float:
    """Run it in a folder of its own; the accuracy of what it classified."""
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [SCRIPT, data],
        cwd=folder,
        env={**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, str]] = pq.read_table(folder / "labelled.parquet").to_pylist()
    with (data / TABLES[1]).open(encoding="utf-8", newline="") as file:
        assert [row["text"] for row in rows] == [row["text"] for row in csv.DictReader(file)]
    return sum(row["intent.label"] == row["category"] for row in rows) / len(rows)


def test_the_page_shows_the_script() -> None:
    page = (ROOT / "docs" / "banking77.md").read_text("utf-8")
    assert f"```sh\n{SCRIPT.read_text('utf-8')}```" in page


@needs_shared
def test_the_script_works_on_four_intents(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in TABLES:
        with (SHARED / "data" / name).open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["category"] in INTENTS]
        with (data / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "category"])
            writer.writeheader()
            writer.writerows(rows)
    assert run_script(data, tmp_path) > 0.9
    learned, tuned = (
        (tmp_path / name).read_text("utf-8").splitlines()[1:] for name in ("learn.csv", "tune.csv")
    )
    assert len(tuned) == pytest.approx(len(learned) / 9, abs=1)
    assert not set(learned) & set(tuned)
    assert (tmp_path / "report.html").stat().st_size > 10_000


@needs_shared
@pytest.mark.long
def test_the_script_reaches_its_accuracy(tmp_path: Path) -> None:
    assert run_script(SHARED / "data", tmp_path) >= 0.88
