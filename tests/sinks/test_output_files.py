"""An output file is absent, old or complete; a stream gets what is written."""

import gc
import os
import random
from pathlib import Path

import pyarrow as pa
import pytest

from labelf_cli.errors import OutputError
from labelf_cli.sinks.files import open_output

COMPRESSIONS = {".csv": None, ".gz": "gzip", ".zst": "zstd"}
SUFFIXES = ("", ".gz", ".zst")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def decompressed(path: Path) -> bytes:
    with pa.input_stream(path, compression=COMPRESSIONS[path.suffix]) as stream:
        return bytes(stream.read())


def published(path: Path, content: bytes, step: int) -> bytes:
    """The file that ``content`` makes, written ``step`` bytes at a time."""
    output = open_output(path)
    for start in range(0, len(content), step):
        output.stream.write(content[start : start + step])
    output.publish()
    return path.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_has_the_final_name_before_publishing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.csv{suffix}"
    output = open_output(path)
    output.stream.write(b"text\n" * 1_000_000)
    assert not path.exists()
    output.publish()
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_replaced_only_by_publishing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.csv{suffix}"
    path.write_bytes(b"old")
    output = open_output(path)
    output.stream.write(b"new")
    assert path.read_bytes() == b"old"
    output.publish()
    assert decompressed(path) == b"new"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_discarding_leaves_the_folder_as_it_was(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"out.csv{suffix}"
    path.write_bytes(b"old")
    output = open_output(path)
    output.stream.write(b"new")
    output.discard()
    assert names(tmp_path) == [path.name]
    assert path.read_bytes() == b"old"
    del output
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_discarding_what_is_published_leaves_it(tmp_path: Path) -> None:
    output = open_output(tmp_path / "out.csv")
    output.stream.write(b"new")
    output.publish()
    output.discard()
    assert (tmp_path / "out.csv").read_bytes() == b"new"


def test_the_draft_of_a_killed_run_is_no_obstacle(tmp_path: Path) -> None:
    killed = open_output(tmp_path / "out.csv")
    killed.stream.write(b"half")
    killed.stream.close()
    # A container gives its next run the same process id.
    assert published(tmp_path / "out.csv", b"whole", 5) == b"whole"


CONTENT = b"".join(b"%d,%d\n" % (i, random.Random(i).randrange(i + 1)) for i in range(40_000))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("step", [7, 4096, 1 << 17])
def test_the_bytes_do_not_depend_on_how_they_are_written(
    tmp_path: Path, suffix: str, step: int
) -> None:
    path = tmp_path / f"out.csv{suffix}"
    assert published(path, CONTENT, step) == published(path, CONTENT, len(CONTENT))
    assert decompressed(path) == CONTENT


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, target = tmp_path / "out.csv", tmp_path / "real" / "out.csv"
    target.write_bytes(b"old")
    link.symlink_to(target)
    published(link, b"new", 3)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent/out.csv", "No such file or directory"),
        ("file/out.csv", "Not a directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_path_that_can_be_no_file_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / name
    with pytest.raises(OutputError) as error:
        open_output(path)
    assert str(error.value) == f"{path}: can't be written ({reason}). Choose another -o"
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError) as error:
        open_output(tmp_path / "out.csv")
    expected = f"{tmp_path}/out.csv: can't be written (Permission denied). Choose another -o"
    assert str(error.value) == expected


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as error:
        open_output(tmp_path)
    assert str(error.value) == f"{tmp_path}: a folder. Name a file with -o"


@pytest.mark.parametrize("path", [".", "..", "/"])
def test_a_folder_without_a_name_is_refused(path: str) -> None:
    with pytest.raises(OutputError, match=r": a folder\. Name a file with -o"):
        open_output(Path(path))


def test_a_device_is_written_to_and_stays_one() -> None:
    output = open_output(Path("/dev/null"))
    output.stream.write(b"new")
    output.publish()
    output.stream.close()
    assert Path("/dev/null").is_char_device()
