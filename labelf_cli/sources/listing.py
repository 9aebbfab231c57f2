"""Which files an argument names: itself, those in a folder, the matches of a glob, sorted."""

import glob
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from typing import NoReturn

import pyarrow as pa
import pyarrow.fs

from labelf_cli.errors import InputError
from labelf_cli.storage.names import InputName, is_hidden
from labelf_cli.storage.uri import Uri, is_uri, local, told


def found(pattern: str) -> list[InputName]:
    """The files behind an argument.

    Raises:
        InputError: there is none, a folder can't be read, or the store can't be asked.
    """
    names = sorted(_objects(Uri.parse(pattern)) if is_uri(pattern) else _on_disk(local(pattern)))
    if not names:
        where = Uri.parse(pattern) if is_uri(pattern) else pattern
        raise InputError("no such file", where=where, todo="Check the path")
    return names


def _on_disk(pattern: str) -> list[InputName]:
    try:
        return list(_files(pattern))
    except OSError as error:
        raise InputError(
            f"can't be read ({error.strerror})",
            where=error.filename or pattern,
            todo="Check the path and its permissions",
        ) from None


def _files(pattern: str) -> Iterator[InputName]:
    path = Path(pattern)
    if path.is_dir():
        yield from _files_in(path, ())
    elif path.exists():
        yield InputName(pattern)
    else:
        yield from dict.fromkeys(_local_matches(pattern))


def _local_matches(pattern: str) -> Iterator[InputName]:
    fixed = _fixed(PurePath(pattern))
    for match in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207  # absolute ones too
        path = Path(match)
        below = path.relative_to(fixed).parts if path.is_relative_to(fixed) else ()
        if path.is_dir():
            yield from _files_in(path, below)
        else:
            yield InputName.of(match, below[:-1])


def _files_in(folder: Path, below: Sequence[str]) -> Iterator[InputName]:
    # Not rglob, which leaves out what it can't read.
    for within, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not is_hidden(name)]
        for path in (Path(within, name) for name in names if not is_hidden(name)):
            if path.is_file():
                inside = path.relative_to(folder).parts
                yield InputName.of(str(path), (*below, *inside[:-1]))


def _raise(error: OSError) -> NoReturn:
    raise error


def _fixed(pattern: PurePath) -> PurePath:
    """The part of a glob before its first wildcard."""
    parts = pattern.parts
    first = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return type(pattern)(*parts[:first])


def _objects(uri: Uri) -> Iterator[InputName]:
    try:
        store = _Store(uri)
        kind = store.kind(uri.path)
        if kind is pa.fs.FileType.File:
            yield InputName.at(uri)
        elif kind is pa.fs.FileType.Directory:
            yield from store.inside(uri.path, ())
        else:
            fixed = _fixed(PurePosixPath(uri.path))
            wild = PurePosixPath(uri.path).parts[len(fixed.parts) :]
            if wild:
                yield from dict.fromkeys(store.matches(str(fixed), wild, ()))
    except (OSError, pa.ArrowException) as error:
        failed = told(error, uri)
        raise InputError(f"can't be read ({failed.strerror})", where=uri) from None


class _Store:
    """The objects of a store, as files and folders."""

    def __init__(self, uri: Uri) -> None:
        self._uri, self._filesystem = uri, uri.filesystem

    def kind(self, path: str) -> pa.fs.FileType:
        return self._filesystem.get_file_info(path).type

    def inside(self, folder: str, below: Sequence[str]) -> Iterator[InputName]:
        """All objects below a folder, but for hidden ones."""
        for info in self._list(folder, recursive=True):
            inside = PurePosixPath(info.path).relative_to(folder).parts
            if info.type == pa.fs.FileType.File and not any(map(is_hidden, inside)):
                yield InputName.at(self._uri.at(info.path), (*below, *inside[:-1]))

    def matches(
        self, folder: str, wild: Sequence[str], below: Sequence[str]
    ) -> Iterator[InputName]:
        """What the parts of a glob match below a folder; each folder is listed once."""
        first, *rest = wild
        if first == "**":
            yield from self.matches(folder, rest or ["*"], below)
        for info in self._list(folder):
            name, is_folder = info.base_name, info.type == pa.fs.FileType.Directory
            if first == "**" and is_folder and not is_hidden(name):
                yield from self.matches(info.path, wild, (*below, name))
            elif first != "**" and _is_match(name, first):
                yield from self._matched(info, rest, below)

    def _matched(
        self, info: pa.fs.FileInfo, rest: Sequence[str], below: Sequence[str]
    ) -> Iterator[InputName]:
        if info.type == pa.fs.FileType.Directory:
            inside = (*below, info.base_name)
            if rest:
                yield from self.matches(info.path, rest, inside)
            else:
                yield from self.inside(info.path, inside)
        elif not rest:
            yield InputName.at(self._uri.at(info.path), below)

    def _list(self, folder: str, *, recursive: bool = False) -> list[pa.fs.FileInfo]:
        selector = pa.fs.FileSelector(folder, recursive=recursive, allow_not_found=True)
        listed: list[pa.fs.FileInfo] = self._filesystem.get_file_info(selector)
        return listed


def _is_match(name: str, pattern: str) -> bool:
    """As ``glob`` has it for dots: what is hidden is matched by what begins as it does."""
    return fnmatchcase(name, pattern) and (not is_hidden(name) or pattern.startswith(name[0]))
