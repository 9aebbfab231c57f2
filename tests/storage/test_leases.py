"""Locks on work folders in object stores."""

import json
import time
from pathlib import Path

import pytest

from labelf_cli.storage.interface import HeldError
from labelf_cli.storage.leases import STALE_SECONDS, ObjectLease


class Store:
    """One object."""

    def __init__(self) -> None:
        self.content: bytes | None = None

    def read(self) -> bytes:
        if self.content is None:
            raise FileNotFoundError
        return self.content

    def put(self, content: bytes) -> None:
        self.content = content

    def remove(self) -> None:
        self.content = None

    def grow_old(self, seconds: float) -> None:
        """Its holder has not been seen for so long."""
        holder = json.loads(self.read())
        self.content = json.dumps({**holder, "time": holder["time"] - seconds}).encode()


def acquire(folder: Path, store: Store) -> ObjectLease:
    return ObjectLease.acquire(folder, store.read, store.put, store.remove)


def test_it_is_held_until_it_is_released(tmp_path: Path) -> None:
    store = Store()
    lease = acquire(tmp_path / "here", store)
    for folder in ("here", "elsewhere"):
        with pytest.raises(HeldError, match=r"^pid \d+"):
            acquire(tmp_path / folder, store)
    lease.release()
    assert store.content is None
    acquire(tmp_path / "elsewhere", store).release()


def test_that_of_a_run_that_died_is_taken_over_at_once_on_its_machine(tmp_path: Path) -> None:
    store = Store()
    acquire(tmp_path / "here", store)._lock.release()  # as the system does when a process ends
    with pytest.raises(HeldError, match=r"^pid \d+ on .+, last seen \d\d:\d\d:\d\d UTC$"):
        acquire(tmp_path / "elsewhere", store)
    acquire(tmp_path / "here", store).release()


def test_that_of_another_machine_is_taken_over_when_it_is_old(tmp_path: Path) -> None:
    store = Store()
    acquire(tmp_path / "here", store)._lock.release()
    store.grow_old(STALE_SECONDS)
    acquire(tmp_path / "elsewhere", store).release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"token": 1}', b"null"])
def test_what_can_not_be_read_is_nobodys(tmp_path: Path, content: bytes) -> None:
    store = Store()
    store.put(content)
    before = time.time()
    lease = acquire(tmp_path / "here", store)
    assert json.loads(store.read())["time"] >= before
    lease.release()
