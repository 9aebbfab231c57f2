"""The lock of a work folder: one holder at a time, and none that outlives its process."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from labelf_cli.locks import Lock


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = Lock.acquire(path)
    assert lock is not None
    assert Lock.acquire(path) is None
    lock.release()
    again = Lock.acquire(path)
    assert again is not None
    again.release()


HOLD = """
import os, sys
from pathlib import Path
from labelf_cli.locks import Lock
assert Lock.acquire(Path(sys.argv[1]))
print(os.getpid(), flush=True)
sys.stdin.read()
"""


def test_a_holder_is_named_by_its_pid_and_its_lock_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        pid = process.stdout.readline().decode().strip()
        assert Lock.acquire(path) is None
        assert Lock.holder(path) == pid
        process.kill()
    lock = Lock.acquire(path)
    assert lock is not None
    assert path.exists()
    lock.release()


@pytest.mark.parametrize("content", [None, b"", b"\xff"])
def test_a_pid_that_can_not_be_read_is_unknown(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "lock").write_bytes(content)
    assert Lock.holder(tmp_path / "lock") == "unknown"


def take_and_remove(folder: Path, rounds: int) -> None:
    """What runs do that end at once: lock, work alone, remove the lock's file, let go."""
    taken = 0
    while taken < rounds:
        lock = Lock.acquire(folder / "lock")
        if lock is not None:
            taken += 1
            (folder / "inside").touch(exist_ok=False)
            (folder / "inside").unlink()
            (folder / "lock").unlink()
            lock.release()


def test_a_lock_whose_file_is_removed_meanwhile_has_no_second_holder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    workers = [context.Process(target=take_and_remove, args=(tmp_path, 500)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
