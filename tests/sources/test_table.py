"""All inputs of a run as one table, and how their format is found."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelf_cli.chunk import recut
from labelf_cli.errors import BadRowError, InputError
from labelf_cli.formats import Format
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.rejects import FailOnBadRows
from labelf_cli.sources.table import Inputs, input_format

OPTIONS = ReadOptions(("text",), Format.CSV)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The same table of two rows in each format."""
    contents = {
        "a.csv": b"text,id\nx,1\ny,2\n",
        "a.tsv": b"text\tid\nx\t1\ny\t2\n",
        "a.jsonl": b'{"text": "x", "id": "1"}\n{"text": "y", "id": "2"}\n',
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    pq.write_table(pa.table({"text": ["x", "y"], "id": ["1", "2"]}), tmp_path / "a.parquet")
    return {name: str(tmp_path / name) for name in (*contents, "a.parquet")}


def make(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def columns(inputs: Inputs) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = pa.Table.from_batches(
        inputs.batches(FailOnBadRows())
    ).to_pydict()
    return found


@pytest.mark.parametrize("format_", list(Format))
def test_inputs_are_read_one_after_the_other(files: dict[str, str], format_: Format) -> None:
    inputs = Inputs([files[f"a.{format_}"]] * 2, format_, OPTIONS)
    texts = ["x", "y"] * 2
    assert columns(inputs) == {"text": texts, "id": ["1", "2"] * 2, "labelf.text": texts}


@pytest.mark.parametrize("format_", list(Format))
def test_the_position_ends_at_the_size_of_all(files: dict[str, str], format_: Format) -> None:
    inputs = Inputs([files[f"a.{format_}"]] * 3, format_, OPTIONS)
    assert inputs.position == 0
    list(inputs.batches(FailOnBadRows()))
    alone = Inputs([files[f"a.{format_}"]], format_, OPTIONS).size
    assert alone is not None
    assert inputs.position == inputs.size == alone * 3


@pytest.mark.parametrize("header", [b"id,text\n", b"text\n", b"text,id,more\n", b"text,Id\n"])
def test_inputs_with_other_columns_are_refused(
    tmp_path: Path, files: dict[str, str], header: bytes
) -> None:
    other = make(tmp_path / "b.csv", header)
    with pytest.raises(InputError) as error:
        Inputs([files["a.csv"], other], Format.CSV, OPTIONS)
    assert str(error.value) == (
        f"{other}: its columns ({header.decode().strip().replace(',', ', ')}) differ from those of "
        f"{files['a.csv']} (text, id). Classify them in two runs"
    )


def test_parquet_inputs_with_other_types_are_refused(tmp_path: Path, files: dict[str, str]) -> None:
    other = tmp_path / "b.parquet"
    pq.write_table(pa.table({"text": ["x"], "id": [1]}), other)
    with pytest.raises(InputError) as error:
        Inputs([files["a.parquet"], str(other)], Format.PARQUET, OPTIONS)
    assert str(error.value).startswith(f"{other}: its columns ")


def test_an_input_with_no_row_has_the_same_columns(tmp_path: Path, files: dict[str, str]) -> None:
    empty = make(tmp_path / "b.csv", b"text,id\n")
    inputs = Inputs([empty, files["a.csv"], empty], Format.CSV, OPTIONS)
    assert columns(inputs)["id"] == ["1", "2"]


def test_parquet_inputs_may_differ_in_their_metadata(tmp_path: Path, files: dict[str, str]) -> None:
    other = tmp_path / "b.parquet"
    table = pa.table({"text": ["z"], "id": ["3"]}, metadata={"origin": "elsewhere"})
    pq.write_table(table, other)
    inputs = Inputs([files["a.parquet"], str(other)], Format.PARQUET, OPTIONS)
    (batch,) = recut(inputs.batches(FailOnBadRows()), max_rows=10, max_bytes=100)
    assert batch.column("id").to_pylist() == ["1", "2", "3"]


@pytest.mark.parametrize("order", [1, -1])
def test_json_lines_inputs_share_columns_and_types(tmp_path: Path, order: int) -> None:
    number = make(tmp_path / "a.jsonl", b'{"text": "x", "v": 1}\n')
    word = make(tmp_path / "b.jsonl", b'{"text": "y", "v": "w", "more": true}\n')
    options = ReadOptions(("text",), Format.PARQUET)
    inputs = Inputs([number, word][::order], Format.JSONL, options)
    assert columns(inputs) == {
        "text": ["x", "y"][::order],
        "v": ["1", "w"][::order],
        "more": [None, True][::order],
        "labelf.text": ["x", "y"][::order],
    }


def test_a_bad_row_is_named_with_the_file_it_is_in(tmp_path: Path, files: dict[str, str]) -> None:
    bad = make(tmp_path / "b.csv", b"text,id\nx,1\ny\n")
    inputs = Inputs([files["a.csv"], bad], Format.CSV, OPTIONS)
    with pytest.raises(BadRowError) as error:
        list(inputs.batches(FailOnBadRows()))
    expected = f"{bad}, line 3: 1 fields where there should be 2. Correct the line"
    assert str(error.value) == f"{expected}, or run it again with --bad-rows reject"


def test_the_given_format_counts_more_than_suffixes(tmp_path: Path) -> None:
    names = [make(tmp_path / name, b"") for name in ("a.log", "b.csv")]
    assert input_format(names, Format.JSONL) == (names, Format.JSONL)


def test_the_matches_of_a_glob_are_the_inputs(tmp_path: Path) -> None:
    names = [make(tmp_path / f"{letter}.csv", b"") for letter in "ba"]
    assert input_format([f"{tmp_path}/*"], None) == (sorted(names), Format.CSV)


SAY_FORMAT = "Say --input-format csv, tsv, jsonl or parquet"


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz", "csv"])
def test_a_suffix_that_tells_nothing_is_refused(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / name, b"")
    with pytest.raises(InputError) as error:
        input_format([path], None)
    assert str(error.value) == f"{path}: its name does not tell its format. {SAY_FORMAT}"


def test_inputs_of_two_formats_are_refused(tmp_path: Path) -> None:
    first, second = (make(tmp_path / name, b"") for name in ("a.csv", "b.jsonl"))
    with pytest.raises(InputError) as error:
        input_format([first, second], None)
    assert str(error.value) == f"{second}: jsonl, but {first} is not. {SAY_FORMAT}"
