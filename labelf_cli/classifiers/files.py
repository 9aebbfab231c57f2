"""Files of a model folder, which anyone may have made: none leads out of it, none is another."""

import json
import os
from pathlib import Path
from typing import Any

from labelf_cli.errors import ModelError


def require_inside(path: Path, folder: Path) -> None:
    """Refuse a file that is not the folder's own; a link is followed, and its target counts.

    In the hub's cache (``models--owner--name/snapshots/<sha>``) a target may lie in the ``blobs``
    of the same repository, too.

    Raises:
        ModelError: it lies elsewhere, or is no ordinary file. A file that is absent is not refused.
    """
    try:
        target, is_odd = _real(path), path.exists() and not path.is_file()
    except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
        raise ModelError(f"names a file that can't be ({error})", where=folder) from None
    if not any(target.is_relative_to(room) for room in _rooms(_real(folder))):
        raise ModelError(
            f"leads out of the model folder, to {target}",
            where=path,
            todo=f"If you trust it, put a copy of it into {folder}",
        )
    if is_odd:
        raise ModelError("not an ordinary file", where=path, todo="Export the model again")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises where links run in a circle


def _rooms(folder: Path) -> tuple[Path, ...]:
    """Where the files of a folder may lie."""
    for snapshot in (folder, *folder.parents):
        repository = snapshot.parent.parent
        if snapshot.parent.name == "snapshots" and repository.name.startswith("models--"):
            return folder, repository / "blobs"
    return (folder,)


def refuse_impostors(path: Path, expected: str) -> None:
    """Name the things that most often stand in a file's place.

    Args:
        path: of the file.
        expected: what it should be, in words.

    Raises:
        ModelError: one of them does, or it can't be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    except OSError as error:
        raise ModelError(
            f"can't be read ({error.strerror})", where=path, todo="Check its permissions"
        ) from None
    if not head:
        raise ModelError(f"an empty file, not {expected}", where=path, todo="Export it again")
    if head.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"a Git LFS pointer, not {expected}", where=path, todo="Run 'git lfs pull'"
        )
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ModelError(
            f"an HTML page, not {expected}", where=path, todo="Download the file itself"
        )


def read_json(path: Path, folder: Path) -> Any:  # noqa: ANN401  # it is what the file says
    """Content of a JSON file of a model folder; empty where there is none.

    Raises:
        ModelError: it can't be read, or is not the folder's own.
    """
    require_inside(path, folder)
    if not path.exists():
        return {}
    try:
        refuse_impostors(path, "JSON")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"can't be read as JSON ({error})", where=path, todo="Export the model again"
        ) from None
