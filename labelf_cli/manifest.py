"""What stands beside the output of a shard: enough to join the shards of a run to one table."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import pyarrow as pa

from labelf_cli.errors import InputError
from labelf_cli.formats import Format
from labelf_cli.journal import Entry, Fingerprint, size_and_sha256
from labelf_cli.shard import Shard
from labelf_cli.summary import Summary

MANIFEST_SUFFIX = ".shard.json"
_OF_THE_MACHINE = ("name", "modified")
"""What tells inputs apart on one machine; a copy on another has the same rows without it."""


class Stretch(NamedTuple):
    """Consecutive rows.

    Attributes:
        first_row: position of the first among the input's good rows, from 0.
        rows: how many of them there are.
        written: rows of the output, which differ in number in the long layout.
    """

    first_row: int
    rows: int
    written: int


@dataclass(frozen=True)
class Digest:
    """A file as it was written."""

    size: int
    sha256: str

    @classmethod
    def of(cls, file: IO[bytes]) -> Self:
        """Read it."""
        return cls(*size_and_sha256(file))


@dataclass(frozen=True)
class Rejected:
    """The bad rows, of which each shard writes down those in its units.

    Attributes:
        file: name of the shard's, beside its output or absolute; None if it has none.
        digest: of that file.
        by_unit: position of a unit's first row, and how many were written down there; in order.
        in_all: how many the run's input has.
    """

    file: str | None
    digest: Digest
    by_unit: tuple[tuple[int, int], ...]
    in_all: int

    @classmethod
    def of(cls, path: Path, output: Path, by_unit: Mapping[int, int], in_all: int) -> Self:
        """Those of a shard, whose file is there if there are any."""
        units = tuple(sorted(by_unit.items()))
        if not units:
            return cls(None, Digest.of(BytesIO()), (), in_all)
        is_beside = path.resolve().parent == output.resolve().parent
        with path.open("rb") as file:
            return cls(
                path.name if is_beside else str(path.resolve()), Digest.of(file), units, in_all
            )


@dataclass(frozen=True)
class Manifest:
    """One shard, finished.

    Attributes:
        shard: which it is.
        fingerprint: of the run, the shard left out.
        format: of the output.
        schema: of the output, as Arrow serialises it.
        stretches: the rows, in order.
        input_rows: how many good rows the whole input has.
        output: the output, as it was written.
        rejected: the bad rows; None where they end the run.
        summary: what happened to the shard's rows.
    """

    shard: Shard
    fingerprint: Fingerprint
    format: Format
    schema: pa.Schema
    stretches: tuple[Stretch, ...]
    input_rows: int
    output: Digest
    rejected: Rejected | None
    summary: Summary

    @staticmethod
    def beside(output: Path | str) -> Path:
        """The manifest's file."""
        return Path(f"{output}{MANIFEST_SUFFIX}")

    def to_bytes(self) -> bytes:
        """The manifest's file."""
        record = vars(self) | {
            "shard": asdict(self.shard),
            "output": asdict(self.output),
            "schema": base64.b64encode(self.schema.serialize()).decode(),
            "rejected": None if self.rejected is None else asdict(self.rejected),
            "summary": self.summary.to_record(),
        }
        return json.dumps(record, ensure_ascii=False, indent=1).encode() + b"\n"

    @classmethod
    def read(cls, output: str) -> Self:
        """The manifest beside an output.

        Raises:
            InputError: there is none, or it can't be read.
        """
        path = cls.beside(output)
        try:
            return cls._of(json.loads(path.read_bytes()))
        except FileNotFoundError:
            raise InputError(
                f"no {path.name} stands beside it, so it is no shard, or not finished",
                where=output,
                todo="Run the command that makes it again",
            ) from None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException):
            raise InputError(
                "can't be read", where=path, todo="Run the command that makes it again"
            ) from None

    @classmethod
    def _of(cls, record: dict[str, Any]) -> Self:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(record["schema"])))
        rejected = record["rejected"]
        if rejected is not None:
            by_unit = tuple((int(first), int(count)) for first, count in rejected["by_unit"])
            digest = Digest(**rejected["digest"])
            rejected = Rejected(**rejected | {"digest": digest, "by_unit": by_unit})
        return cls(
            **record
            | {
                "shard": Shard(**record["shard"]),
                "format": Format(record["format"]),
                "schema": schema,
                "stretches": tuple(Stretch(*its) for its in record["stretches"]),
                "output": Digest(**record["output"]),
                "rejected": rejected,
                "summary": Summary.from_record(record["summary"]),
            }
        )

    @property
    def run(self) -> dict[str, Any]:
        """What the shards of one run have in common, on whatever machine each of them ran."""
        inputs = [
            {key: value for key, value in its.items() if key not in _OF_THE_MACHINE}
            for its in self.fingerprint.get("inputs", ())
        ]
        rejects = None if self.rejected is None else self.rejected.in_all
        return {
            **self.fingerprint,
            "inputs": inputs,
            "shards": self.shard.count,
            "format": self.format,
            "rows": self.input_rows,
            "rejected rows": rejects,
        }


def stretches_of(entries: Iterable[Entry]) -> tuple[Stretch, ...]:
    """The rows of some parts; parts that meet make one stretch."""
    found: list[Stretch] = []
    for entry in sorted(entries, key=lambda entry: entry.first_row):
        start, rows, written = entry.first_row, entry.rows, entry.written
        if found and found[-1].first_row + found[-1].rows == start:
            before = found.pop()
            start, rows, written = before.first_row, before.rows + rows, before.written + written
        found.append(Stretch(start, rows, written))
    return tuple(found)


def of_run(fingerprint: Mapping[str, Any]) -> Fingerprint:
    """A shard's fingerprint without the shard."""
    return {key: value for key, value in fingerprint.items() if key != "shard"}
