"""A folder of Parquet files, and the file that says, last of all, that all of them are there."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import NamedTuple

from labelf_cli import __version__
from labelf_cli.errors import OutputError
from labelf_cli.journal import Fingerprint, Journal
from labelf_cli.storage.interface import Storage
from labelf_cli.storage.location import SUCCESS, is_of_a_folder
from labelf_cli.summary import Summary


class Written(NamedTuple):
    """A file of a folder, as the folder's manifest lists it."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ParquetFolder:
    """What a run publishes into, and holds nothing else.

    Attributes:
        path: of the folder.
        disk: where it stands.
        journal: of the run.
    """

    path: PurePath
    disk: Storage
    journal: Journal

    def resume(self, fingerprint: Fingerprint, *, restart: bool) -> None:
        """Go on with the journal, unless the folder holds what the run has not published.

        With ``restart``, what an unfinished run of other settings has published is removed.

        Raises:
            OutputError: the folder is not the run's, or the journal is not; all is left as it was.
            OSError: it can't be looked into.
        """
        self.journal.look(fingerprint, restart=restart)
        names = self._names()
        ours = self.journal.has_published and all(map(_may_be_ours, names))
        goes_on = ours and (self.journal.is_resumed or (restart and SUCCESS not in names))
        if names and not goes_on:
            raise OutputError(
                "exists already, and an unfinished run of this command is not all that is in it",
                where=self.disk.shown(self.path),
                todo="Remove it, or choose another -o",
            )
        self.journal.begin()
        if self.journal.has_published and not self.journal.is_resumed:
            self._remove(names)
            self.journal.forget_published()

    def begin(self) -> None:
        """From now on files may stand in it."""
        if not self.journal.has_published:
            self.journal.begin_publishing()
        self.disk.make_folder(self.path)

    def make(self, below: str) -> None:
        """Create a folder in it; ``below`` is the path to that."""
        path = self.path
        for name in PurePosixPath(below).parts:
            path /= name
            self.disk.make_folder(path)

    def succeed(self, written: Iterable[Written], summary: Summary) -> None:
        """All files are there: say so."""
        parts = list(written)
        its = {SUCCESS, *(part.name for part in parts)}
        # A worker that is thought dead may have written for another run meanwhile.
        self._remove(name for name in self._names() if is_of_a_folder(name) and name not in its)
        told = {
            "labelf": __version__,
            "parts": [part._asdict() for part in parts],
            "summary": summary.as_json(),
        }
        draft = self.journal.folder / f"{SUCCESS}.tmp"
        with self.disk.create(draft) as file:
            file.write(json.dumps(told, indent=2).encode() + b"\n")
        self.disk.sync(draft)
        self.disk.publish(draft, self.path / SUCCESS)

    def _names(self) -> list[str]:
        try:
            return self.disk.names(self.path)
        except FileNotFoundError:
            return []

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            if _is_partition(name):
                self.disk.remove_folder(self.path / name)
            else:
                self.disk.remove(self.path / name)


def _is_partition(name: str) -> bool:
    return "=" in name


def _may_be_ours(name: str) -> bool:
    return is_of_a_folder(name) or _is_partition(name)
