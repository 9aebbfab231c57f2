"""Shards in object stores, joined: the bytes of an unsharded run on the disk."""

import itertools
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pytest
from conftest import WriteModel
from pyarrow import fs
from s3_server import S3Server
from test_merge_job import asked, counted, files, run_shards, write_csv
from test_run import ignore
from test_stores import CACHE, Breaking, Failing, HandledUri, Handler, Killing, spawn, through

from labelf_cli.config import Config
from labelf_cli.errors import BadRowError, OutputError, UsageError, WriteError
from labelf_cli.formats import Format
from labelf_cli.jobs.merge import MergeSettings, merge
from labelf_cli.joining import Turn, outputs_of
from labelf_cli.manifest import Manifest
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings
from labelf_cli.shard import Shard
from labelf_cli.storage.location import Location
from labelf_cli.storage.names import InputName
from labelf_cli.storage.objects import ObjectStore

ROWS, BAD = 9000, {5, 6000, 8999}
"""Three units, with a bad row each."""

OLD = b"what was there before"

__all__ = ["spawn"]


@pytest.fixture
def config(write_model: WriteModel, make_config: Callable[..., Config]) -> Config:
    return make_config({"name": "m", "path": write_model()})


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.bucket()


def write_wide(path: Path) -> Path:
    """Lines so long that a reader meets bad rows while it is at their unit."""
    first, *lines = write_csv(path, ROWS, BAD).read_text().split("\n")
    ends = {f"{at:06}," for at in range(ROWS)}
    wide = [f"{'x' * 400}{line}" if line[:7] in ends else line for line in lines]
    path.write_text("\n".join([first, *wide]))
    return path


class Shards:
    """Three shards of a table in a bucket, and the table as one run writes it on the disk."""

    def __init__(self, config: Config, s3: S3Server, bucket: str, source: Path) -> None:
        self._s3, self._bucket, self._folder = s3, bucket, source.parent
        self.config, self.source = config, source

    def settings(self, name: str, number: int) -> RunSettings:
        """Of the run of a shard, or of the whole on the disk for 0."""
        whole = asked(self.config, self.source, self._folder / name)
        if not number:
            return whole
        shard = Shard(number, 3)
        return replace(whole, output=self.place(f"s{number}.{name}"), shard=shard, part_seconds=0)

    def place(self, key: str) -> Location:
        """An object of the bucket."""
        return Location(self._s3.uri(f"{self._bucket}/{key}"))

    def uri(self, key: str) -> str:
        return self._s3.uri(f"{self._bucket}/{key}")

    def get(self, key: str) -> tuple[bytes, bytes]:
        """An object and its rejects."""
        paths = (f"{self._bucket}/{key}", f"{self._bucket}/{key}.rejects.jsonl")
        return self._s3.get(paths[0]), self._s3.get(paths[1])

    def fetch(self, *keys: str) -> None:
        """Copy objects to the disk."""
        for key in keys:
            (self._folder / key).write_bytes(self._s3.get(f"{self._bucket}/{key}"))


@pytest.fixture
def shards(config: Config, s3: S3Server, bucket: str, tmp_path: Path) -> Shards:
    return Shards(config, s3, bucket, write_wide(tmp_path / "in.csv"))


@pytest.fixture
def few(config: Config, s3: S3Server, bucket: str, tmp_path: Path) -> Shards:
    """The same of a small table, of which only the first shard has rows."""
    return Shards(config, s3, bucket, write_csv(tmp_path / "in.csv", 50, {5}))


def beside(name: str) -> list[str]:
    return [name, f"{name}.rejects.jsonl", f"{name}.shard.json"]


