"""kill -9 at random moments, through the command: the output has the bytes of an unbroken run."""

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, write_calls

COMMAND = [sys.executable, "-m", "labelf_cli", "classify"]
CONFIG = ROOT / "configs" / "models.toml"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200,000 distinct texts, for which two models take some seconds."""
    return write_calls(tmp_path_factory.mktemp("killed") / "calls.csv", 200_000)


ENTRIES = "out.*.labelf/0*.json"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.long)])
def test_a_run_that_is_killed_again_and_again(
    table: Path, suffix: str, kills: int, tmp_path: Path, survived: Callable[[str, int], None]
) -> None:
    options = ["-c", str(CONFIG), "--model", "product", "--model", "sentiment", "--quiet"]
    command = [*COMMAND, str(table), *options, "-o"]
    output, whole = tmp_path / f"out.{suffix}", tmp_path / f"whole.{suffix}"
    subprocess.run([*command, str(whole)], check=True, timeout=300)
    expected = hashlib.sha256(whole.read_bytes()).hexdigest()
    dice = random.Random(kills)
    killed = resumed = 0
    while killed < kills or not output.exists():
        output.unlink(missing_ok=True)
        resumed += any(tmp_path.glob(ENTRIES))
        with subprocess.Popen([*command, str(output)], stderr=subprocess.PIPE) as process:
            while not killed and process.poll() is None and not any(tmp_path.glob(ENTRIES)):
                time.sleep(0.01)  # the first kill leaves something to go on from
            try:
                process.wait(dice.uniform(0.2, 2.5) if killed < kills else 300)
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
            assert process.stderr is not None
            assert process.stderr.read() == b""
        if output.exists():
            assert hashlib.sha256(output.read_bytes()).hexdigest() == expected
    assert resumed
    assert sorted(path.name for path in tmp_path.iterdir()) == [output.name, whole.name]
    survived("kills", killed)
