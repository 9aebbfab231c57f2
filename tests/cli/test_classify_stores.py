"""``labelf classify`` with an object store: kill -9, a server that goes away or denies access."""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, write_calls
from s3_server import S3Server, s3_server

COMMAND = [sys.executable, "-m", "labelf_cli", "classify"]
CONFIG = ROOT / "configs" / "models.toml"
OPTIONS = ["-c", str(CONFIG), "--model", "product", "--quiet"]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40,000 distinct texts, for which two models take a second or two."""
    return write_calls(tmp_path_factory.mktemp("killed") / "calls.csv", 40_000)


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("out/", 1),
        pytest.param("out/", 20, marks=pytest.mark.long),
        pytest.param("out.parquet", 20, marks=pytest.mark.long),
    ],
)
def test_a_run_that_is_killed_again_and_again(
    table: Path, s3: S3Server, name: str, kills: int, survived: Callable[[str, int], None]
) -> None:
    bucket, whole = s3.bucket(), table.with_name(f"{kills}.parquet")
    env = {**os.environ, **s3.env, "XDG_CACHE_HOME": str(table.with_name("cache"))}
    s3.put(f"{bucket}/in.csv", table.read_bytes())
    options = [*OPTIONS, "--model", "sentiment", "-o"]
    subprocess.run([*COMMAND, str(table), *options, str(whole)], check=True, timeout=300)
    expected = sha256(whole.read_bytes())
    key = "out/part-00000.parquet" if name == "out/" else name
    command = [*COMMAND, f"s3://{bucket}/in.csv", *options, f"s3://{bucket}/{name}"]
    dice = random.Random(kills)
    killed = 0
    while killed < kills or not is_done(s3, bucket, name):
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=env) as process:
            try:
                process.wait(dice.uniform(1.5, 6) if killed < kills else 300)
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
            assert process.stderr is not None
            told = process.stderr.read()
        # A kill may come when all is published: then the folder is one that exists already.
        assert not told or (b"exists already" in told and "out/_SUCCESS" in s3.sizes(bucket))
        if key in s3.sizes(bucket):
            assert sha256(s3.get(f"{bucket}/{key}")) == expected
        if killed < kills and is_done(s3, bucket, name):
            for done in s3.sizes(bucket):
                if done != "in.csv":
                    s3.filesystem.delete_file(f"{bucket}/{done}")
    assert not [left for left in s3.sizes(bucket) if ".labelf/" in left]
    survived("kills of a command", killed)


def is_done(s3: S3Server, bucket: str, name: str) -> bool:
    """Whether a run has ended: its output is there, and its work folder is not."""
    sizes = s3.sizes(bucket)
    last = "out/_SUCCESS" if name == "out/" else name
    return last in sizes and not any(".labelf/" in key for key in sizes)


def test_a_server_that_goes_away_ends_the_run_and_the_same_command_goes_on(
    table: Path, tmp_path: Path
) -> None:
    """And one that denies access is told so: it asks for an identity after the first requests."""
    command = [*COMMAND, str(table), *OPTIONS, "-o", "s3://bucket-1/out.csv"]
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with s3_server() as server:
        server.bucket()
        env |= server.env
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=env) as process:
            while not any(key.endswith(".arrow") for key in server.sizes("bucket-1")):
                assert process.poll() is None
            server.stop()
            _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert told.startswith(b"error: s3://bucket-1/out.csv: can't be written (")
    assert b"; check the network and the endpoint). Mend that and run the same command" in told
    assert told.count(b"\n") == 1
    with s3_server({"INITIAL_NO_AUTH_ACTION_COUNT": "2"}, server.port) as server:
        server.bucket()
        denied = subprocess.run(command, stderr=subprocess.PIPE, env=env, timeout=120, check=False)
    assert denied.returncode == 2
    assert b"check the credentials and what they may do). Choose another -o" in denied.stderr
