"""Whatever happens to a run: the output is absent, old or complete, and the next run goes on."""

import hashlib
import itertools
import multiprocessing
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import WriteModel
from faults import CountingDisk, FailingDisk, KillingDisk
from test_run import ignore, make_rows, write_table

from labelf_cli.config import Config
from labelf_cli.errors import LabelfError, OutputError, WriteError
from labelf_cli.run import Progress, run
from labelf_cli.run_settings import RunSettings

OLD = b"what was there before"
SUFFIXES = ("csv", "jsonl", "parquet", "csv.gz")


@pytest.fixture
def asked(
    write_model: WriteModel, make_config: Callable[..., Config], tmp_path: Path
) -> Callable[[str], RunSettings]:
    """Settings of a run in several parts, each of one chunk, by the suffix of its output."""
    config = make_config({"name": "m", "path": write_model(), "max_predictions": 1})
    table = write_table(tmp_path / "in.csv", make_rows(150))

    def settings(suffix: str) -> RunSettings:
        output = tmp_path / f"out.{suffix}"
        return RunSettings(
            config, (str(table),), threads=1, output=output, chunk_rows=40, part_seconds=0
        )

    return settings


@pytest.fixture(params=SUFFIXES)
def settings(request: pytest.FixtureRequest, asked: Callable[[str], RunSettings]) -> RunSettings:
    return asked(request.param)


def output_of(settings: RunSettings) -> Path:
    assert isinstance(settings.output, Path)
    return settings.output


def work_folder(settings: RunSettings) -> Path:
    return output_of(settings).with_name(f"{output_of(settings).name}.labelf")


@pytest.fixture
def whole(settings: RunSettings) -> bytes:
    """The output of an unbroken run."""
    run(settings, ignore)
    content = output_of(settings).read_bytes()
    output_of(settings).unlink()
    assert not work_folder(settings).exists()
    return content


class StopError(Exception):
    """Breaks a run off."""


def stop_after(chunks: int) -> Callable[[Progress], None]:
    """A progress that breaks the run off after so many chunks."""
    left = iter(range(chunks))

    def progress(_: Progress) -> None:
        if next(left, None) is None:
            raise StopError

    return progress


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_run_goes_on_where_it_was_broken_off(
    settings: RunSettings, whole: bytes, chunks: int
) -> None:
    with pytest.raises(StopError):
        run(settings, stop_after(chunks))
    assert not output_of(settings).exists()
    seen: list[Progress] = []
    summary = run(settings, seen.append)
    assert output_of(settings).read_bytes() == whole
    assert seen[0].rows > 40 * chunks
    assert (summary.rows, sum(summary.statuses.values())) == (150, 150)
    assert not work_folder(settings).exists()


def test_the_summary_is_that_of_all_runs_together(settings: RunSettings) -> None:
    unbroken = run(settings, ignore)
    with pytest.raises(StopError):
        run(settings, stop_after(1))
    resumed = run(settings, ignore)
    assert (resumed.statuses, resumed.labels) == (unbroken.statuses, unbroken.labels)


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.long)])
def test_a_fault_of_any_file_operation_costs_nothing(
    settings: RunSettings,
    whole: bytes,
    for_ever: bool,
    every: int,
    survived: Callable[[str, int], None],
) -> None:
    """The loop of SQLite's tests: fail the Nth operation until a run has fewer of them."""
    every = 1 if output_of(settings).suffix == ".csv" else every
    for at in itertools.count(1, every):
        output_of(settings).write_bytes(OLD)
        disk = FailingDisk(at, for_ever=for_ever)
        with suppress(WriteError, OutputError):
            run(settings, ignore, disk)
        assert output_of(settings).read_bytes() in (OLD, whole)
        run(settings, ignore)
        assert output_of(settings).read_bytes() == whole
        shutil.rmtree(work_folder(settings), ignore_errors=True)
        if not disk.failed:
            break
    survived("faults", (at - 1) // every)
    assert at > 40


@pytest.fixture(scope="module")
def spawn() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["labelf_cli.run", "test_run", "faults"])
    return context


def run_until_killed(settings: RunSettings, at: int) -> None:
    run(settings, ignore, KillingDisk(at))