@pytest.mark.parametrize("name", ["calls.csv.gz", "calls.parquet"])
def test_shards_in_a_bucket_joined_are_an_unsharded_run(
    shards: Shards, s3: S3Server, bucket: str, tmp_path: Path, name: str
) -> None:
    summary = run(shards.settings(name, 0), ignore)
    whole = files(tmp_path / name)
    for number in (1, 3):
        run(shards.settings(name, number), ignore)
    second = shards.settings(name, 2)
    run(replace(second, rejects=shards.place("elsewhere/2.jsonl")), ignore)
    keys = [key for number in (1, 3) for key in beside(f"s{number}.{name}")]
    keys += [f"s2.{name}", f"s2.{name}.shard.json", "elsewhere/2.jsonl"]
    assert set(s3.sizes(bucket)) == set(keys)
    for number in (1, 2, 3):
        manifest = s3.get(f"{bucket}/s{number}.{name}.shard.json")
        assert b"secret" not in manifest
        assert b"endpoint" not in manifest
    glob = shards.uri(f"s?.{name}")
    assert counted(merge(MergeSettings((glob,), shards.place(f"w.{name}")))) == counted(summary)
    assert shards.get(f"w.{name}") == whole
    assert set(s3.sizes(bucket)) == {*keys, f"w.{name}", f"w.{name}.rejects.jsonl"}
    merge(MergeSettings((glob,), tmp_path / f"w.{name}", shards.place("r.jsonl")))
    assert (tmp_path / f"w.{name}").read_bytes() == whole[0]
    assert s3.get(f"{bucket}/r.jsonl") == whole[1]
    shards.fetch(*beside(f"s1.{name}"))
    mixed = (str(tmp_path / f"s1.{name}"), *(shards.uri(f"s{n}.{name}") for n in (2, 3)))
    merge(MergeSettings(mixed, shards.place(f"m.{name}"), tmp_path / "m.jsonl"))
    assert s3.get(f"{bucket}/m.{name}") == whole[0]
    assert (tmp_path / "m.jsonl").read_bytes() == whole[1]


def test_what_is_amiss_in_a_bucket_is_named_without_secrets(
    shards: Shards, s3: S3Server, bucket: str
) -> None:
    for number in (1, 2, 3):
        run(shards.settings("o.csv", number), ignore)
    first, second = (shards.uri(f"s{number}.o.csv") for number in (1, 2))
    shown = f"s3://{bucket}"
    before = s3.sizes(bucket)

    def refused(*names: str, output: str = "w.csv", rejects: str | None = None) -> str:
        place = None if rejects is None else Location(rejects)
        with pytest.raises(UsageError) as caught:
            merge(MergeSettings(names, shards.place(output), place))
        assert "secret" not in str(caught.value)
        return str(caught.value).replace(shown, "B")

    for key in beside("s1.o.csv"):
        s3.put(f"{bucket}/copy/{key}", s3.get(f"{bucket}/{key}"))
    assert refused(first, second, shards.uri("copy/")) == (
        "shard 3/3 is missing; shard 1/3 is there 2 times: B/s1.o.csv, B/copy/s1.o.csv. "
        "Give the outputs of all 3 shards, each once"
    )
    glob = shards.uri("s?.o.csv")
    assert refused(glob, output="s2.o.csv").startswith("B/s2.o.csv: it is one of the shards")
    for key in ("s1.o.csv.shard.json", "s3.o.csv.rejects.jsonl", "w.csv"):
        assert "Choose another --rejects" in refused(glob, rejects=f"{shown}/{key}")
    assert refused(glob, output="w/") == "B/w: a folder. Name a file with -o"
    s3.put(f"{bucket}/s2.o.csv.rejects.jsonl", b"{}\n")
    again = "Run the command that makes it again"
    assert refused(glob) == (
        f"B/s2.o.csv.rejects.jsonl: it has changed since it was written. {again}"
    )
    s3.filesystem.delete_file(f"{bucket}/s2.o.csv.rejects.jsonl")
    assert refused(glob) == f"B/s2.o.csv.rejects.jsonl: can't be read (no such file). {again}"
    s3.filesystem.delete_file(f"{bucket}/s3.o.csv.shard.json")
    assert refused(glob) == (
        "B/s3.o.csv: no s3.o.csv.shard.json stands beside it, so it is no shard, or not finished. "
        f"{again}"
    )
    assert refused(shards.uri("none?.csv")) == "B/none?.csv: no such file. Check the path"
    assert not [key for key in s3.sizes(bucket) if key not in before and "copy/" not in key]


