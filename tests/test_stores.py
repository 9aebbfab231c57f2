"""Runs into an object store: whatever happens, the output is absent, old or complete there too."""

import hashlib
import io
import itertools
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Kept, WriteModel
from pyarrow import fs
from s3_server import S3Server
from test_run import ignore, make_rows, write_table

from labelf_cli.config import Config
from labelf_cli.errors import BadRowError, OutputError, UsageError, WriteError
from labelf_cli.formats import Format
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.table import Inputs
from labelf_cli.storage.location import SUCCESS, Location
from labelf_cli.storage.names import InputName
from labelf_cli.storage.objects import ObjectStore
from labelf_cli.storage.uri import Uri

CACHE = "XDG_CACHE_HOME"
OLD = b"what was there before"


class Handler(fs.FileSystemHandler):  # type: ignore[misc]
    """A file system that does something before each request to another one."""

    def __init__(self, inner: fs.FileSystem) -> None:
        self._inner, self.count = inner, 0

    def step(self) -> None:
        """Called before each request."""
        self.count += 1

    def get_type_name(self) -> str:
        return str(self._inner.type_name)

    def normalize_path(self, path: str) -> str:
        return str(self._inner.normalize_path(path))

    def get_file_info(self, paths: list[str]) -> Any:  # noqa: ANN401
        self.step()
        return self._inner.get_file_info(paths)

    def get_file_info_selector(self, selector: fs.FileSelector) -> Any:  # noqa: ANN401
        self.step()
        return self._inner.get_file_info(selector)

    def create_dir(self, path: str, recursive: bool) -> None:
        self.step()
        self._inner.create_dir(path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self.step()
        self._inner.delete_dir(path)
        self.step()

    def delete_dir_contents(self, path: str, missing_dir_ok: bool) -> None:
        raise NotImplementedError

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        self.step()
        self._inner.delete_file(path)

    def move(self, src: str, dest: str) -> None:
        self.step()
        self._inner.move(src, dest)

    def copy_file(self, src: str, dest: str) -> None:
        self.step()
        self._inner.copy_file(src, dest)
        self.step()

    def open_input_stream(self, path: str) -> Any:  # noqa: ANN401
        self.step()
        return self._inner.open_input_stream(path, compression=None)

    def open_input_file(self, path: str) -> Any:  # noqa: ANN401
        self.step()
        return self._inner.open_input_file(path)

    def open_append_stream(self, path: str, metadata: object) -> Any:  # noqa: ANN401
        raise NotImplementedError

    def open_output_stream(self, path: str, metadata: object) -> Any:  # noqa: ANN401, ARG002
        self.step()
        return pa.PythonFile(
            _Stream(self._inner.open_output_stream(path, compression=None), self), mode="w"
        )


class _Stream(io.RawIOBase):
    """An upload whose writes and completion are requests; half of a write is there before one.

    When it is dropped it is completed, as Arrow's own are.
    """

    def __init__(self, stream: pa.NativeFile, handler: Handler) -> None:
        self._stream, self._handler = stream, handler

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:  # noqa: ANN401
        half = len(content) // 2
        self._stream.write(bytes(content[:half]))
        self._handler.step()
        self._stream.write(bytes(content[half:]))
        return len(content)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._handler.step()
            self._stream.close()
            self._handler.step()


class Failing(Handler):
    """Fails at one request, or from one request on."""

    def __init__(self, inner: fs.FileSystem, at: int, *, for_ever: bool = False) -> None:
        super().__init__(inner)
        self._at, self._for_ever, self.failed = at, for_ever, False

    def step(self) -> None:
        super().step()
        if self.count == self._at or (self._for_ever and self.count > self._at):
            self.failed = True
            raise OSError("AWS Error NETWORK_CONNECTION: the store is gone")


class Killing(Handler):
    """Ends its process at one request, as kill -9 does."""

    def __init__(self, inner: fs.FileSystem, at: int) -> None:
        super().__init__(inner)
        self._at = at

    def step(self) -> None:
        super().step()
        if self.count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class HandledUri(Uri):
    """A place whose store goes through a handler."""

    handler: Handler = field(kw_only=False, default_factory=lambda: Handler(fs.LocalFileSystem()))

    @property
    def filesystem(self) -> fs.FileSystem:
        return fs.PyFileSystem(self.handler)


def store_of(settings: RunSettings) -> Uri:
    """Where a run's output goes."""
    assert isinstance(settings.output, Location)
    assert settings.output.uri is not None
    return settings.output.uri


def through(settings: RunSettings, handler: Handler) -> ObjectStore:
    """The store of a run's output, through a handler."""
    plain = store_of(settings)
    return ObjectStore(HandledUri(plain.scheme, plain.authority, plain.key, plain.query, handler))


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.bucket()


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def asked(
    write_model: WriteModel,
    make_config: Callable[..., Config],
    tmp_path: Path,
    s3: S3Server,
    bucket: str,
) -> Callable[[str], RunSettings]:
    """Settings of a run in several parts, each of one chunk, by the name of its output."""
    config = make_config({"name": "m", "path": write_model(), "max_predictions": 1})
    table = write_table(tmp_path / "in.csv", make_rows(150))
    s3.put(f"{bucket}/in.csv", table.read_bytes())

    def settings(name: str) -> RunSettings:
        output = Location(s3.uri(f"{bucket}/{name}"))
        return RunSettings(
            config,
            (s3.uri(f"{bucket}/in.csv"),),
            threads=1,
            output=output,
            chunk_rows=40,
            part_seconds=0,
            part_rows=60,
        )

    return settings


@pytest.fixture(params=["out.csv", "folder/"])
def settings(request: pytest.FixtureRequest, asked: Callable[[str], RunSettings]) -> RunSettings:
    return asked(request.param)


Objects = dict[str, bytes]


class Outcome:
    """What a run into a store leaves, and what it may leave."""

    def __init__(self, settings: RunSettings, s3: S3Server, bucket: str, tmp_path: Path) -> None:
        """Run it on the local disk, unbroken."""
        assert isinstance(settings.output, Location)
        self._s3, self._bucket = s3, bucket
        name = settings.output.name
        local = Location(str(tmp_path / name) + "/" * settings.output.is_folder)
        run(replace(settings, output=local, inputs=(str(tmp_path / "in.csv"),)), ignore)
        path = tmp_path / name
        files = path.iterdir() if path.is_dir() else [path]
        self.whole = {
            str(file.relative_to(tmp_path)): file.read_bytes()
            for file in files
            if file.name != SUCCESS
        }
        self._is_folder = path.is_dir()
        self.success = f"{name}/{SUCCESS}"

    def put_old(self) -> None:
        """Something stands there before the run; folders are none then."""
        if not self._is_folder:
            for key in self.whole:
                self._s3.put(f"{self._bucket}/{key}", OLD)

    def check(self) -> None:
        """Nothing short stands under a final name."""
        sizes = self._s3.sizes(self._bucket)
        found = {key: self._s3.get(f"{self._bucket}/{key}") for key in self.whole if key in sizes}
        for key, content in found.items():
            assert content in ([self.whole[key]] if self._is_folder else [OLD, self.whole[key]])
        if self.success in sizes:
            manifest = json.loads(self._s3.get(f"{self._bucket}/{self.success}"))
            assert {f"folder/{part['name']}" for part in manifest["parts"]} == set(self.whole)
            assert set(found) == set(self.whole)

    def go_on(self, settings: RunSettings) -> None:
        """Give the same command again; a folder that is done is not written again."""
        if self.success in self._s3.sizes(self._bucket):
            self._again_when_done(settings)
        else:
            run(settings, ignore)

    def _again_when_done(self, settings: RunSettings) -> None:
        """Its work folder may still be there: then it is put together once more, and removed."""
        with suppress(OutputError):
            run(settings, ignore)

    def check_whole(self) -> None:
        """All is there, and nothing else."""
        sizes = self._s3.sizes(self._bucket)
        expected = {"in.csv", *self.whole, *([self.success] if self._is_folder else [])}
        assert set(sizes) == expected
        for key, content in self.whole.items():
            assert self._s3.get(f"{self._bucket}/{key}") == content

    def clear(self) -> None:
        """As before the first run."""
        for key in self._s3.sizes(self._bucket):
            if key != "in.csv":
                self._s3.filesystem.delete_file(f"{self._bucket}/{key}")


@pytest.fixture
def outcome(settings: RunSettings, s3: S3Server, bucket: str, tmp_path: Path) -> Outcome:
    return Outcome(settings, s3, bucket, tmp_path)


@pytest.mark.parametrize("name", ["calls.csv.gz", "calls.jsonl", "calls.parquet"])
def test_a_table_goes_through_a_store_as_it_goes_through_files(
    asked: Callable[[str], RunSettings], s3: S3Server, bucket: str, tmp_path: Path, name: str
) -> None:
    settings = asked(f"out.{name}")
    made = tmp_path / name
    run(replace(settings, output=made), ignore)
    s3.put(f"{bucket}/in/{name}", made.read_bytes())
    settings = replace(settings, separator="_")
    run(replace(settings, inputs=(str(made),), output=tmp_path / f"out.{name}"), ignore)
    run(replace(settings, inputs=(s3.uri(f"{bucket}/in/{name}"),)), ignore)
    assert s3.get(f"{bucket}/out.{name}") == (tmp_path / f"out.{name}").read_bytes()
    assert list(s3.sizes(bucket)) == ["in.csv", f"in/{name}", f"out.{name}"]


def test_a_partitioned_table_becomes_a_folder(
    asked: Callable[[str], RunSettings], s3: S3Server, bucket: str
) -> None:
    content = s3.get(f"{bucket}/in.csv")
    for month in ("10", "11"):
        s3.put(f"{bucket}/calls/year=2026/month={month}/part.csv", content)
    s3.put(f"{bucket}/calls/_SUCCESS", b"{}")
    settings = replace(asked("labelled/"), inputs=(s3.uri(f"{bucket}/calls"),), part_rows=200)
    summary = run(settings, ignore)
    manifest = json.loads(s3.get(f"{bucket}/labelled/{SUCCESS}"))
    assert manifest["summary"]["rows"] == summary.rows == 300
    tables = []
    for number, part in enumerate(manifest["parts"]):
        found = s3.get(f"{bucket}/labelled/{part['name']}")
        tables.append(pq.read_table(pa.BufferReader(found)))
        assert part == {
            "name": f"part-0000{number}.parquet",
            "rows": [200, 100][number],
            "bytes": len(found),
            "sha256": hashlib.sha256(found).hexdigest(),
        }
    table = pa.concat_tables(tables, promote_options="permissive")
    assert table.column("month").to_pylist() == ["10"] * 150 + ["11"] * 150
    assert set(table.column("year").to_pylist()) == {"2026"}
    with pytest.raises(OutputError) as refused:
        run(settings, ignore)
    assert str(refused.value) == (
        f"s3://{bucket}/labelled: exists already, and an unfinished run of this command is "
        "not all that is in it. Remove it, or choose another -o"
    )
    listed = [key for key in s3.sizes(bucket) if key.startswith("labelled")]
    assert listed == [f"labelled/{SUCCESS}", *(f"labelled/part-0000{n}.parquet" for n in (0, 1))]


def test_a_partitioned_table_becomes_one(
    asked: Callable[[str], RunSettings], s3: S3Server, bucket: str
) -> None:
    content = s3.get(f"{bucket}/in.csv")
    for month in ("10", "11"):
        s3.put(f"{bucket}/calls/year=2026/month={month}/part.csv", content)
    asked_for = replace(asked("labelled/"), inputs=(s3.uri(f"{bucket}/calls"),), part_rows=100)
    run(replace(asked_for, partition_by=("year", "month")), ignore)
    manifest = json.loads(s3.get(f"{bucket}/labelled/{SUCCESS}"))
    parts = [
        (f"year=2026/month={month}/part-0000{number}.parquet", rows)
        for month in (10, 11)
        for number, rows in ((0, 100), (1, 50))
    ]
    assert [(part["name"], part["rows"]) for part in manifest["parts"]] == parts
    listed = [key for key in s3.sizes(bucket) if key.startswith("labelled")]
    assert sorted(listed) == sorted(f"labelled/{n}" for n in (SUCCESS, *(n for n, _ in parts)))
    with pytest.raises(OutputError, match="exists already"):
        run(replace(asked_for, partition_by=("year",), restart=True), ignore)


def test_a_folder_with_another_in_it_is_refused(
    asked: Callable[[str], RunSettings], s3: S3Server, bucket: str
) -> None:
    s3.put(f"{bucket}/labelled/year=2026/part-0.parquet", b"")
    with pytest.raises(OutputError, match="exists already"):
        run(asked("labelled/"), ignore)
    assert list(s3.sizes(bucket)) == ["in.csv", "labelled/year=2026/part-0.parquet"]


IN, OUT = "s3://{bucket}/in.csv", "s3://{bucket}/out.csv"
REFUSED = [
    ("s3://{bucket}/none.csv", OUT, "s3://{bucket}/none.csv: no such file. Check the path"),
    ("s3://no-bucket/*.csv", OUT, "s3://no-bucket/*.csv: no such file. Check the path"),
    (
        "s3://me:hush-hush@{bucket}/in.csv?hush=hush-hush",
        OUT,
        "s3://{bucket}/in.csv: can't be read (Unexpected query parameter in S3 URI: 'hush')",
    ),
    (
        "s3a://me:hush-hush@{bucket}/in.csv",
        OUT,
        "s3a://{bucket}/in.csv: s3a:// is none of the stores that are read and written. There are",
    ),
    (
        IN,
        "s3://no-bucket/out.csv",
        "s3://no-bucket/out.csv: can't be written (no such bucket). Choose another -o",
    ),
    (IN, "s3://{bucket}/", "s3://{bucket}/: has no name. Name a file or a folder in it"),
    (
        IN,
        "hdfs://localhost:1/out.csv",
        "hdfs://localhost:1/out.csv: can't be written (",
    ),
]


@pytest.mark.parametrize("refused", REFUSED)
def test_what_can_not_be_used_is_named_without_secrets(
    asked: Callable[[str], RunSettings],
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    refused: tuple[str, str, str],
) -> None:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    settings = asked("out.csv")
    bucket = store_of(settings).authority.rpartition("@")[2]
    source, output, message = (text.format(bucket=bucket) for text in refused)
    with pytest.raises(UsageError) as error:
        run(replace(settings, inputs=(source,), output=Location(output)), ignore)
    assert str(error.value).startswith(message)
    assert "hush-" not in str(error.value)
    assert list(s3.sizes(bucket)) == ["in.csv"]


class Breaking(Handler):
    """A store that goes away while an object is read."""

    is_gone = False

    def open_input_file(self, path: str) -> Any:  # noqa: ANN401
        return pa.PythonFile(_Breaking(self._inner.open_input_file(path), self), mode="r")


class _Breaking(io.RawIOBase):
    def __init__(self, file: pa.NativeFile, handler: Breaking) -> None:
        self._file, self._handler = file, handler
        self.seek, self.tell = file.seek, file.tell  # type: ignore[method-assign]

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._handler.is_gone:
            raise OSError("AWS Error NETWORK_CONNECTION during GetObject operation")
        return bytes(self._file.read(size))


def test_a_store_that_fails_in_mid_file_makes_no_row_a_bad_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "in.parquet")
    handler = Breaking(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))
    name = InputName.at(HandledUri("gs", "", "in.parquet", "", handler))
    source = Inputs([name], Format.PARQUET, ReadOptions(("text",), Format.PARQUET))
    bad_rows = Kept()
    handler.is_gone = True
    with pytest.raises(BadRowError) as error:
        list(source.batches(bad_rows))
    assert str(error.value).startswith("gs:///in.parquet: can't be read further (AWS Error NETWORK")
    assert bad_rows.kept == []


