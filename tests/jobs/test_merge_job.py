"""Shards, joined: the bytes of an unsharded run, or a message that says what is amiss."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import WriteModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_resume import StopError, stop_after
from test_run import ignore

from labelf_cli.config import Config
from labelf_cli.errors import InputError, OutputError, UsageError, WriteError
from labelf_cli.formats import Layout
from labelf_cli.jobs.merge import MergeSettings, merge
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings
from labelf_cli.shard import Shard
from labelf_cli.sources.rejects import BadRowPolicy, MaxRejects
from labelf_cli.storage.local import Disk
from labelf_cli.storage.location import Location
from labelf_cli.summary import Summary

TEXTS = ["my bill", "no signal", "", 'the "tv"\nis, too high', "angry " * 9, "räkningen"]


@pytest.fixture
def config(write_model: WriteModel, make_config: Callable[..., Config]) -> Config:
    """Two models, one of them with several labels a text."""
    several = {"problem_type": "multi_label_classification"}
    return make_config(
        {"name": "m", "path": write_model(), "max_predictions": 2},
        {"name": "n", "path": write_model("n", config=several, seed=1)},
    )


def write_csv(path: Path, rows: int, bad: set[int] | None = None) -> Path:
    """So many lines; the bad ones have a field too many."""
    dice = random.Random(rows)
    quoted = ['"' + text.replace('"', '""') + '"' for text in TEXTS]
    lines = (
        f"{at:06},{dice.choice(quoted)}{',x' if at in (bad or ()) else ''}\n" for at in range(rows)
    )
    path.write_text("id,text\n" + "".join(lines))
    return path


def asked(config: Config, source: Path, output: Path, layout: Layout = Layout.WIDE) -> RunSettings:
    return RunSettings(
        config, (str(source),), 2, output, layout=layout, bad_rows=BadRowPolicy.REJECT
    )


def run_shards(whole: RunSettings, count: int) -> list[str]:
    """The outputs of all shards of a run."""
    assert isinstance(whole.output, Path)
    names = []
    for number in range(1, count + 1):
        output = whole.output.with_name(f"s{number}_{whole.output.name}")
        run(replace(whole, output=output, shard=Shard(number, count)), ignore)
        names.append(str(output))
    return names


def files(output: Path) -> tuple[bytes, bytes | None]:
    """The bytes of an output and those of its rejects."""
    rejects = Path(f"{output}.rejects.jsonl")
    return output.read_bytes(), rejects.read_bytes() if rejects.exists() else None


def counted(summary: Summary) -> tuple[object, ...]:
    return summary.rows, summary.rejected, summary.statuses, summary.labels


@pytest.mark.parametrize("layout", [Layout.WIDE, Layout.LONG])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_eight_shards_joined_are_an_unsharded_run(
    suffix: str, layout: Layout, config: Config, tmp_path: Path
) -> None:
    source = write_csv(tmp_path / "in.csv", 37_000, {5, 4096, 20_000, 20_001, 36_999})
    whole = asked(config, source, tmp_path / f"whole.{suffix}", layout)
    summary = run(whole, ignore)
    names = run_shards(whole, 8)
    for name in names:
        assert json.loads(Path(f"{name}.shard.json").read_bytes())["stretches"]
    joined = tmp_path / f"joined.{suffix}"
    merged = merge(MergeSettings(tuple(reversed(names)), joined))
    assert files(joined) == files(tmp_path / f"whole.{suffix}")
    assert counted(merged) == counted(summary)
    assert merged.rejected == 5


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(0, 14_000),
    count=st.integers(1, 5),
    bad=st.sets(st.integers(0, 14_000), max_size=6),
    suffix=st.sampled_from(["csv", "tsv.gz", "jsonl", "parquet"]),
    layout=st.sampled_from(list(Layout)),
)
def test_shards_joined_are_an_unsharded_run(  # noqa: PLR0917
    rows: int,
    count: int,
    bad: set[int],
    suffix: str,
    layout: Layout,
    config: Config,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    source = write_csv(folder / "in.csv", rows, bad)
    whole = asked(config, source, folder / f"whole.{suffix}", layout)
    summary = run(whole, ignore)
    names = run_shards(whole, count)
    joined = folder / f"joined.{suffix}"
    assert counted(merge(MergeSettings(tuple(names), joined))) == counted(summary)
    assert files(joined) == files(folder / f"whole.{suffix}")


def test_types_of_parquet_come_through(config: Config, tmp_path: Path) -> None:
    source, count = tmp_path / "in.parquet", 9000
    columns = {
        "text": pa.array(["my bill"] * count, pa.large_string()),
        "tags": pa.array([["a", None], None, []] * (count // 3), pa.list_(pa.string())),
        "pair": pa.array([{"x": 1, "y": [{"z": 2.5}]}] * count),
        "kind": pa.array(["b", "a", None] * (count // 3)).dictionary_encode(),
        "at": pa.array(range(count), pa.timestamp("us", "Europe/Stockholm")),
    }
    pq.write_table(pa.table(columns), source)
    whole = asked(config, source, tmp_path / "whole.parquet")
    run(whole, ignore)
    merge(MergeSettings(tuple(run_shards(whole, 2)), tmp_path / "joined.parquet"))
    assert files(tmp_path / "joined.parquet") == files(tmp_path / "whole.parquet")


@pytest.fixture
def shards(config: Config, tmp_path: Path) -> list[str]:
    """Three shards of a table of two units; the third is empty."""
    source = write_csv(tmp_path / "in.csv", 5000)
    return run_shards(asked(config, source, tmp_path / "out.csv"), 3)


def refused(*names: str, output: str = "joined.csv") -> str:
    """Why they are not joined."""
    path = Path(names[0]).with_name(output)
    before = sorted(path.parent.iterdir())
    with pytest.raises(UsageError) as caught:
        merge(MergeSettings(names, path))
    assert sorted(path.parent.iterdir()) == before
    return str(caught.value)


def test_what_is_missing_or_doubled_is_named(shards: list[str], tmp_path: Path) -> None:
    first, second, _ = shards
    copy = shutil.copy(first, tmp_path / "copy.csv")
    shutil.copy(f"{first}.shard.json", tmp_path / "copy.csv.shard.json")
    assert refused(first, second, str(copy)) == (
        f"shard 3/3 is missing; shard 1/3 is there 2 times: {first}, {copy}. "
        "Give the outputs of all 3 shards, each once"
    )


def test_a_shard_without_a_manifest_is_not_finished(shards: list[str]) -> None:
    Path(f"{shards[1]}.shard.json").unlink()
    assert refused(*shards) == (
        f"{shards[1]}: no s2_out.csv.shard.json stands beside it, so it is no shard, or not "
        "finished. Run the command that makes it again"
    )
    Path(f"{shards[1]}.shard.json").write_text("{}")
    assert refused(*shards).startswith(f"{shards[1]}.shard.json: can't be read")


@pytest.mark.parametrize(
    "damage",
    [
        {"fingerprint": 1},
        {"fingerprint": {"inputs": "x"}},
        {"rejected": {"file": 5, "digest": {}, "by_unit": [], "in_all": 0}},
        {"stretches": [[0, 1, "x"]]},
        {"summary": {"statuses": {"ok": "x"}}},
    ],
)
def test_a_manifest_that_is_damaged_is_named(damage: dict[str, Any], shards: list[str]) -> None:
    manifest = Path(f"{shards[1]}.shard.json")
    record = json.loads(manifest.read_bytes())
    summary = record["summary"] | damage.get("summary", {})
    manifest.write_text(json.dumps(record | damage | {"summary": summary}))
    assert refused(*shards).startswith(f"{manifest}: can't be read. Run the command")


def test_a_manifest_that_is_too_deep_is_named(shards: list[str]) -> None:
    Path(f"{shards[1]}.shard.json").write_text("[" * 100_000)
    assert refused(*shards).startswith(f"{shards[1]}.shard.json: can't be read. Run the command")


def test_manifests_alone_are_no_shards(shards: list[str]) -> None:
    manifests = [f"{name}.shard.json" for name in shards]
    assert refused(*manifests) == (
        f"{manifests[0]}: no shard is named, only what stands beside one. "
        "Give the outputs that --shard has written"
    )


def test_a_shard_that_changed_is_named(shards: list[str]) -> None:
    with Path(shards[1]).open("a") as file:
        file.write("x")
    assert refused(*shards).startswith(f"{shards[1]}: it has changed since it was written")


def test_a_shard_of_another_run_is_named(shards: list[str], config: Config, tmp_path: Path) -> None:
    whole = asked(config, tmp_path / "in.csv", tmp_path / "other.csv")
    other = run_shards(replace(whole, separator="_"), 3)
    assert refused(*shards[:2], other[2]) == (
        f'{other[2]}: it is of another run than {shards[0]}: separator was ".", is "_". '
        "Join shards of one run"
    )


def test_an_output_that_can_not_be_is_refused(shards: list[str], tmp_path: Path) -> None:
    assert "the shards are csv. Name it so" in refused(*shards, output="joined.parquet")
    assert "it is one of the shards" in refused(*shards, output="s1_out.csv")
    with pytest.raises(OutputError, match=r"it is one of the shards. Choose another --report"):
        merge(MergeSettings(tuple(shards), tmp_path / "x.csv", report=Path(shards[0])))
    with pytest.raises(OutputError, match=r"-o: '-' names no file"):
        merge(MergeSettings(tuple(shards), Location("-")))


def test_shards_of_a_copy_of_the_input_belong_together(
    shards: list[str], config: Config, tmp_path: Path
) -> None:
    """As in jobs that each fetch it anew: path and time differ."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    source = elsewhere / "in.csv"
    source.write_bytes((tmp_path / "in.csv").read_bytes())
    output = elsewhere / "out.csv"
    run(replace(asked(config, source, output), shard=Shard(2, 3)), ignore)
    assert (
        merge(MergeSettings((shards[0], str(output), shards[2]), tmp_path / "x.csv")).rows == 5000
    )


