"""The journal: what is durable is kept, whenever the run ends."""

import hashlib
from pathlib import Path

import pytest
from faults import CountingDisk

from labelf_cli.journal import Entry, Journal
from labelf_cli.summary import Summary

FINGERPRINT = {"limit": 3}
CONTENT = b"a part"


class InterruptedDisk(CountingDisk):
    """A signal comes at one operation."""

    at = 0

    def step(self) -> None:
        super().step()
        if self.count == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("operations", range(1, 7))
def test_a_signal_while_a_part_is_added_does_not_cost_it(tmp_path: Path, operations: int) -> None:
    """The last of these operations ends after the entry has its name."""
    disk = InterruptedDisk()
    journal = Journal(tmp_path / "out.csv", disk)
    journal.resume(FINGERPRINT, restart=False)
    draft = Path(journal.folder) / "part.tmp"
    draft.write_bytes(CONTENT)
    entry = Entry(0, 3, 3, len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), Summary(3))
    disk.at = disk.count + operations
    with pytest.raises(KeyboardInterrupt):
        journal.add(draft, entry)
    journal.close()
    is_durable = (Path(journal.folder) / f"{entry.name}.json").exists()
    again = Journal(tmp_path / "out.csv", CountingDisk())
    again.resume(FINGERPRINT, restart=False)
    assert again.entries == ([entry] if is_durable else [])
    assert is_durable == (operations > 5)
    again.close()


def test_parts_that_meet_are_one_range(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "out.csv", CountingDisk())
    journal.entries = [Entry(start, 10, 10, 0, "", Summary()) for start in (0, 10, 20, 50, 60)]
    assert journal.done == (range(30), range(50, 70))
    journal.remove()
