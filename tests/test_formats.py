"""What a file's name tells about its format and its compression."""

import pyarrow as pa
import pytest

from labelf_cli.formats import Format, Layout, compression_of, format_of


@pytest.mark.parametrize(
    ("name", "format_", "compression"),
    [
        ("a.csv", Format.CSV, None),
        ("a.tsv", Format.TSV, None),
        ("a.jsonl", Format.JSONL, None),
        ("a.ndjson", Format.JSONL, None),
        ("a.parquet", Format.PARQUET, None),
        ("a.pq", Format.PARQUET, None),
        ("A.CSV", Format.CSV, None),
        ("a.gz/of 2024.01.csv", Format.CSV, None),
        ("a.csv.gz", Format.CSV, "gzip"),
        ("a.ndjson.zst", Format.JSONL, "zstd"),
        ("A.TSV.GZ", Format.TSV, "gzip"),
        ("a.gz", None, "gzip"),
        ("a.csv.bak", None, None),
        ("a.csv/b", None, None),
        ("csv", None, None),
        ("-", None, None),
    ],
)
def test_the_suffixes_tell_format_and_compression(
    name: str, format_: Format | None, compression: str | None
) -> None:
    assert (format_of(name), compression_of(name)) == (format_, compression)


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_arrow_knows_the_compression_by_its_name(suffix: str) -> None:
    assert pa.Codec.is_available(compression_of(f"a.csv.{suffix}"))


def test_csv_is_separated_by_commas_and_tsv_by_tabs() -> None:
    assert (Format.CSV.delimiter, Format.TSV.delimiter) == (",", "\t")


def test_formats_and_layouts_go_by_the_words_of_the_command_line() -> None:
    assert [str(format_) for format_ in Format] == ["csv", "tsv", "jsonl", "parquet"]
    assert [str(layout) for layout in Layout] == ["wide", "nested", "long"]
