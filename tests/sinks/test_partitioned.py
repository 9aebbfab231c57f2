"""Partitioned folders: each row once, in the folder that its values name, read back by others."""

import errno
import json
import multiprocessing
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePath

import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from conftest import WriteModel
from faults import CountingDisk, FailingDisk, KillingDisk
from hypothesis import given
from hypothesis import strategies as st
from test_run import ignore, make_rows

from labelf_cli.config import Config
from labelf_cli.errors import OutputError, UsageError, WriteError
from labelf_cli.formats import Layout
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings
from labelf_cli.sinks.partitioned import split, without
from labelf_cli.storage.local import Disk
from labelf_cli.storage.location import Location
from labelf_cli.storage.names import partitions

VALUES = st.none() | st.text(st.sampled_from("ab =/%é😀.'"), min_size=1, max_size=3)


@given(st.lists(st.tuples(VALUES, st.none() | st.booleans())))
def test_each_row_is_in_the_folder_that_its_values_name(rows: list[tuple[str, bool]]) -> None:
    names, flags = ([row[at] for row in rows] for at in (0, 1))
    batch = pa.record_batch(
        {
            "a/b": pa.array(names, pa.string()).dictionary_encode(),
            "n": pa.array(range(len(rows)), pa.int64()),
            "c": pa.array(flags, pa.bool_()),
        }
    )
    found = {}
    for below, share in split(batch, ("c", "a/b")) if rows else ():
        assert share.schema.names == ["n"]
        (c, flag), (a, name) = partitions(below.split("/"))
        assert (c, a) == ("c", "a/b")
        assert share["n"].to_pylist() == sorted(share["n"].to_pylist())
        for n in share["n"].to_pylist():
            found[n] = (name, None if flag is None else flag == "true")
    assert found == dict(enumerate(rows))


