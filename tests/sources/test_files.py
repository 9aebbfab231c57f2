"""Names, bytes, encodings and compressions of inputs."""

import bz2
import codecs
import gzip
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.errors import BadRowError, InputError
from labelf_cli.sources.files import PREFIX_BYTES, STDIN, ByteInput, expand

randbytes = Random(0).randbytes


class RawBlocks(ByteInput):
    """Bytes in memory that come from the disk in blocks of one size."""

    def __init__(self, content: bytes, size: int, encoding: str | None) -> None:
        super().__init__(STDIN, encoding)
        self._content, self._block_size = content, size

    def raw_blocks(self, begin: int = 0) -> Iterator[bytes]:
        for start in range(begin, len(self._content), self._block_size):
            yield self._content[start : start + self._block_size]


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def run_with_stdin(code: str, content: bytes) -> str:
    """What Python code prints that has ``content`` as its stdin."""
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, input=content, capture_output=True, check=False)
    assert found.stderr == b""
    return found.stdout.decode().strip()


def test_a_glob_gives_its_matches_sorted(tmp_path: Path) -> None:
    for name in ("c.csv", "a.csv", "b.csv", "a.jsonl"):
        write(tmp_path / name, b"")
    assert expand([f"{tmp_path}/*.csv"]) == [f"{tmp_path}/{name}.csv" for name in "abc"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    name = write(tmp_path / "calls[1].csv", b"")
    write(tmp_path / "calls1.csv", b"")
    assert expand([name]) == [name]


@pytest.mark.parametrize("pattern", ["absent.csv", "absent*.csv"])
def test_a_name_behind_which_is_no_file_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(InputError) as error:
        expand([f"{tmp_path}/{pattern}"])
    assert str(error.value) == f"{tmp_path}/{pattern}: no such file. Check the path"


def test_a_name_that_is_empty_is_not_this_folder() -> None:
    with pytest.raises(InputError, match="the name of an input is empty"):
        expand([""])


def test_stdin_is_read_only_once() -> None:
    with pytest.raises(InputError) as error:
        expand([STDIN, STDIN])
    assert str(error.value) == "-: stdin can be read only once"


@pytest.mark.parametrize(("suffix", "compression"), [(".gz", "gzip"), (".zst", "zstd")])
def test_a_compressed_file_is_read_by_its_suffix_through_all_its_parts(
    tmp_path: Path, suffix: str, compression: str
) -> None:
    parts = [randbytes(2_000_000), b"text\n"]
    content = b"".join(pa.compress(part, compression, asbytes=True) for part in parts)
    data = ByteInput(write(tmp_path / f"calls.csv{suffix}", content))
    assert data.prefix().content == b"".join(data.blocks()) == b"".join(parts)


def test_a_compressed_file_that_ends_too_soon_is_an_error(tmp_path: Path) -> None:
    name = write(tmp_path / "calls.csv.gz", gzip.compress(randbytes(100_000))[:-50_000])
    with pytest.raises(BadRowError) as error:
        list(ByteInput(name).blocks())
    assert str(error.value).startswith(f"{name}: can't be read further (")


def test_a_file_that_is_not_compressed_as_its_name_says_is_refused(tmp_path: Path) -> None:
    name = write(tmp_path / "calls.csv.gz", bz2.compress(b"text\n"))
    with pytest.raises(InputError) as error:
        ByteInput(name).prefix()
    assert str(error.value).startswith(f"{name}: can't be read")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        ByteInput(str(tmp_path)).prefix()
    assert str(error.value).startswith(f"{tmp_path}: can't be read (")


@pytest.mark.parametrize("excess", [-1, 1])
def test_a_prefix_says_whether_it_is_all(tmp_path: Path, excess: int) -> None:
    prefix = ByteInput(write(tmp_path / "calls.csv", b"x" * (PREFIX_BYTES + excess))).prefix()
    assert len(prefix.content) == PREFIX_BYTES + min(excess, 0)
    assert prefix.is_whole == (excess < 0)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (codecs.BOM_UTF8 + "é".encode(), "utf-8"),
        (codecs.BOM_UTF8 + "é".encode(), "utf-8-sig"),
        (codecs.BOM_UTF16_LE + "é".encode("utf-16-le"), "utf-16"),
        (codecs.BOM_UTF16_BE + "é".encode("utf-16-be"), "utf-16"),
        (codecs.BOM_UTF16_LE + "é".encode("utf-16-le"), "utf-16-le"),
    ],
)
def test_a_byte_order_mark_is_dropped(tmp_path: Path, content: bytes, encoding: str) -> None:
    data = ByteInput(write(tmp_path / "calls.csv", content), encoding)
    assert b"".join(data.blocks()) == data.prefix().content == "é".encode()


