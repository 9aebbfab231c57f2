"""Names of inputs, and what else is known of each."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from labelf_cli.storage.uri import Uri, is_uri, local

Partitions = tuple[tuple[str, str | None], ...]
"""Keys and values of the folders ``key=value`` on a path, as Hive names them; null is None."""

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""What a folder ``key=value`` is called for null."""


class InputName(str):
    """The name of an input as messages give it, which knows where its bytes are.

    Attributes:
        uri: its place in an object store; None for a file and for stdin.
        partitions: what the folders say that it lies in, below the one that was asked for.
    """

    __slots__ = ("partitions", "uri")

    uri: Uri | None
    partitions: Partitions

    def __new__(cls, name: str, uri: Uri | None = None, partitions: Partitions = ()) -> Self:
        """Put a name together with what is known of it."""
        made = super().__new__(cls, name)
        made.uri, made.partitions = uri, partitions
        return made

    @classmethod
    def of(cls, name: str, below: Iterable[str] = ()) -> Self:
        """The name of a file or an object.

        Args:
            name: a path, a URI, or such a name.
            below: folders on the way from what was asked for to it.
        """
        if isinstance(name, cls):
            return name
        return (
            cls(local(name), None, partitions(below))
            if not is_uri(name)
            else cls.at(Uri.parse(name), below)
        )

    @classmethod
    def at(cls, uri: Uri, below: Iterable[str] = ()) -> Self:
        """The name of an object."""
        return cls(str(uri), uri, partitions(below))

    def absolute(self) -> Self:
        """The same wherever it is used."""
        return self if self.uri else type(self)(str(Path(self).absolute()), None, self.partitions)

    @property
    def identity(self) -> str:
        """What all names of it have in common."""
        return str(Path(self).resolve()) if self.uri is None else self.uri.identity

    def suffixed(self, suffix: str) -> "InputName":
        """What stands beside it under a longer name."""
        if self.uri is None:
            return InputName(f"{self}{suffix}")
        return InputName.at(self.uri.suffixed(suffix))

    def named(self, file: str) -> "InputName":
        """What is named from it: a file in its folder, or one by its path where it stands."""
        if self.uri is None:
            return InputName(str(Path(self).parent / file))
        return InputName.at(self.uri.named(file))


def partitions(folders: Iterable[str]) -> Partitions:
    """What folders say, in their order; those that are no ``key=value`` say nothing."""
    pairs = [folder.split("=", 1) for folder in folders if "=" in folder.lstrip("=")]
    return tuple(
        (unquote(key), None if value == NO_VALUE else unquote(value)) for key, value in pairs
    )


def is_hidden(name: str) -> bool:
    """Whether a folder's entry is no data of it, as Spark has it: ``_SUCCESS``, ``.x``."""
    return name.startswith((".", "_")) and "=" not in name
