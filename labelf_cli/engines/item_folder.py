"""A folder of Parquet files that many make together, and the work folder beside it.

out/part-00000.parquet          the answers to an item
out/_SUCCESS                    the manifest, last of all: parts and summary
out.labelf/lock                 held by the command that is at work
out.labelf/run.json             the fingerprint
out.labelf/plan.json            all items
out.labelf/item-00000.json      an item that is done: what it wrote, with its hash
out.labelf/rejects-00000.jsonl  bad rows of an input
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from labelf_cli import __version__
from labelf_cli.engines.items import Item
from labelf_cli.engines.plan import Plan
from labelf_cli.errors import OutputError, RunError
from labelf_cli.journal import Entry, Fingerprint, difference, size_and_sha256
from labelf_cli.locks import Lock
from labelf_cli.storage.local import Disk
from labelf_cli.summary import Summary

_LOCK, _RUN, _PLAN, _SUCCESS = "lock", "run.json", "plan.json", "_SUCCESS"


class ItemFolder:
    """The output of one run in items, locked while it is open."""

    def __init__(self, output: Path, disk: Disk) -> None:
        """Make the work folder and lock it.

        Raises:
            OutputError: another run is at work on the same output.
            OSError: the folder can't be made.
        """
        self.output, self._disk = output, disk
        self.work = output.with_name(f"{output.name}.labelf")
        disk.make_folder(self.work)
        lock = Lock.acquire(self.work / _LOCK)
        if lock is None:
            pid = Lock.holder(self.work / _LOCK)
            raise OutputError(
                f"another run is writing it (pid {pid})",
                where=output,
                todo="Wait for it, or choose another -o",
            )
        self._lock, self._is_ours = lock, False

    def resume(self, fingerprint: Fingerprint, *, restart: bool) -> None:
        """Go on with what the same run has left, or begin.

        Raises:
            OutputError: the folder is another's, or what is left is of another run.
        """
        content = json.dumps(fingerprint, ensure_ascii=False, sort_keys=True, indent=1).encode()
        before = self._read(_RUN)
        if before is None or (self.output / _SUCCESS).exists():
            self._require_new()
        elif before != content:
            if not restart:
                found = difference(json.loads(before), fingerprint)
                raise OutputError(
                    f"an unfinished run of it differs: {found}",
                    where=self.output,
                    todo="Run that command again, or add --restart to throw its work away",
                )
            self._disk.remove_folder(self.output)
        if before != content or restart:
            self._remove({_LOCK})
            self._disk.write(self.work / _RUN, content)
        else:
            names = self._disk.names(self.work)
            self._remove(
                {name for name in names if not name.endswith(".tmp") and ".begun-" not in name}
            )
        self._disk.make_folder(self.output)
        self._is_ours = True

    def _require_new(self) -> None:
        if self.output.exists():
            raise OutputError(
                "exists already", where=self.output, todo="Remove it, or choose another -o"
            )

    def _remove(self, kept: set[str]) -> None:
        for name in self._disk.names(self.work):
            if name not in kept:
                self._disk.remove(self.work / name)

    def _read(self, name: str) -> bytes | None:
        try:
            with self._disk.open(self.work / name) as file:
                return file.read()
        except FileNotFoundError:
            return None

    @property
    def plan(self) -> Plan | None:
        """The plan that was made; None if it was not."""
        content = self._read(_PLAN)
        return None if content is None else Plan.from_bytes(content)

    @plan.setter
    def plan(self, plan: Plan) -> None:
        self._disk.write(self.work / _PLAN, plan.to_bytes())

    def done(self, items: Iterable[Item]) -> Iterator[tuple[Item, Entry]]:
        """Those items that are done, and whose parts are as they were written."""
        for item in items:
            content = self._read(item.entry)
            entry = None if content is None else Entry.from_bytes(content)
            if entry is not None and self._is_whole(item, entry):
                yield item, entry

    def _is_whole(self, item: Item, entry: Entry) -> bool:
        try:
            with self._disk.open(self.output / item.part) as file:
                return size_and_sha256(file) == (entry.size, entry.sha256)
        except FileNotFoundError:
            return False

    def finish(self, plan: Plan, entries: dict[int, Entry], summary: Summary) -> None:
        """Write the manifest, and throw away what it was made of.

        Raises:
            RunError: an item is not done, or not the one that was asked for.
        """
        for item in plan.items:  # law 2
            entry = entries.get(item.number)
            if entry is None or (entry.first_row, entry.rows) != (item.first_row, item.rows):
                raise RunError(f"{item.part} is not what was asked for", where=self.output)
        parts = [
            {
                "name": item.part,
                "rows": entries[item.number].written,
                "size": entries[item.number].size,
                "sha256": entries[item.number].sha256,
            }
            for item in plan.items
        ]
        told = {"labelf": __version__, "parts": parts, "summary": summary.as_json()}
        self._disk.write(self.output / _SUCCESS, json.dumps(told, indent=2).encode() + b"\n")
        self._disk.remove_folder(self.work)

    def close(self) -> None:
        """Let others work on it; what is done stays, and what was not begun leaves nothing."""
        if self.work.exists() and self.plan is None:
            self._disk.remove_folder(self.work)
            with suppress(OSError):  # where it is not empty
                if self._is_ours:
                    self.output.rmdir()
        self._lock.release()
