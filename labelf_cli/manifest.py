"""What stands beside the output of a shard: enough to join the shards of a run to one table."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import PurePath
from typing import IO, Any, NamedTuple, Self

import pyarrow as pa

from labelf_cli.errors import InputError
from labelf_cli.formats import Format
from labelf_cli.journal import Entry, Fingerprint, size_and_sha256
from labelf_cli.shard import Shard
from labelf_cli.storage.interface import Storage
from labelf_cli.storage.location import Location
from labelf_cli.storage.names import InputName
from labelf_cli.storage.reading import read_through
from labelf_cli.summary import Summary

MANIFEST_SUFFIX = ".shard.json"
_AGAIN = "Run the command that makes it again"
_MEND = "Mend that and run the same command again"
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
        file: name of the shard's, beside its output or by its path on the same disk or in the same
            store; None if it has none.
        digest: of that file.
        by_unit: position of a unit's first row, and how many were written down there; in order.
        in_all: how many the run's input has.
    """

    file: str | None
    digest: Digest
    by_unit: tuple[tuple[int, int], ...]
    in_all: int

    @classmethod
    def of(
        cls,
        rejects: Location,
        output: Location,
        disk: Storage,
        by_unit: Mapping[int, int],
        in_all: int,
    ) -> Self:
        """Those of a shard, whose file is there if there are any, on the disk of the output."""
        units = tuple(sorted(by_unit.items()))
        if not units:
            return cls(None, Digest.of(BytesIO()), (), in_all)
        with disk.open(rejects.path) as file:
            return cls(rejects.named_from(output), Digest.of(file), units, in_all)


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
    def read(cls, output: InputName) -> Self:
        """The manifest beside an output.

        Raises:
            InputError: there is none, or it can't be read.
        """
        name = output.suffixed(MANIFEST_SUFFIX)
        try:
            with read_through(name) as file:
                return cls._of(json.loads(file.read()))
        except FileNotFoundError:
            raise InputError(
                f"no {PurePath(name).name} stands beside it, so it is no shard, or not finished",
                where=output,
                todo=_AGAIN,
            ) from None
        except OSError as error:
            raise InputError(f"can't be read ({error.strerror})", where=name, todo=_MEND) from None
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
            pa.ArrowException,
        ):
            raise InputError("can't be read", where=name, todo=_AGAIN) from None

    @classmethod
    def _of(cls, record: dict[str, Any]) -> Self:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(record["schema"])))
        rejected = record["rejected"]
        if rejected is not None:
            by_unit = tuple((int(first), int(count)) for first, count in rejected["by_unit"])
            read = {"digest": Digest(**rejected["digest"]), "by_unit": by_unit}
            file = rejected["file"] and str(rejected["file"])
            rejected = Rejected(**rejected | read | {"file": file})
        its = cls(
            **record
            | {
                "shard": Shard(**record["shard"]),
                "format": Format(record["format"]),
                "schema": schema,
                "stretches": tuple(Stretch(*map(int, rows)) for rows in record["stretches"]),
                "output": Digest(**record["output"]),
                "rejected": rejected,
                "summary": Summary() + Summary.from_record(record["summary"]),
            }
        )
        _ = its.run  # fails where the fingerprint is none
        return its

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