SHORT, LONG = 29, pytest.param(1, marks=pytest.mark.long)


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("every", [SHORT, LONG])
def test_a_fault_of_any_request_costs_nothing(
    settings: RunSettings,
    outcome: Outcome,
    for_ever: bool,
    every: int,
    survived: Callable[[str, int], None],
) -> None:
    for at in itertools.count(1, every):
        outcome.put_old()
        handler = Failing(store_of(settings).filesystem, at, for_ever=for_ever)
        with suppress(WriteError, OutputError):
            run(settings, ignore, through(settings, handler))
        outcome.check()
        outcome.go_on(settings)
        outcome.check_whole()
        outcome.clear()
        if not handler.failed:
            break
    survived("faults of a store", (at - 1) // every)
    assert at > 40


@pytest.fixture(scope="module")
def spawn() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["labelf_cli.run", "test_run", "test_stores"])
    return context


def run_until_killed(settings: RunSettings, at: int, cache_home: str) -> None:
    os.environ[CACHE] = cache_home  # the server of forks has that of its first test
    run(settings, ignore, through(settings, Killing(store_of(settings).filesystem, at)))


@pytest.mark.parametrize("every", [SHORT, LONG])
def test_a_kill_at_any_request_costs_nothing(
    settings: RunSettings,
    outcome: Outcome,
    spawn: multiprocessing.context.ForkServerContext,
    every: int,
    survived: Callable[[str, int], None],
) -> None:
    for at in itertools.count(1, every):
        outcome.put_old()
        process = spawn.Process(target=run_until_killed, args=(settings, at, os.environ[CACHE]))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        outcome.check()
        outcome.go_on(settings)
        outcome.check_whole()
        outcome.clear()
    survived("kills of a run into a store", (at - 1) // every)
    assert at > 40
