"""A folder that appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labelf_cli.errors import OutputError, write_errors


def require_free(path: Path) -> None:
    """Refuse a folder that has something in it, and what is no folder.

    Raises:
        OutputError: what stands there would be lost.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise OutputError("exists already", where=path, todo="Remove it, or choose another -o")


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """A folder to write into, beside the final one, whose name it takes if the block ends well.

    Raises:
        OutputError: it can't be made, or the name is taken.
        WriteError: it can't be written to its end.
    """
    require_free(path)
    final = path.resolve()
    draft = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        draft.mkdir(parents=True)
    except OSError as error:
        raise OutputError(
            f"can't be written ({error.strerror})", where=path, todo="Choose another -o"
        ) from None
    try:
        with write_errors(path):
            yield draft
            draft.rename(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
