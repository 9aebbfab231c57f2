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
from labelf_cli.storage.reading import concurrently


class Inputs(Source):
    """Several inputs with the same columns, one after the other.

    Attributes:
        sources: each of them.
        inferred: the columns that all inputs of JSON Lines together have; None for other formats.
    """

    def __init__(self, names: Sequence[str], format_: Format, options: ReadOptions) -> None:
        """Open them all and compare their columns.

        Raises:
            InputError: one can't be read, or its columns differ from those of the first.
        """
        data = list(concurrently(lambda name: ByteInput(name, options.encoding), names))
        self.inferred = (
            infer_schema(data, options.output_format) if format_ is Format.JSONL else None
        )
        self.sources = list(
            concurrently(lambda one: _open(one, format_, options, self.inferred), data)
        )
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

    def batches(
        self,
        bad_rows: BadRows,
        bookmark: int | None = None,  # noqa: ARG002
    ) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``; there are bookmarks in each of them only."""
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


def open_input(
    name: str, format_: Format, options: ReadOptions, inferred: pa.Schema | None
) -> Source:
    """One of several inputs that ``Inputs`` has found to go together.

    Raises:
        InputError: it can't be read.
    """
    return _open(ByteInput(name, options.encoding), format_, options, inferred)


def _open(
    data: ByteInput, format_: Format, options: ReadOptions, inferred: pa.Schema | None
) -> Source:
    source = _open_file(data, format_, options, inferred)
    return Partitioned(source, data.partitions, data.name) if data.partitions else source


def _open_file(
    data: ByteInput, format_: Format, options: ReadOptions, inferred: pa.Schema | None
) -> Source:
    if format_ is Format.PARQUET:
        return ParquetSource(data, options)
    if inferred is not None:
        return JsonlSource(data, options, inferred)
    return CsvSource(data, format_, options)


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