def test_an_output_in_a_bucket_that_is_not_there_is_refused_before_rows_are_joined(
    few: Shards, s3: S3Server, tmp_path: Path
) -> None:
    names = tuple(run_shards(few.settings("o.csv", 0), 1))
    output = Location(s3.uri("no-bucket-at-all/w.csv"))
    for settings in (MergeSettings(names, output), MergeSettings(names, tmp_path / "w", output)):
        with pytest.raises(OutputError) as caught:
            merge(settings)
        option = "-o" if settings.rejects is None else "--rejects"
        assert str(caught.value) == (
            "s3://no-bucket-at-all/w.csv: can't be written (no such bucket). "
            f"Choose another {option}"
        )
    assert not [path for path in tmp_path.iterdir() if "w" in path.name]


@dataclass(frozen=True)
class HandledLocation(Location):
    """A place whose store goes through a handler."""

    handler: Handler | None = None

    def open(self, option: str = "-o") -> ObjectStore:  # noqa: ARG002
        assert self.uri is not None
        assert self.handler is not None
        its = self.uri
        return ObjectStore(HandledUri(its.scheme, its.authority, its.key, its.query, self.handler))

    def suffixed(self, suffix: str) -> Location:
        return HandledLocation(super().suffixed(suffix).text, self.handler)


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.long)])
def test_a_fault_of_any_request_leaves_no_short_object(  # noqa: PLR0917
    few: Shards,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    for_ever: bool,
    every: int,
    survived: Callable[[str, int], None],
) -> None:
    names = tuple(run_shards(few.settings("o.csv", 0), 2))
    merge(MergeSettings(names, tmp_path / "w.csv"))
    whole = dict(zip(("w.csv", "w.csv.rejects.jsonl"), files(tmp_path / "w.csv"), strict=True))
    for at in itertools.count(1, every):
        for key in whole:
            s3.put(f"{bucket}/{key}", OLD)
        handler = Failing(s3.filesystem, at, for_ever=for_ever)
        output = HandledLocation(few.uri("w.csv"), handler)
        with suppress(WriteError, OutputError):
            merge(MergeSettings(names, output))
            assert not handler.failed
        for key, content in whole.items():
            assert s3.get(f"{bucket}/{key}") in (OLD, content)
        merge(MergeSettings(names, few.place("w.csv")))
        assert {key: s3.get(f"{bucket}/{key}") for key in s3.sizes(bucket)} == whole
        if not handler.failed:
            break
    survived("faults of a store", (at - 1) // every)
    assert at > 20


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_store_that_fails_while_shards_are_read_ends_the_merge(
    few: Shards, tmp_path: Path, suffix: str
) -> None:
    (name,) = run_shards(few.settings(f"o.{suffix}", 0), 1)
    its = Manifest.read(InputName.of(name))
    handler = Breaking(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))
    handler.is_gone = True
    inside = InputName.at(HandledUri("gs", "", Path(name).name, "", handler))
    with pytest.raises(BadRowError) as caught, (tmp_path / "w").open("wb") as stream:
        outputs_of([inside], Format(suffix), its.schema).join([Turn(0, 1)], stream)
    assert str(caught.value) == (
        f"gs:///s1_o.{suffix}: can't be read further (AWS Error NETWORK_CONNECTION during "
        "GetObject operation; check the network and the endpoint). "
        "Mend that and run the same command again"
    )


