"""Folders of Parquet files: cut by rows alone, refused when they hold anything else."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import WriteModel
from hypothesis import given
from hypothesis import strategies as st
from test_resume import StopError, stop_after
from test_run import ignore, make_rows, write_table

from labelf_cli.config import Config
from labelf_cli.errors import OutputError, WriteError
from labelf_cli.formats import Format
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings
from labelf_cli.sinks.whole import cut
from labelf_cli.storage.local import Disk
from labelf_cli.storage.location import Location


@given(st.lists(st.integers(0, 7)), st.integers(1, 9))
def test_a_table_is_cut_by_its_rows_alone(sizes: list[int], rows: int) -> None:
    total = sum(sizes)
    table = pa.table({"n": range(total)})
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    batches = [
        table.slice(end - size, size).combine_chunks().to_batches()
        for end, size in zip(ends, sizes, strict=True)
    ]
    parts = [
        [value for batch in part for value in batch.column(0).to_pylist()]
        for part in cut([batch for some in batches for batch in some], rows)
    ]
    assert parts == [list(range(total))[i : i + rows] for i in range(0, total, rows)]


@pytest.fixture
def settings(
    write_model: WriteModel, make_config: Callable[..., Config], tmp_path: Path
) -> RunSettings:
    config = make_config({"name": "m", "path": write_model(), "max_predictions": 1})
    table = write_table(tmp_path / "in.csv", make_rows(150))
    return RunSettings(
        config,
        (str(table),),
        threads=1,
        output=Location(f"{tmp_path}/out/"),
        chunk_rows=40,
        part_seconds=0,
        part_rows=60,
    )


PARTS = [f"part-0000{number}.parquet" for number in range(3)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_the_table_in_files_of_so_many_rows(
    settings: RunSettings, tmp_path: Path
) -> None:
    run(settings, ignore)
    run(replace(settings, output=tmp_path / "whole.parquet"), ignore)
    assert names(tmp_path / "out") == ["_SUCCESS", *PARTS]
    tables = [pq.read_table(tmp_path / "out" / name) for name in PARTS]
    assert [table.num_rows for table in tables] == [60, 60, 30]
    whole = pq.read_table(tmp_path / "whole.parquet").to_pylist()
    assert [row for table in tables for row in table.to_pylist()] == whole
    assert not (tmp_path / "out.labelf").exists()


def test_a_run_without_a_row_is_a_folder_with_columns(
    settings: RunSettings, tmp_path: Path
) -> None:
    run(replace(settings, limit=0), ignore)
    assert names(tmp_path / "out") == ["_SUCCESS", PARTS[0]]
    assert pq.read_schema(tmp_path / "out" / PARTS[0]).names[:2] == ["id", "text"]
    assert json.loads((tmp_path / "out" / "_SUCCESS").read_text())["parts"][0]["rows"] == 0


@pytest.mark.parametrize("name", ["notes.txt", "part-00000.parquet", "_SUCCESS"])
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("restart", [False, True])
def test_a_folder_with_something_else_is_refused_and_left_alone(
    settings: RunSettings, tmp_path: Path, name: str, begun: bool, restart: bool
) -> None:
    if begun:
        with pytest.raises(StopError):
            run(settings, stop_after(2))
    left = sorted(tmp_path.glob("out.labelf/*"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    output = settings.output if name == "notes.txt" else tmp_path / "out"  # known by its names
    with pytest.raises(OutputError, match="exists already"):
        run(replace(settings, output=output, restart=restart), ignore)
    assert (tmp_path / "out" / name).read_text() == "mine"
    assert (tmp_path / "out.labelf").exists() == begun
    assert sorted(tmp_path.glob("out.labelf/*")) == left


class NoSecondFile(Disk):
    """The second file of a folder can't be given its name."""

    def publish(self, source: PurePath, target: PurePath) -> None:
        if target.name == PARTS[1]:
            raise OSError(errno.EIO, "no second file")
        super().publish(source, target)


def broken_off(settings: RunSettings, tmp_path: Path) -> None:
    """A run that has published one file of its folder."""
    with pytest.raises(WriteError, match="no second file"):
        run(settings, ignore, NoSecondFile())
    assert names(tmp_path / "out") == PARTS[:1]


def test_what_an_unfinished_run_has_published_goes_with_its_work(
    settings: RunSettings, tmp_path: Path
) -> None:
    broken_off(settings, tmp_path)
    other = replace(settings, part_rows=1000)
    with pytest.raises(OutputError, match="rows of a file was 60, is 1000"):
        run(other, ignore)
    run(replace(other, restart=True), ignore)
    assert names(tmp_path / "out") == ["_SUCCESS", PARTS[0]]
    assert pq.read_metadata(tmp_path / "out" / PARTS[0]).num_rows == 150


class NoRemoval(Disk):
    """The process ends while the work folder is removed."""

    def remove_folder(self, path: PurePath) -> None:
        raise KeyboardInterrupt(path)


def test_what_is_left_of_a_run_that_is_done_goes_when_its_folder_is_refused(
    settings: RunSettings, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(settings, ignore, NoRemoval())
    assert (tmp_path / "out.labelf" / "publishing").exists()
    with pytest.raises(OutputError, match="exists already"):
        run(settings, ignore)
    assert names(tmp_path / "out") == ["_SUCCESS", *PARTS]
    assert not (tmp_path / "out.labelf").exists()


def test_the_same_command_goes_on_with_a_folder(settings: RunSettings, tmp_path: Path) -> None:
    broken_off(settings, tmp_path)
    run(settings, ignore)
    assert names(tmp_path / "out") == ["_SUCCESS", *PARTS]


def test_a_folder_is_of_parquet_files(settings: RunSettings) -> None:
    with pytest.raises(OutputError, match="a folder holds Parquet files, not csv"):
        run(replace(settings, output_format=Format.CSV), ignore)