def test_a_kill_at_any_file_operation_costs_nothing(
    settings: RunSettings,
    whole: bytes,
    spawn: multiprocessing.context.ForkServerContext,
    survived: Callable[[str, int], None],
) -> None:
    disk = CountingDisk()
    run(settings, ignore, disk)
    every = 2 if output_of(settings).suffix == ".csv" else 8
    for at in range(1, disk.count + 1, every):
        output_of(settings).write_bytes(OLD)
        process = spawn.Process(target=run_until_killed, args=(settings, at))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert output_of(settings).read_bytes() in (OLD, whole)
        run(settings, ignore)
        assert output_of(settings).read_bytes() == whole
        assert not work_folder(settings).exists()
    survived("kills", -(-disk.count // every))


@pytest.mark.parametrize("harm", ["remove", "cut", "flip", "grow"])
@pytest.mark.parametrize("kind", ["arrow", "json"])
def test_a_part_or_an_entry_that_is_not_as_it_was_is_computed_anew(
    settings: RunSettings, whole: bytes, harm: str, kind: str
) -> None:
    with pytest.raises(StopError):
        run(settings, stop_after(2))
    damaged = sorted(work_folder(settings).glob(f"0*.{kind}"))[1]
    content = damaged.read_bytes()
    middle = len(content) // 2
    match harm:
        case "remove":
            damaged.unlink()
        case "cut":
            damaged.write_bytes(content[:middle])
        case "flip":
            flipped = bytes([content[middle] ^ 1])
            damaged.write_bytes(content[:middle] + flipped + content[middle + 1 :])
        case "grow":
            damaged.write_bytes(content + b"}")
    seen: list[Progress] = []
    run(settings, seen.append)
    assert output_of(settings).read_bytes() == whole
    assert len(seen) == 2  # the damaged part, and what was not done yet


def test_what_is_left_of_another_run_is_not_gone_on_with(settings: RunSettings) -> None:
    with pytest.raises(StopError):
        run(settings, stop_after(1))
    other = replace(settings, separator="_")
    with pytest.raises(OutputError) as refused:
        run(other, ignore)
    assert str(refused.value) == (
        f'{output_of(settings)}: an unfinished run of it differs: separator was ".", is "_". '
        "Run that command again, or add --restart to throw its work away"
    )
    run(replace(other, restart=True), ignore)
    assert not work_folder(settings).exists()


def test_neither_threads_nor_chunks_are_another_run(settings: RunSettings, whole: bytes) -> None:
    with pytest.raises(StopError):
        run(settings, stop_after(1))
    run(replace(settings, threads=2, chunk_rows=7), ignore)
    assert output_of(settings).read_bytes() == whole


def test_an_input_that_changed_is_another_run(settings: RunSettings) -> None:
    with pytest.raises(StopError):
        run(settings, stop_after(1))
    with Path(settings.inputs[0]).open("a") as file:
        file.write("9999,angry tv\n")
    size = Path(settings.inputs[0]).stat().st_size
    with pytest.raises(OutputError) as refused:
        run(settings, ignore)
    assert f"differs: inputs.1.bytes was {size - 14}, is {size}. Run that" in str(refused.value)


def test_a_second_run_on_the_same_output_is_refused(settings: RunSettings) -> None:
    def meanwhile(_: Progress) -> None:
        with pytest.raises(OutputError, match=r"another run is writing it \(pid \d+\)"):
            run(settings, ignore)

    run(settings, meanwhile)
    assert output_of(settings).exists()


def run_whole(settings: RunSettings) -> None:
    run(settings, ignore)


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.long)])
def test_kills_at_random_moments_cost_nothing(
    settings: RunSettings,
    spawn: multiprocessing.context.ForkServerContext,
    kills: int,
    survived: Callable[[str, int], None],
) -> None:
    """Half of them interrupt what goes on from the kill before."""
    source = Path(settings.inputs[0])
    write_table(source, make_rows(6000))
    settings = replace(settings, chunk_rows=250)
    began = time.monotonic()
    run(settings, ignore)
    whole, seconds = output_of(settings).read_bytes(), time.monotonic() - began
    output_of(settings).unlink()
    dice = random.Random(0)
    killed = 0
    while killed < kills:
        process = spawn.Process(target=run_whole, args=(settings,))
        process.start()
        process.join(dice.uniform(0.05, 1.5 * seconds + 0.2))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        if output_of(settings).exists():
            assert output_of(settings).read_bytes() == whole
            output_of(settings).unlink()
        elif dice.random() < 0.5:
            run(settings, ignore)
            assert output_of(settings).read_bytes() == whole
            output_of(settings).unlink()
    survived("kills", killed)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "labelf-test", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_what_is_done(
    settings: RunSettings, whole: bytes, full_disk: Path
) -> None:
    source = Path(settings.inputs[0])
    content = source.read_bytes()
    write_table(source, make_rows(20_000))
    output = full_disk / output_of(settings).name
    with pytest.raises(WriteError, match=r"No space left on device.*Mend that and run the same"):
        run(replace(settings, output=output, chunk_rows=4096), ignore)
    assert not output.exists()
    source.write_bytes(content)
    run(replace(settings, output=output, restart=True), ignore)
    assert hashlib.sha256(output.read_bytes()).digest() == hashlib.sha256(whole).digest()


def test_what_fails_is_always_told_as_labelf_tells_it(settings: RunSettings) -> None:
    with pytest.raises(LabelfError) as failed:
        run(settings, ignore, FailingDisk(12, for_ever=True))
    assert str(failed.value).startswith(f"{output_of(settings)}: can't be written (No space left")
