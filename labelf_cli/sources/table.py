"""All inputs of a run as one table."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from labelf_cli.errors import InputError
from labelf_cli.formats import Format, format_of
from labelf_cli.sources.csv import CsvSource
from labelf_cli.sources.files import STDIN, ByteInput, expand
from labelf_cli.sources.interface import ReadOptions, Source
from labelf_cli.sources.jsonl import JsonlSource, infer_schema
from labelf_cli.sources.parquet import ParquetSource
from labelf_cli.sources.partitions import Partitioned
from labelf_cli.sources.rejects import BadRows


class Inputs(Source):
    """Several inputs with the same columns, one after the other.

    Attributes:
        sources: each of them.
    """

    def __init__(self, names: Sequence[str], format_: Format, options: ReadOptions) -> None:
        """Open them all and compare their columns.

        Raises:
            InputError: one can't be read, or its columns differ from those of the first.
        """
        data = [ByteInput(name, options.encoding) for name in names]
        self.sources: Sequence[Source] = _open(data, format_, options)
        first = self.sources[0]
        self.schema, self.names = first.schema, first.names
        for name, source in zip(names, self.sources, strict=True):
            if not source.schema.equals(self.schema):
                its, others = _shown(source), _shown(first)
                raise InputError(
                    f"its columns ({its}) differ from those of {names[0]} ({others})",
                    where=name,
                    todo="Classify them in two runs",
                )

    @property
    def size(self) -> int | None:
        """See ``Source.size``."""
        sizes = [source.size for source in self.sources]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def position(self) -> int:
        """See ``Source.position``."""
        return sum(source.position for source in self.sources)

    def batches(self, bad_rows: BadRows) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        for source in self.sources:
            for batch in source.batches(bad_rows):
                bad_rows.read(batch.num_rows)
                yield batch


def _shown(source: Source) -> str:
    """Columns with the types that are not text."""
    return ", ".join(
        field.name if pa.types.is_string(field.type) else f"{field.name} {field.type}"
        for field in source.schema
    )


def _open(data: list[ByteInput], format_: Format, options: ReadOptions) -> list[Source]:
    sources = _open_files(data, format_, options)
    return [
        Partitioned(source, one.partitions, one.name) if one.partitions else source
        for source, one in zip(sources, data, strict=True)
    ]


def _open_files(data: list[ByteInput], format_: Format, options: ReadOptions) -> Sequence[Source]:
    if format_ is Format.PARQUET:
        return [ParquetSource(one, options) for one in data]
    if format_ is Format.JSONL:
        schema = infer_schema(data, options.output_format)
        return [JsonlSource(one, options, schema) for one in data]
    return [CsvSource(one, format_, options) for one in data]


def input_format(patterns: Sequence[str], given: Format | None) -> tuple[list[str], Format]:
    """The inputs' names and their common format: as given, else by suffix; stdin is CSV.

    Raises:
        InputError: no such file, or the suffix does not tell, or two suffixes tell two formats.
    """
    names = expand(patterns)
    if given is not None:
        return names, given
    formats = {name: Format.CSV if name == STDIN else format_of(name) for name in names}
    for name, found in formats.items():
        if found is None:
            raise InputError("its name does not tell its format", where=name, todo=_SAY_FORMAT)
        if found is not formats[names[0]]:
            raise InputError(f"{found}, but {names[0]} is not", where=name, todo=_SAY_FORMAT)
    return names, formats[names[0]] or Format.CSV


_SAY_FORMAT = "Say --input-format csv, tsv, jsonl or parquet"
