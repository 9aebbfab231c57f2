"""Locks on work folders in object stores."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from labelf_cli.storage.interface import HeldError
from labelf_cli.storage.leases import BEAT_SECONDS, STALE_SECONDS, LockObject, ObjectLease


class Store(LockObject):
    """One object, and what happens to it while another waits."""

    def __init__(self, meanwhile: Callable[["Store"], None] = lambda _: None) -> None:
        self.content: bytes | None = None
        self.waited = 0.0
        self._meanwhile = meanwhile

    def read(self) -> bytes:
        if self.content is None:
            raise FileNotFoundError
        return self.content

    def write(self, content: bytes) -> None:
        self.content = content

    def remove(self) -> None:
        self.content = None

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        self._meanwhile(self)

    def tell_of(self, seconds: float) -> None:
        """Its holder was seen so long after it had been."""
        holder = json.loads(self.read())
        self.content = json.dumps({**holder, "time": holder["time"] + seconds}).encode()


def beat(store: Store) -> None:
    if store.waited >= BEAT_SECONDS:
        store.tell_of(BEAT_SECONDS)


def die(folder: Path, store: Store) -> None:
    """Hold it, and end as a killed process does."""
    lease = ObjectLease.acquire(folder, store)
    lease._stopped.set()
    lease._lock.release()


def test_it_is_held_until_it_is_released(tmp_path: Path) -> None:
    store = Store(beat)
    lease = ObjectLease.acquire(tmp_path / "here", store)
    for folder in ("here", "elsewhere"):
        with pytest.raises(HeldError, match=r"^pid \d+"):
            ObjectLease.acquire(tmp_path / folder, store)
    lease.release()
    assert store.content is None
    ObjectLease.acquire(tmp_path / "elsewhere", store).release()


def test_that_of_a_run_that_died_is_taken_over_at_once_on_its_machine(tmp_path: Path) -> None:
    store = Store()
    die(tmp_path / "here", store)
    ObjectLease.acquire(tmp_path / "here", store).release()
    assert store.waited == 0


def test_that_of_another_machine_is_refused_as_soon_as_it_is_seen_to_live(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(beat)
    die(tmp_path / "here", store)
    with pytest.raises(HeldError, match=r"^pid \d+ on .+, last seen \d\d:\d\d:\d\d UTC$"):
        ObjectLease.acquire(tmp_path / "elsewhere", store)
    assert store.waited == BEAT_SECONDS
    (told,) = caplog.messages
    assert told.startswith("waiting to see whether another run is still at work (pid ")


def test_that_of_another_machine_is_taken_over_when_it_is_silent(tmp_path: Path) -> None:
    store = Store()
    die(tmp_path / "here", store)
    ObjectLease.acquire(tmp_path / "elsewhere", store).release()
    assert store.waited == STALE_SECONDS


@pytest.mark.parametrize("seconds", [-STALE_SECONDS, 2 * STALE_SECONDS])
def test_that_of_another_machine_is_taken_over_at_once_when_it_is_old(
    tmp_path: Path, seconds: float
) -> None:
    store = Store()
    die(tmp_path / "here", store)
    store.tell_of(seconds)
    ObjectLease.acquire(tmp_path / "elsewhere", store).release()
    assert store.waited == 0


def test_that_of_another_machine_is_had_when_it_is_given_back(tmp_path: Path) -> None:
    store = Store(lambda store: store.remove())
    die(tmp_path / "here", store)
    ObjectLease.acquire(tmp_path / "elsewhere", store).release()
    assert store.waited < BEAT_SECONDS


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"token": 1}', b"null", b'{"token": 1, "time": 1e99}']
)
def test_what_can_not_be_read_is_nobodys(tmp_path: Path, content: bytes) -> None:
    store = Store()
    store.write(content)
    before = time.time()
    lease = ObjectLease.acquire(tmp_path / "here", store)
    assert json.loads(store.read())["time"] >= before
    lease.release()