@pytest.fixture
def settings(
    write_model: WriteModel, make_config: Callable[..., Config], tmp_path: Path
) -> RunSettings:
    """Of 300 rows whose shop is one of 7, or none."""
    config = make_config({"name": "m", "path": write_model(), "max_predictions": 1})
    table = pa.table({"id": range(300), "text": [row["text"] for row in make_rows(300)]})
    shops = [None if at % 8 == 7 else f"shop {at % 8}: é" for at in range(300)]
    days = [date(2026, 11, 1 + at // 150) for at in range(300)]
    table = table.append_column("shop", pa.array(shops)).append_column("day", pa.array(days))
    pq.write_table(table, tmp_path / "in.parquet")
    return RunSettings(
        config,
        (str(tmp_path / "in.parquet"),),
        threads=1,
        output=Location(f"{tmp_path}/out/"),
        chunk_rows=40,
        part_seconds=0,
        part_rows=15,
        partition_by=("day", "shop"),
    )


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "_SUCCESS")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_others_read_it(settings: RunSettings, tmp_path: Path) -> None:
    run(settings, ignore)
    run(replace(settings, output=tmp_path / "whole.parquet", partition_by=()), ignore)
    whole = pq.read_table(tmp_path / "whole.parquet")
    expected = sorted(
        (row["id"], str(row["day"]), row["shop"], row["m.label"]) for row in whole.to_pylist()
    )
    out = tmp_path / "out"
    columns = ["id", "day", "shop", "m.label"]
    kinds = pa.schema([("day", pa.string()), ("shop", pa.string())])
    table = ds.dataset(out, partitioning=ds.partitioning(kinds, flavor="hive")).to_table()
    assert sorted(map(tuple, map(dict.values, table.select(columns).to_pylist()))) == expected
    asked = f"select id, day::text, shop, \"m.label\" from read_parquet('{out}/**/*.parquet')"
    assert sorted(duckdb.connect().execute(asked).fetchall()) == expected
    frame = polars.scan_parquet(f"{out}/**/*.parquet", hive_partitioning=True).collect()
    assert sorted((i, str(day), shop, m) for i, day, shop, m in frame.select(columns).rows()) == (
        expected
    )
    again = replace(settings, inputs=(str(out),), output=tmp_path / "again.parquet")
    run(replace(again, partition_by=(), separator="_"), ignore)
    table = pq.read_table(tmp_path / "again.parquet").select([*columns[:3], "m_label"])
    assert sorted(map(tuple, map(dict.values, table.to_pylist()))) == expected
    told = json.loads((out / "_SUCCESS").read_text())["parts"]
    assert {part["name"]: part["bytes"] for part in told} == {
        name: len(content) for name, content in contents(out).items()
    }
    assert sum(part["rows"] for part in told) == 300
    assert "day=2026-11-01/shop=shop 0%3A é/part-00001.parquet" in contents(out)
    assert "day=2026-11-02/shop=__HIVE_DEFAULT_PARTITION__/part-00000.parquet" in contents(out)
    assert not (tmp_path / "out.labelf").exists()


def test_neither_chunks_nor_parts_move_a_byte(settings: RunSettings, tmp_path: Path) -> None:
    run(settings, ignore)
    other = replace(settings, output=Location(f"{tmp_path}/b/"), chunk_rows=7, part_seconds=60.0)
    run(other, ignore)
    assert contents(tmp_path / "out") == contents(tmp_path / "b")


class NoNinthFile(Disk):
    """One file can't be given its name."""

    def __init__(self) -> None:
        self.published = 0

    def publish(self, source: PurePath, target: PurePath) -> None:
        self.published += target.name.startswith("part-")
        if self.published == 9:
            raise OSError(errno.EIO, "no ninth file")
        super().publish(source, target)


def test_the_same_command_goes_on(settings: RunSettings, tmp_path: Path) -> None:
    run(replace(settings, output=Location(f"{tmp_path}/b/")), ignore)
    for _ in range(2):
        with pytest.raises(WriteError, match="no ninth file"):
            run(settings, ignore, NoNinthFile())
        assert len(contents(tmp_path / "out")) == 8
    run(settings, ignore)
    assert contents(tmp_path / "out") == contents(tmp_path / "b")


def test_what_an_unfinished_run_has_published_goes_with_its_work(
    settings: RunSettings, tmp_path: Path
) -> None:
    with pytest.raises(WriteError, match="no ninth file"):
        run(settings, ignore, NoNinthFile())
    other = replace(settings, partition_by=("m.label",))
    with pytest.raises(OutputError, match=r"partitions\.1 was \"day\", is \"m\.label\""):
        run(other, ignore)
    run(replace(other, restart=True), ignore)
    assert {name.partition("=")[0] for name in contents(tmp_path / "out")} == {"m.label"}
    with pytest.raises(OutputError, match="exists already"):
        run(replace(other, restart=True), ignore)


def run_until_killed(settings: RunSettings, at: int) -> None:
    run(settings, ignore, KillingDisk(at))


def test_faults_and_kills_cost_nothing(
    settings: RunSettings, tmp_path: Path, survived: Callable[[str, int], None]
) -> None:
    unbroken, disk = replace(settings, output=Location(f"{tmp_path}/b/")), CountingDisk(writes=True)
    run(unbroken, ignore, disk)
    whole, faults = contents(tmp_path / "b"), range(1, disk.count, 47)
    run(replace(settings, output=Location(f"{tmp_path}/c/")), ignore, disk := CountingDisk())
    kills = range(disk.count // 3, disk.count, disk.count // 6)
    spawn = multiprocessing.get_context("forkserver")
    for at in [*faults, *(-at for at in kills)]:
        if at > 0:
            with suppress(WriteError, OutputError):
                run(settings, ignore, FailingDisk(at))
        else:
            process = spawn.Process(target=run_until_killed, args=(settings, -at))
            process.start()
            process.join()
            assert process.exitcode == -signal.SIGKILL
        if not (tmp_path / "out" / "_SUCCESS").exists() or (tmp_path / "out.labelf").exists():
            run(settings, ignore)
        assert contents(tmp_path / "out") == whole
        shutil.rmtree(tmp_path / "out")
        shutil.rmtree(tmp_path / "out.labelf", ignore_errors=True)
    survived("faults of a partitioned folder", len(faults))
    survived("kills of a partitioned folder", len(kills))


def test_a_run_without_a_row_has_columns(settings: RunSettings, tmp_path: Path) -> None:
    run(replace(settings, limit=0), ignore)
    assert list(contents(tmp_path / "out")) == ["part-00000.parquet"]
    names = pq.read_schema(tmp_path / "out" / "part-00000.parquet").names
    assert names[:3] == ["id", "text", "m.label"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("dya",), "--partition-by: no column 'dya'. Did you mean 'day'?"),
        (("day", "day"), "--partition-by: 'day' twice. Name it once"),
        (
            ("m.score",),
            (
                "--partition-by: 'm.score' is float, which can't name folders. "
                "Choose a column of text, whole numbers, dates or truth values"
            ),
        ),
    ],
)
def test_what_can_not_name_folders_is_refused(
    settings: RunSettings, tmp_path: Path, columns: tuple[str, ...], message: str
) -> None:
    with pytest.raises(OutputError) as refused:
        run(replace(settings, partition_by=columns), ignore)
    assert str(refused.value) == message
    assert not list(tmp_path.glob("out*"))


def test_only_a_folder_is_partitioned(settings: RunSettings, tmp_path: Path) -> None:
    for output in (None, tmp_path / "out.parquet"):
        with pytest.raises(UsageError, match="only a folder has partitions"):
            run(replace(settings, output=output), ignore)


def test_the_long_layout_too(settings: RunSettings, tmp_path: Path) -> None:
    run(replace(settings, layout=Layout.LONG, partition_by=("model", "label")), ignore)
    assert {name.split("/")[0] for name in contents(tmp_path / "out")} == {"model=m"}


def test_metadata_stay() -> None:
    schema = pa.schema([("a", pa.string()), ("b", pa.int8())], metadata={"origin": "here"})
    found = without(schema, ("b",))
    assert (found.names, found.metadata) == (["a"], {b"origin": b"here"})
