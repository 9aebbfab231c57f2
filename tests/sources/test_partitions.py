"""Partitioned tables: what folders say becomes columns of text."""

from pathlib import Path

import pyarrow as pa
import pytest
from test_run import write_table

from labelf_cli.errors import InputError
from labelf_cli.formats import Format
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.rejects import FailOnBadRows
from labelf_cli.sources.table import Inputs, input_format


def read(folder: Path, output: Format = Format.PARQUET) -> pa.Table:
    names, format_ = input_format([str(folder)], None)
    source = Inputs(names, format_, ReadOptions(("text",), output))
    table = pa.Table.from_batches(list(source.batches(FailOnBadRows())))
    assert table.schema.names[:-1] == source.schema.names
    return table


def write(folder: Path, *partitions: str, suffix: str = "csv", text: str = "text") -> None:
    for partition in partitions:
        (folder / partition).mkdir(parents=True, exist_ok=True)
        row = {"id": "1", "text": text}
        write_table(folder / partition / f"part.{suffix}", [row])


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_keys_are_the_last_columns_and_values_are_decoded(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, "day=007/at=a%2Fb", "day=8/at=__HIVE_DEFAULT_PARTITION__", suffix=suffix)
    table = read(tmp_path)
    assert table.schema.names == ["id", "text", "day", "at", "labelf.text"]
    assert table.column("day").to_pylist() == ["007", "8"]
    assert table.column("at").to_pylist() == ["a/b", None]
    assert table.column("labelf.text").to_pylist() == ["text", "text"]


def test_json_objects_get_them_behind_their_own_text(tmp_path: Path) -> None:
    write(tmp_path, "day=7", suffix="jsonl")
    table = read(tmp_path, Format.JSONL)
    assert table.schema.names == ["labelf.object", "day", "labelf.text"]


def test_a_key_that_is_a_column_too_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "id=7")
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/id=7/part.csv: 'id' is a column of it and a folder that it lies in. "
        "Rename one of them, or name the files one by one"
    )


@pytest.mark.parametrize("other", ["at=1/day=7", "day=7", "day=7/at=1/more=2"])
def test_files_with_other_keys_are_refused(tmp_path: Path, other: str) -> None:
    write(tmp_path, "day=6/at=1", other)
    with pytest.raises(InputError, match=r"its columns \(.*\) differ from those of"):
        read(tmp_path)


def test_files_of_two_formats_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "day=6")
    write(tmp_path, "day=7", suffix="jsonl")
    with pytest.raises(InputError, match=r"jsonl, but .* is not"):
        read(tmp_path)
