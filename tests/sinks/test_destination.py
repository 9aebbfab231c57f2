"""Where the rows of a run go: parts that a later run finds, then the published file."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelf_cli.errors import OutputError, RunError
from labelf_cli.formats import Format
from labelf_cli.sinks.destination import Destination, Durable, Table, open_destination
from labelf_cli.storage.local import Disk
from labelf_cli.summary import Summary

SCHEMA = pa.schema([("id", pa.string())])
FINGERPRINT = {"limit": 3}


def open_at(
    path: Path | None,
    format_: Format = Format.CSV,
    *,
    fingerprint: dict[str, int] = FINGERPRINT,
    part_seconds: float = 0.0,
) -> Destination:
    durable = Durable(fingerprint, restart=False, disk=Disk(), part_seconds=part_seconds)
    return open_destination(Table(path, format_, SCHEMA), durable)


def write(destination: Destination, rows: range) -> None:
    batch = pa.record_batch([pa.array(map(str, rows), pa.string())], schema=SCHEMA)
    destination.write(rows, batch, Summary(len(rows)))


def parts(path: Path) -> list[str]:
    return sorted(part.stem for part in path.with_name(f"{path.name}.labelf").glob("*.arrow"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


def test_what_was_written_is_found_and_its_summary_too(path: Path) -> None:
    first = open_at(path)
    assert (first.done, first.summary) == ((), Summary())
    write(first, range(3))
    write(first, range(3, 5))
    first.close()
    assert not path.exists()
    second = open_at(path)
    assert (second.done, second.summary) == ((range(5),), Summary(5))
    write(second, range(5, 6))
    second.publish()
    second.close()
    assert path.read_text() == "id\n0\n1\n2\n3\n4\n5\n"
    assert names(path.parent) == ["out.csv"]


def test_gaps_are_filled_and_the_table_is_in_order(path: Path) -> None:
    first = open_at(path)
    write(first, range(2))
    write(first, range(4, 6))
    first.close()
    second = open_at(path)
    assert second.done == (range(2), range(4, 6))
    write(second, range(2, 4))
    second.publish()
    assert path.read_text() == "id\n0\n1\n2\n3\n4\n5\n"


def test_a_table_with_a_gap_is_not_published(path: Path) -> None:
    path.write_text("old")
    destination = open_at(path)
    write(destination, range(2))
    write(destination, range(4, 6))
    with pytest.raises(RunError, match="the part of row 2 is not as it was written"):
        destination.publish()
    destination.close()
    assert path.read_text() == "old"
    assert parts(path) == ["000000000000", "000000000004"]


def test_a_part_holds_what_comes_within_its_time(path: Path) -> None:
    destination = open_at(path, part_seconds=60)
    write(destination, range(2))
    write(destination, range(2, 4))
    assert parts(path) == []
    write(destination, range(8, 9))  # a part holds consecutive rows
    assert parts(path) == ["000000000000"]
    destination.close()
    assert parts(path) == ["000000000000", "000000000008"]


def test_without_a_fingerprint_nothing_is_kept(path: Path) -> None:
    destination = open_at(path, fingerprint={})
    write(destination, range(2))
    destination.close()
    assert names(path.parent) == []


def test_without_a_part_nothing_is_left(path: Path) -> None:
    open_at(path).close()
    assert names(path.parent) == []


def test_a_link_stays_and_work_lies_beside_what_it_names(path: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    path.symlink_to(tmp_path / "real" / "table.csv")
    destination = open_at(path)
    assert destination.folder == tmp_path / "real" / "table.csv.labelf"
    write(destination, range(1))
    destination.publish()
    assert path.is_symlink()
    assert path.read_text() == "id\n0\n"


def test_a_device_is_written_straight(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    destination = open_at(pipe)
    assert destination.folder is None
    write(destination, range(2))
    destination.publish()
    destination.close()
    assert os.read(reader, 100) == b"id\n0\n1\n"
    os.close(reader)
    assert names(tmp_path) == ["pipe"]


def test_a_stream_that_was_not_published_can_not_be_taken_for_a_table(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    destination = open_at(pipe, Format.PARQUET)
    write(destination, range(2))
    destination.close()
    came = os.read(reader, 1 << 16)
    os.close(reader)
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(pa.BufferReader(came))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "a folder. Name a file with -o"),
        ("absent/out.csv", "can't be written (No such file or directory). Choose another -o"),
    ],
)
def test_what_can_be_no_output_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError) as refused:
        open_at(tmp_path / name)
    assert str(refused.value) == f"{tmp_path / name}: {message}"
    assert names(tmp_path) == ["folder"]
