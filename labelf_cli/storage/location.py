"""Where an output goes: a file or a folder, on the local disk or in an object store."""

import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath

from labelf_cli.errors import OutputError
from labelf_cli.storage.interface import Storage
from labelf_cli.storage.local import Disk
from labelf_cli.storage.objects import ObjectStore
from labelf_cli.storage.uri import Uri, is_uri, local, split_options

STDOUT = "-"
SUCCESS = "_SUCCESS"
PART_NAME = re.compile(r"part-[0-9]{5,}(-[0-9a-f]{8})?\.parquet")


def names_no_file(option: str) -> OutputError:
    """That ``option`` was given ``-``, of which another program may make stdout."""
    return OutputError(
        f"'{STDOUT}' names no file",
        where=option,
        todo="Name one, or leave it out where that means stdout",
    )


def part_name(number: int) -> str:
    """The name of a file of a folder."""
    return f"part-{number:05}.parquet"


def marked_part_name(first_row: int, mark: str) -> str:
    """The name of one that a worker writes; eight hex digits tell of which run it is."""
    return f"part-{first_row:012}-{mark}.parquet"


def is_of_a_folder(name: str) -> bool:
    """Whether a folder that labelf writes may hold a file of that name."""
    return name == SUCCESS or PART_NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class Location:
    """A place that ``-o`` names.

    Attributes:
        text: a path or a URI as the user gave it; a slash at its end means a folder.
    """

    text: str = field(repr=False)

    @classmethod
    def of(cls, place: "Path | Location") -> "Location":
        """What has no slash at its end, since a path knows of none, is a file."""
        return place if isinstance(place, Location) else cls(str(place))

    @cached_property
    def uri(self) -> Uri | None:
        """Its place in an object store; None for the local disk."""
        return Uri.parse(self.text) if is_uri(self.text) else None

    @property
    def local(self) -> Path:
        """Its path on the local disk."""
        return Path(local(self.text))

    @property
    def path(self) -> PurePath:
        """Its path where it stands, links followed.

        Raises:
            OutputError: it has no name.
        """
        if self.uri is None:
            return self.local.resolve()
        path = PurePosixPath(self.uri.path)
        if not self.uri.key or len(path.parts) < 2:
            raise OutputError("has no name", where=self.uri, todo="Name a file or a folder in it")
        return path

    @property
    def is_folder(self) -> bool:
        """Whether a folder of Parquet files is asked for, or stands there."""
        if self.uri is not None:
            return split_options(self.text)[0].endswith("/")
        if self.text.endswith(("/", os.sep)):
            return True
        folder = self.local
        return folder.is_dir() and any(is_of_a_folder(path.name) for path in folder.iterdir())

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.local.name if self.uri is None else self.uri.name

    @property
    def identity(self) -> str:
        """What all names of it have in common."""
        return str(self.local.resolve()) if self.uri is None else self.uri.identity

    def is_on_disk_of(self, other: "Location | None") -> bool:
        """Whether both stand on the local disk, as stdout does, or in one store, opened alike."""
        theirs = None if other is None else other.uri
        if self.uri is None or theirs is None:
            return self.uri is theirs
        return self.uri.is_opened_as(theirs)

    def named_from(self, other: "Location") -> str:
        """How a file on the same disk names it: by its name in one folder, else by its path."""
        if self.path.parent == other.path.parent:
            return self.path.name
        return str(self.path) if self.uri is None else f"/{self.uri.key}"

    def open(self, option: str = "-o") -> Storage:
        """Where it stands.

        Args:
            option: that names it.

        Raises:
            OutputError: the store can't be opened, or it is what elsewhere means stdout.
        """
        if self.text == STDOUT:
            raise names_no_file(option)
        if self.uri is None:
            return Disk()
        try:
            return ObjectStore(self.uri)
        except OSError as error:
            raise OutputError(
                f"can't be written ({error.strerror})",
                where=self.uri,
                todo=f"Choose another {option}",
            ) from None

    def absolute(self) -> "Location":
        """The same wherever it is used."""
        return self if self.uri else Location(str(self.path))

    def suffixed(self, suffix: str) -> "Location":
        """The file beside it whose name is longer."""
        base, options = split_options(self.text) if self.uri else (self.text, "")
        return Location(f"{base.rstrip('/')}{suffix}{options}")

    def __str__(self) -> str:
        """As messages give it."""
        return str(self.local if self.uri is None else self.uri)
