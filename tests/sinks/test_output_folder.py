"""A folder that appears whole or not at all."""

from pathlib import Path

import pytest

from labelf_cli.errors import OutputError, WriteError
from labelf_cli.sinks.folder import drafted


def test_it_takes_its_name_at_the_end(tmp_path: Path) -> None:
    final = tmp_path / "a" / "b"
    with drafted(final) as draft:
        (draft / "file").write_text("whole")
        assert not final.exists()
    assert (final / "file").read_text() == "whole"
    assert list(final.parent.iterdir()) == [final]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    with drafted(tmp_path / "empty") as draft:
        (tmp_path / "empty").mkdir()
        (draft / "file").write_text("whole")
    assert (tmp_path / "empty/file").read_text() == "whole"


def fail(path: Path, error: BaseException) -> None:
    """Write a file, then raise."""
    with drafted(path) as draft:
        (draft / "file").write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt(), SystemExit()])
def test_nothing_is_left_of_a_block_that_fails(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail(tmp_path / "out", error)
    assert list(tmp_path.iterdir()) == []


def test_what_cant_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"out: can't be written \(No space"):
        fail(tmp_path / "out", OSError(28, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_what_stands_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(OutputError, match="out: exists already"), drafted(tmp_path / "out"):
        pass
    with pytest.raises(OutputError, match="mine: exists already"), drafted(tmp_path / "out/mine"):
        pass
    assert (tmp_path / "out/mine").read_text() == "mine"


def test_a_place_that_cant_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="can't be written"), drafted(tmp_path / "file/out"):
        pass