def run_until_killed(settings: RunSettings, at: int, cache: str) -> None:
    os.environ[CACHE] = cache
    assert isinstance(settings.output, Location)
    assert settings.output.uri is not None
    run(settings, ignore, through(settings, Killing(settings.output.uri.filesystem, at)))


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.long)])
def test_a_shard_that_is_killed_at_any_request_and_given_again(  # noqa: PLR0917
    few: Shards,
    s3: S3Server,
    bucket: str,
    spawn: multiprocessing.context.ForkServerContext,
    every: int,
    survived: Callable[[str, int], None],
) -> None:
    """The short form kills while output, rejects and manifest get their names, one by one."""
    one = few.settings("o.csv", 1)
    counting = Handler(s3.filesystem)
    run(one, ignore, through(one, counting))
    keys = beside("s1.o.csv")
    whole = {key: s3.get(f"{bucket}/{key}") for key in s3.sizes(bucket)}
    assert set(whole) == set(keys)
    first = 1 if every == 1 else counting.count - 24
    killed = 0
    for at in range(first, counting.count, every):
        for key in keys:
            s3.filesystem.delete_file(f"{bucket}/{key}")
        process = spawn.Process(target=run_until_killed, args=(one, at, os.environ[CACHE]))
        process.start()
        process.join()
        if process.exitcode == 0:  # a request less than in the first run
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        found = s3.sizes(bucket)
        there = {key: s3.get(f"{bucket}/{key}") for key in keys[:2] if key in found}
        assert all(content == whole[key] for key, content in there.items())
        if keys[2] in found:
            Manifest.read(InputName.of(few.uri(keys[0])))
            assert set(there) == set(keys[:2])
        run(one, ignore)
        again = s3.sizes(bucket)
        assert set(again) == set(keys)
        for key in keys[:2]:
            assert s3.get(f"{bucket}/{key}") == whole[key]
        manifests = [json.loads(its) for its in (whole[keys[2]], s3.get(f"{bucket}/{keys[2]}"))]
        for manifest in manifests:
            del manifest["summary"]  # the time that it took
        assert manifests[0] == manifests[1]
    survived("kills of a shard in a store", killed)
    assert killed >= 4


def test_rejects_may_lie_in_a_store_and_the_output_on_the_disk(
    few: Shards, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    plain = few.settings("o.csv", 0)
    run(plain, ignore)
    rejects = few.place("r.jsonl")
    run(replace(plain, output=tmp_path / "p.csv", rejects=rejects), ignore)
    assert s3.get(f"{bucket}/r.jsonl") == files(tmp_path / "o.csv")[1]
    write_csv(tmp_path / "good.csv", 3)
    good = (str(tmp_path / "good.csv"),)
    run(replace(plain, inputs=good, output=tmp_path / "p.csv", rejects=rejects), ignore)
    assert list(s3.sizes(bucket)) == []
    run(replace(plain, output=few.place("q.csv"), rejects=tmp_path / "q.jsonl"), ignore)
    assert (tmp_path / "q.jsonl").read_bytes() == files(tmp_path / "o.csv")[1]
    assert list(s3.sizes(bucket)) == ["q.csv"]


def test_a_shard_keeps_its_rejects_where_its_output_is(few: Shards, tmp_path: Path) -> None:
    one = few.settings("o.csv", 1)
    for output, rejects in (
        (one.output, tmp_path / "r.jsonl"),
        (one.output, Location("s3://other/r.jsonl")),
        (tmp_path / "s1.csv", few.place("r.jsonl")),
        (tmp_path / "s1.csv", Path("/dev/null")),
    ):
        with pytest.raises(UsageError, match="would not find a shard's rejected rows there"):
            run(replace(one, output=output, rejects=rejects), ignore)


def test_the_name_of_a_file_is_found_again() -> None:
    output = InputName.of("s3://key:secret@b/a/s1.csv?region=eu")
    for rejects in ("s3://key:secret@b/a/r.jsonl?region=eu", "s3://key:secret@b/r.jsonl?region=eu"):
        named = Location(rejects).named_from(Location("s3://key:secret@b/a/s1.csv?region=eu"))
        assert named == ("r.jsonl" if "/a/" in rejects else "/r.jsonl")
        found = output.named(named)
        assert found.uri is not None
        assert (found.uri, found.uri.path) == (
            Location(rejects).uri,
            str(PurePosixPath(Location(rejects).path)),
        )
