"""The table formats and layouts, and how a file's name tells its format and compression."""

from enum import StrEnum
from pathlib import PurePath


class Format(StrEnum):
    """A table format that can be read and written."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"

    @property
    def delimiter(self) -> str:
        """What separates fields, where the user does not say."""
        return "\t" if self is Format.TSV else ","


class Layout(StrEnum):
    """How answers stand beside the input's columns."""

    WIDE = "wide"
    NESTED = "nested"
    LONG = "long"


class Engine(StrEnum):
    """Where texts are classified."""

    LOCAL = "local"
    RAY = "ray"


_FORMATS = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def compression_of(name: str) -> str | None:
    """Compression by suffix, as Arrow names it; None for none."""
    return _COMPRESSIONS.get(PurePath(name).suffix.lower())


def format_of(name: str) -> Format | None:
    """Format by suffix, a compression's suffix aside; None where it tells nothing."""
    path = PurePath(name)
    if compression_of(name):
        path = path.with_suffix("")
    return _FORMATS.get(path.suffix.lower())