@given(
    st.text(),
    st.sampled_from(["utf-16", "utf-16-be", "utf-32", "utf-7", "gb18030"]),
    st.integers(1, 9),
)
def test_text_is_the_same_in_any_encoding_and_blocks(text: str, encoding: str, size: int) -> None:
    text = text.removeprefix("\ufeff")
    data = RawBlocks(text.encode(encoding), size, encoding)
    assert b"".join(data.blocks()).decode() == text


def test_a_prefix_may_end_within_a_character(tmp_path: Path) -> None:
    name = write(tmp_path / "calls.csv", ("x" + "😀" * (PREFIX_BYTES // 4)).encode("utf-16-le"))
    prefix = ByteInput(name, "utf-16-le").prefix()
    assert not prefix.is_whole
    assert prefix.content.decode() == "x" + "😀" * (PREFIX_BYTES // 4 - 1)


@pytest.mark.parametrize("encoding", ["utf-99", "base64", "rot13"])
def test_an_encoding_that_is_none_of_text_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(InputError) as error:
        ByteInput(write(tmp_path / "calls.csv", b"YQ=="), encoding)
    assert str(error.value) == f"--encoding: no encoding is named '{encoding}'"


BROKEN = [
    ("utf-16-le", b"\x00\xd8"),  # half a pair
    ("utf-16-be", b"\xdc\x00"),
    ("utf-32-le", b"\xff\xff\xff\xff"),
    ("gb18030", b"\xff"),
    ("shift_jis", b"\x81"),
    ("cp1252", b"\x81"),
]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(("encoding", "bad"), BROKEN)
def test_bytes_that_are_not_in_the_encoding_harm_only_their_line(
    encoding: str, bad: bytes, size: int
) -> None:
    before, after = "text\na".encode(encoding), "\nb\n".encode(encoding)
    data = RawBlocks(before + bad + after, size, encoding)
    lines = b"".join(data.blocks()).split(b"\n")
    assert (lines[0], lines[2:]) == (b"text", [b"b", b""])
    with pytest.raises(UnicodeDecodeError):
        lines[1].decode()


def test_a_file_that_ends_within_a_character_ends_with_a_bad_line(tmp_path: Path) -> None:
    name = write(tmp_path / "calls.csv", "text\na".encode("utf-16")[:-1])
    *lines, last = b"".join(ByteInput(name).blocks()).split(b"\n")
    assert lines == [b"text"]
    with pytest.raises(UnicodeDecodeError):
        last.decode()


MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("content", ["", "a", "é😀\n"])
@pytest.mark.parametrize("encoding", MARKS)
def test_a_byte_order_mark_tells_the_encoding(encoding: str, content: str, size: int) -> None:
    data = RawBlocks(MARKS[encoding] + content.encode(encoding), size, None)
    assert b"".join(data.blocks()).decode() == content
    assert (data.encoding, data.mark) == (encoding, 3)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_an_encoding_in_two_orders_needs_a_mark(encoding: str) -> None:
    with pytest.raises(InputError) as error:
        list(RawBlocks(b"text\n", 10, encoding).blocks())
    assert str(error.value) == (
        f"<stdin>: no byte order mark tells which {encoding} it is. "
        f"Say --encoding {encoding}-le or {encoding}-be"
    )


def test_the_encoding_that_is_given_counts_more_than_the_mark() -> None:
    data = RawBlocks(codecs.BOM_UTF16_LE + b"a", 10, "latin-1")
    assert b"".join(data.blocks()).decode() == "ÿþa"
    assert (data.encoding, data.mark) == ("iso8859-1", 0)


def test_stdin_gives_its_bytes_once_though_its_prefix_was_looked_at() -> None:
    content = randbytes(PREFIX_BYTES + 2_000_000)
    code = (
        "import hashlib; from labelf_cli.sources.files import ByteInput\n"
        "data = ByteInput('-'); prefix = data.prefix()\n"
        "assert len(prefix.content) == len(data.prefix().content)\n"
        "print(data.name, data.size, prefix.is_whole)\n"
        "print(hashlib.sha256(b''.join(data.blocks())).hexdigest())"
    )
    expected = f"<stdin> None False\n{hashlib.sha256(content).hexdigest()}"
    assert run_with_stdin(code, content) == expected


def test_parquet_is_read_from_stdin() -> None:
    stream = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["a", None, "b"]}), stream)
    code = (
        "from labelf_cli.formats import Format\n"
        "from labelf_cli.sources.interface import ReadOptions\n"
        "from labelf_cli.sources.rejects import FailOnBadRows\n"
        "from labelf_cli.sources.table import Inputs\n"
        "table = Inputs(['-'], Format.PARQUET, ReadOptions(('text',), Format.CSV))\n"
        "print([batch.column(0).to_pylist() for batch in table.batches(FailOnBadRows())])"
    )
    assert run_with_stdin(code, stream.getvalue().to_pybytes()) == "[['a', None, 'b']]"