def test_a_glob_that_meets_what_stands_beside_the_shards(config: Config, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", 5000, {3})
    run_shards(asked(config, source, tmp_path / "out.jsonl"), 2)
    found = str(tmp_path / "s*_out.json*")
    assert len(list(tmp_path.glob("s*_out.json*"))) == 5
    assert merge(MergeSettings((found,), tmp_path / "joined.jsonl")).rejected == 1


class NoManifest(Disk):
    """Where no manifest can be written."""

    def write_whole(self, path: PurePath, content: bytes) -> None:
        if path.name.endswith(".shard.json"):
            raise OSError(28, "No space left on device")
        super().write_whole(path, content)


def test_a_shard_that_was_broken_off_goes_on(config: Config, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", 20_000)
    one = replace(asked(config, source, tmp_path / "s1.csv"), shard=Shard(1, 2), part_seconds=0)
    run(replace(one, output=tmp_path / "unbroken.csv"), ignore)
    with pytest.raises(StopError):
        run(one, stop_after(2))
    with pytest.raises(OutputError, match='differs: shard was "1/2", is "2/2"'):
        run(replace(one, shard=Shard(2, 2)), ignore)
    with pytest.raises(WriteError, match="No space left"):
        run(one, ignore, NoManifest())
    assert not (tmp_path / "s1.csv.shard.json").exists()
    seen: list[object] = []
    run(one, seen.append)
    assert seen == []  # all that was left to do was the manifest
    assert files(tmp_path / "s1.csv") == files(tmp_path / "unbroken.csv")
    assert not (tmp_path / "s1.csv.labelf").exists()
    run_two = replace(one, output=tmp_path / "s2.csv", shard=Shard(2, 2))
    run(run_two, ignore)
    names = (str(tmp_path / "s1.csv"), str(tmp_path / "s2.csv"))
    assert merge(MergeSettings(names, tmp_path / "joined.csv")).rows == 20_000


def test_too_many_rejects_are_judged_by_the_whole_input(config: Config, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", 5000, {1, 2, 4500})
    whole = replace(asked(config, source, tmp_path / "out.csv"), max_rejects=MaxRejects(2))
    for number in (1, 2):
        with pytest.raises(Exception, match=r"3 of .* rows can't be read"):
            run(replace(whole, shard=Shard(number, 2)), ignore)


def test_what_could_not_be_joined_is_refused(config: Config, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", 3)
    one = replace(asked(config, source, tmp_path / "s1.csv"), shard=Shard(1, 2))
    with pytest.raises(UsageError, match="every shard reads the input"):
        run(replace(one, inputs=("-",)), ignore)
    with pytest.raises(UsageError, match="no file to put its manifest beside"):
        run(replace(one, output=None, rejects=tmp_path / "r.jsonl"), ignore)
    with pytest.raises(UsageError, match="no file to put its manifest beside"):
        run(replace(one, output=Location(f"{tmp_path}/out/")), ignore)
    for text in ("0/2", "3/2", "1", "a/b", "1/2/3"):
        with pytest.raises(UsageError, match=f"'{text}' is no shard"):
            Shard.parse(text)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        merge(MergeSettings((str(tmp_path / "s*.csv"),), tmp_path / "joined.csv"))
