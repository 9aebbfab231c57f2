"""What of a run is durable: the work folder beside an output, its lock, its fingerprint, its parts.

    out.parquet.labelf/
        answers.sqlite              what services have said, which may have been paid for
        lock                        held by the run that is at work; the pid inside only informs
        run.json                    the fingerprint: all that decides the output's bytes
        000000000000.arrow          a part: consecutive rows of the output, as an Arrow IPC stream
        000000000000.json           its entry in the journal, written once the part is durable
        publishing                  of a folder: what is in it is of this run

In an object store each is an object, but for the answers, which lie on the machine's own disk.

A part counts only by its entry, and only while its bytes are those that the entry tells. Whatever
else lies there is left over and is removed.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import IO, Any, Self

from labelf_cli.errors import OutputError
from labelf_cli.storage.interface import HeldError, Storage
from labelf_cli.storage.local import LOCK
from labelf_cli.summary import Summary

Fingerprint = Mapping[str, Any]
"""Nested plain values, as JSON has them; none at all for a run that can't be gone on with."""

_log = logging.getLogger(__name__)

ANSWERS = "answers.sqlite"
_RUN, _ENTRY, _PART = "run.json", ".json", ".arrow"
_PUBLISHING = "publishing"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One part.

    Attributes:
        first_row: position of its first row among those of the input that are good, from 0.
        rows: how many of them it answers.
        written: rows of the output, which differ in number in the long layout.
        size: of the part in bytes.
        sha256: of the part.
        summary: what happened to its rows.
    """

    first_row: int
    rows: int
    written: int
    size: int
    sha256: str
    summary: Summary

    @property
    def name(self) -> str:
        """Of its files, without the suffix."""
        return f"{self.first_row:012}"

    def to_bytes(self) -> bytes:
        """The entry's file: the values, and their own hash."""
        values = {**asdict(self), "summary": self.summary.to_record()}
        return json.dumps({**values, "check": _check(values)}, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self | None:
        """Read the entry's file; None if that is not as it was written."""
        try:
            values = json.loads(content)
            if values.pop("check") != _check(values):
                return None
            return cls(**{**values, "summary": Summary.from_record(values["summary"])})
        except (ValueError, LookupError, TypeError, AttributeError):
            return None


def _check(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def size_and_sha256(file: IO[bytes]) -> tuple[int, str]:
    """Of what is left to read in a file."""
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()


class Journal:
    """The work folder of one output, locked while it is open.

    Attributes:
        entries: of the parts that are durable.
        keeps: whether a later run can go on from them.
        has_published: whether an unfinished run has begun to publish a folder.
        is_resumed: whether this run goes on with what that has left.
    """

    def __init__(self, output: PurePath, disk: Storage) -> None:
        """Make the folder and lock it.

        Args:
            output: the file that the run makes.
            disk: where it stands.

        Raises:
            OutputError: another run is at work on the same output.
            OSError: the folder can't be made.
        """
        self.folder = output.with_name(f"{output.name}.labelf")
        self._output, self._disk = output, disk
        self.entries: list[Entry] = []
        self.keeps = self.has_published = self.is_resumed = False
        self._is_nobodys, self._fingerprint = False, b""
        disk.make_folder(self.folder)
        try:
            self._lease = disk.lock(self.folder)
        except HeldError as held:
            raise OutputError(
                f"another run is writing it ({held})",
                where=disk.shown(output),
                todo="Wait for it, or choose another -o",
            ) from None

    def resume(self, fingerprint: Fingerprint, *, restart: bool) -> None:
        """Look, then begin."""
        self.look(fingerprint, restart=restart)
        self.begin()

    def look(self, fingerprint: Fingerprint, *, restart: bool) -> None:
        """Find out what an earlier run has left; all stays as it is.

        Raises:
            OutputError: it is of another fingerprint, and not to be thrown away.
        """
        self._fingerprint = json.dumps(
            fingerprint, ensure_ascii=False, sort_keys=True, indent=1
        ).encode()
        self.keeps = bool(fingerprint)
        before = self._read(_RUN)
        if before is not None and not restart and before != self._fingerprint:
            raise OutputError(
                f"an unfinished run of it differs: {_difference(before, fingerprint)}",
                where=self._disk.shown(self._output),
                todo="Run that command again, or add --restart to throw its work away",
            )
        self.has_published = _PUBLISHING in self._disk.names(self.folder)
        self.is_resumed = before == self._fingerprint and not restart
        self._is_nobodys = before is None

    def begin(self) -> None:
        """Keep what the same run has left, and remove the rest."""
        names = self._disk.names(self.folder)
        kept = {LOCK}
        if self.is_resumed:
            self.entries = list(self._durable(names))
            kept |= {_RUN, *filter(self._is_kept, names)}
        kept |= {ANSWERS + suffix for suffix in ("", "-wal", "-shm")}  # right whatever the run
        kept |= {_PUBLISHING}  # until its folder is empty
        kept |= {entry.name + suffix for entry in self.entries for suffix in (_ENTRY, _PART)}
        # The fingerprint goes first and comes first: no part ever stands beside one of others.
        for name in sorted(names, key=lambda name: name != _RUN):
            if name not in kept:
                self._disk.remove(self.folder / name)
        if not self.is_resumed and self.keeps:
            self._disk.write_whole(self.folder / _RUN, self._fingerprint)

    def _is_kept(self, name: str) -> bool:  # noqa: ARG002
        """Whether something belongs to a run beside its parts and their entries."""
        return False

    def _durable(self, names: Iterable[str]) -> Iterable[Entry]:
        """The entries whose parts are as they were written, none twice."""
        end = 0
        told = [name for name in names if name.endswith(_ENTRY) and name != _RUN]
        for entry in self._disk.map(self._whole, told):
            if entry and entry.first_row >= end:
                end = entry.first_row + entry.rows
                yield entry

    def _whole(self, name: str) -> Entry | None:
        """The entry of a name, if its part is as it was written."""
        content = self._read(name)
        entry = None if content is None else Entry.from_bytes(content)
        return entry if entry and self._is_whole(entry) else None

    def _is_whole(self, entry: Entry) -> bool:
        try:
            with self._disk.open(self.part(entry)) as file:
                return size_and_sha256(file) == (entry.size, entry.sha256)
        except FileNotFoundError:
            return False

    def _read(self, name: str) -> bytes | None:
        try:
            with self._disk.open(self.folder / name) as file:
                return file.read()
        except FileNotFoundError:
            return None

    @property
    def done(self) -> tuple[range, ...]:
        """Positions of the rows in all parts, in order; parts that meet make one range."""
        ranges: list[range] = []
        for entry in self.entries:
            start = entry.first_row
            if ranges and ranges[-1].stop == start:
                start = ranges.pop().start
            ranges.append(range(start, entry.first_row + entry.rows))
        return tuple(ranges)

    @property
    def answers(self) -> Path | None:
        """Where what services say can be kept; None where no later run could go on from it."""
        return self.scratch / ANSWERS if self.keeps else None

    @property
    def scratch(self) -> Path:
        """Where on this machine's disk the run's other files lie; what is left there is removed."""
        return self._disk.scratch(self.folder)

    def part(self, entry: Entry) -> PurePath:
        """The file of a part."""
        return self.folder / f"{entry.name}{_PART}"

    def begin_publishing(self) -> None:
        """Note that what will stand in the folder of the output is of this run."""
        self.has_published = True
        self._disk.write(self.folder / _PUBLISHING, b"")

    def forget_published(self) -> None:
        """What another run has published of the folder is removed."""
        self._disk.remove(self.folder / _PUBLISHING)
        self.has_published = False

    def add(self, draft: PurePath, entry: Entry) -> None:
        """Take a part whose bytes are durable: name it, then tell of it."""
        # Noted first: a signal may come in between, and what is durable by then must be kept.
        self.entries.append(entry)
        self._disk.replace(draft, self.part(entry))
        self._disk.write(self.folder / f"{entry.name}{_ENTRY}", entry.to_bytes())

    def close(self) -> None:
        """Let others work on the output; what they can't go on with is removed."""
        is_needed = self.entries or self.has_published or (self.scratch / ANSWERS).exists()
        if self.keeps and is_needed:
            self.release()
        else:
            self.remove()

    def leave(self) -> None:
        """Let others work on the output; what an earlier run may go on with stays."""
        if self._is_nobodys:
            self.remove()
        else:
            self.release()

    def remove(self) -> None:
        """Nothing of this is needed any more."""
        try:
            # Without a fingerprint what is left is nobody's, should the end come in between.
            self._disk.remove(self.folder / _RUN)
            self._disk.remove_folder(self.folder)
        finally:
            self.release()

    def end(self) -> None:
        """The output is published: nothing of this is needed any more."""
        try:
            self.remove()
        except OSError as error:
            folder = self._disk.shown(self.folder)
            _log.warning("%s: can't be removed (%s)", folder, error.strerror)

    def release(self) -> None:
        """Let others work on the output; all stays as it is."""
        self._lease.release()


def difference(before: Fingerprint, now: Fingerprint) -> str:
    """The first field in which two fingerprints differ, and its values."""
    was, is_ = (_flat(json.loads(json.dumps(its))) for its in (before, now))
    for key in [*is_, *was]:
        if was.get(key) != is_.get(key):
            return f"{key} was {_shown(was.get(key))}, is {_shown(is_.get(key))}"
    return "its fingerprint is of another labelf"


def _difference(before: bytes, fingerprint: Fingerprint) -> str:
    """The same for an earlier one as it was written."""
    if not fingerprint:
        return "it reads files, this one reads stdin"
    try:
        return difference(json.loads(before), fingerprint)
    except ValueError:
        return "its fingerprint can't be read"


def _flat(values: object, prefix: str = "") -> dict[str, Any]:
    """All that is nested, by its path; what stands in a list is numbered from 1."""
    if isinstance(values, list):
        values = {str(number): value for number, value in enumerate(values, start=1)}
    if not isinstance(values, dict):
        return {prefix.removesuffix("."): values}
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.")
    return found


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
