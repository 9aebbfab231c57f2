"""``labelf classify --bad-rows``: polluted files, the file of rejects, exit codes."""

import base64
import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import ROOT, Labelf
from polluted import PollutedFile, polluted_csv, polluted_jsonl, polluted_parquet
from typer.testing import CliRunner

from labelf_cli.cli.main import app

with (ROOT / "sample_data" / "calls.csv").open(encoding="utf-8", newline="") as file:
    CALLS = [
        (row["id"], " ".join(row["text"].replace(",", " ").replace('"', " ").split()))
        for row in list(csv.DictReader(file))[:6]
    ]
LINES = [f"{number},{text}" for number, text in CALLS]
OBJECTS = [json.dumps({"id": number, "text": text}) for number, text in CALLS]


def classify_all(files: Iterator[PollutedFile], suffix: str, config: Path, folder: Path) -> int:
    """Classify polluted files; the number of those that were read."""
    count = 0
    for number, file in enumerate(files):
        source, output = folder / f"{number}{suffix}", folder / f"{number}.out.csv"
        source.write_bytes(file.content)
        options = ("-c", str(config), "-q", "--bad-rows", "reject", "-o", str(output))
        done = CliRunner().invoke(app, ["classify", str(source), *options])
        assert "Traceback" not in done.output, file.name
        assert "fault in labelf" not in done.output, file.name
        if not file.can_be_read:
            assert (done.exit_code, output.exists()) == (2, False), file.name
            continue
        rejects = folder / f"{output.name}.rejects.jsonl"
        told = rejects.read_text().splitlines() if rejects.exists() else []
        assert done.exit_code == (3 if told else 0), (file.name, done.output)
        with output.open(encoding="utf-8", newline="") as out:
            rows = [(row["id"], row["text"]) for row in csv.DictReader(out)]
        well = [CALLS[i] for i in sorted(file.well)]
        if suffix == ".parquet":  # where damage may do no harm
            assert [row for row in CALLS if row in rows] == rows, file.name
            assert [row for row in rows if row in well] == well, file.name
            assert len(rows) + len(told) == len(CALLS), file.name
        else:
            assert [row for row in rows if row in CALLS] == well, file.name
        if suffix != ".parquet" and b"\0" not in file.content:
            lines = [line for line in file.content.splitlines() if line.strip()]
            assert len(rows) + len(told) == len(lines) - (suffix == ".csv"), file.name
        count += 1
    return count


def test_polluted_csv_files_lose_only_what_is_polluted(
    config: Path, tmp_path: Path, survived: Callable[[str, int], None]
) -> None:
    count = classify_all(polluted_csv("id,text", LINES), ".csv", config, tmp_path)
    survived("polluted files", count)
    assert count > 100


def test_polluted_json_lines_lose_only_what_is_polluted(
    config: Path, tmp_path: Path, survived: Callable[[str, int], None]
) -> None:
    count = classify_all(polluted_jsonl(OBJECTS), ".jsonl", config, tmp_path)
    survived("polluted files", count)
    assert count > 70


def test_polluted_parquet_files_lose_only_row_groups(
    config: Path, tmp_path: Path, survived: Callable[[str, int], None]
) -> None:
    table = pa.table({"id": [id_ for id_, _ in CALLS], "text": [text for _, text in CALLS]})
    count = classify_all(polluted_parquet(table, 2), ".parquet", config, tmp_path)
    survived("polluted files", count)
    assert count > 15


BAD = b"id,text\n1,my bill\n2\n3,no signal\n"


@pytest.fixture
def work(labelf: Labelf, tmp_path: Path) -> Path:  # noqa: ARG001  # which makes it
    """The folder in which the command runs, with a file that has a bad row."""
    (tmp_path / "work" / "in.csv").write_bytes(BAD)
    return tmp_path / "work"


def test_rejected_rows_are_written_beside_the_output(
    labelf: Labelf, config: Path, work: Path
) -> None:
    done = labelf("classify", "in.csv", "-c", config, "--bad-rows", "reject", "-o", "out.csv")
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"\n1 rows rejected\n" in done.stderr
    rows = list(csv.DictReader(io.StringIO((work / "out.csv").read_text())))
    assert [row["id"] for row in rows] == ["1", "3"]
    (told,) = (work / "out.csv.rejects.jsonl").read_text().splitlines()
    assert json.loads(told) == {
        "file": "in.csv",
        "line": 3,
        "offset": 18,
        "reason": "1 fields where there should be 2",
        "raw": base64.b64encode(b"2").decode(),
    }


def test_without_rejects_there_is_no_file_of_them(labelf: Labelf, config: Path, work: Path) -> None:
    (work / "in.csv").write_bytes(b"text\nmy bill\n")
    (work / "rejects").write_bytes(b"of an earlier run")
    options = ("--bad-rows", "reject", "--rejects", "rejects", "-q")
    done = labelf("classify", "in.csv", "-c", config, *options)
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(path.name for path in work.iterdir()) == ["in.csv"]


def test_a_file_without_one_usable_row_is_named_even_when_quiet(
    labelf: Labelf, config: Path, work: Path
) -> None:
    (work / "in.csv").write_bytes(b"id,text\n1;a\n2;b\n")
    options = ("--bad-rows", "reject", "-q", "-o", "out.csv")
    done = labelf("classify", "in.csv", "-c", config, *options)
    assert done.returncode == 3
    assert done.stderr.decode() == (
        "not one row could be read, 2 were rejected: out.csv.rejects.jsonl says why. "
        "Check --delimiter, --encoding and --input-format\n"
    )


CHECK = "Check --delimiter, --encoding and --input-format"


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("options", "ended", "message"),
    [
        (
            ("--bad-rows", "reject"),
            2,
            "there is no file to put rejected rows beside. Name a file for them with --rejects",
        ),
        (
            ("--bad-rows", "reject", "-o", "x.csv", "--rejects", "x.csv"),
            2,
            "x.csv: the output and the rejected rows. Name a file for them with --rejects",
        ),
        (
            ("--max-rejects", "1"),
            2,
            "--rejects and --max-rejects are for --bad-rows reject",
        ),
        (
            ("--bad-rows", "reject", "-o", "x.csv", "--max-rejects", "0"),
            1,
            f"--max-rejects: 1 of 2 rows can't be read, which is more than 0. {CHECK}",
        ),
    ],
)
def test_what_can_not_be_done_leaves_nothing(
    options: tuple[str, ...], ended: int, message: str, labelf: Labelf, work: Path
) -> None:
    done = labelf("classify", "in.csv", "-c", work.parent / "tiny.toml", "-q", *options)
    assert (done.returncode, done.stderr.decode()) == (ended, f"error: {message}\n")
    assert sorted(path.name for path in work.iterdir()) == ["in.csv"]
