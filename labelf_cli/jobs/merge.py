"""Join the outputs of all shards of a run to the bytes of an unsharded one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labelf_cli.errors import InputError, OutputError, WriteError
from labelf_cli.formats import format_of
from labelf_cli.joining import Outputs, Turn, beside, outputs_of, rejects_of
from labelf_cli.journal import difference
from labelf_cli.manifest import MANIFEST_SUFFIX, Digest, Manifest
from labelf_cli.shard import Shard
from labelf_cli.sinks.files import open_output
from labelf_cli.sources.files import expand
from labelf_cli.sources.rejects import REJECTS_SUFFIX
from labelf_cli.summary import Summary

_AGAIN = "Run the command that makes it again"


@dataclass(frozen=True)
class MergeSettings:
    """What is joined.

    Attributes:
        shards: outputs of shards, or globs.
        output: the whole table.
        rejects: file of all rejected rows; None for the output's name with a suffix.
    """

    shards: tuple[str, ...]
    output: Path
    rejects: Path | None = None

    @property
    def rejects_file(self) -> Path:
        """Where rejected rows go."""
        return self.rejects or Path(f"{self.output}{REJECTS_SUFFIX}")


@dataclass(frozen=True)
class _Finished:
    """A shard: its output and what its manifest says."""

    name: str
    its: Manifest

    @property
    def rejects(self) -> str | None:
        """Its file of rejected rows."""
        rejected = self.its.rejected
        return None if not rejected or not rejected.file else beside(self.name, rejected.file)


def merge(settings: MergeSettings) -> Summary:
    """Check that all shards are there, and join them.

    Raises:
        InputError: one is missing, there twice, of another run, or not as it was written.
        OutputError: the output can't be written to.
        WriteError: it can't be written to its end.
    """
    shards = [_Finished(name, Manifest.read(name)) for name in _names(settings.shards)]
    _require_one_run(shards)
    _require_all(shards)
    _require_unchanged(shards)
    _require_output(settings, shards)
    _join(_outputs(shards), _turns(shards), settings.output, "-o")
    _join_rejects(settings, shards)
    return sum((shard.its.summary for shard in shards), Summary())


def _names(patterns: Sequence[str]) -> list[str]:
    """The outputs; what stands beside them may match a glob, too."""
    names = dict.fromkeys(expand(patterns))
    return [
        name
        for name in names
        if not name.endswith(MANIFEST_SUFFIX)
        and not (name.endswith(REJECTS_SUFFIX) and name.removesuffix(REJECTS_SUFFIX) in names)
    ]


def _require_one_run(shards: Sequence[_Finished]) -> None:
    """Refuse a shard of another run than the first."""
    first, *others = shards
    for shard in others:
        if shard.its.run != first.its.run:
            found = difference(first.its.run, shard.its.run)
            raise InputError(
                f"it is of another run than {first.name}: {found}",
                where=shard.name,
                todo="Join shards of one run",
            )


def _require_all(shards: Sequence[_Finished]) -> None:
    """Refuse what lacks a shard or has one twice."""
    count = shards[0].its.shard.count
    there = Counter(shard.its.shard.number for shard in shards)
    faults = [
        f"shard {Shard(number, count)} is missing"
        for number in range(1, count + 1)
        if number not in there
    ]
    for number in sorted(number for number, times in there.items() if times > 1):
        names = [shard.name for shard in shards if shard.its.shard.number == number]
        faults.append(
            f"shard {Shard(number, count)} is there {len(names)} times: {', '.join(names)}"
        )
    if faults:
        raise InputError(
            "; ".join(faults), todo=f"Give the outputs of all {count} shards, each once"
        )


def _require_unchanged(shards: Sequence[_Finished]) -> None:
    """Refuse files that are not as they were written."""
    for shard in shards:
        files = {shard.name: shard.its.output}
        if shard.rejects and shard.its.rejected:
            files[shard.rejects] = shard.its.rejected.digest
        for name, digest in files.items():
            try:
                with Path(name).open("rb") as file:
                    is_same = Digest.of(file) == digest
            except OSError as error:
                raise InputError(
                    f"can't be read ({error.strerror})", where=name, todo=_AGAIN
                ) from None
            if not is_same:
                raise InputError("it has changed since it was written", where=name, todo=_AGAIN)


def _require_output(settings: MergeSettings, shards: Sequence[_Finished]) -> None:
    """Refuse an output of another format, and one that would replace a shard."""
    format_ = shards[0].its.format
    if format_of(settings.output.name) not in (None, format_):
        raise OutputError(f"the shards are {format_}", where=settings.output, todo="Name it so")
    taken = {Path(name).resolve() for its in shards for name in (its.name, its.rejects) if name}
    for path in (settings.output, settings.rejects_file):
        if path.resolve() in taken:
            raise OutputError("it is one of the shards", where=path, todo="Choose another -o")


def _outputs(shards: Sequence[_Finished]) -> Outputs:
    its = shards[0].its
    return outputs_of([shard.name for shard in shards], its.format, its.schema)


def _turns(shards: Sequence[_Finished]) -> Iterator[Turn]:
    """Whose rows come next: those of all shards make the rows of the input, each once."""
    found = sorted((rows, at) for at, shard in enumerate(shards) for rows in shard.its.stretches)
    end = 0
    for rows, at in found:
        if rows.first_row != end:
            raise InputError(f"no shard, or more than one, has row {min(end, rows.first_row) + 1}")
        end += rows.rows
        yield Turn(at, rows.written)
    if end != shards[0].its.input_rows:
        raise InputError(f"no shard has row {end + 1}")


def _join(outputs: Outputs, turns: Iterator[Turn], path: Path, option: str) -> None:
    output = open_output(path, option)
    try:
        outputs.join(turns, output.stream)
        output.publish()
    except OSError as error:
        raise WriteError(
            f"can't be written ({error.strerror or error})",
            where=path,
            todo="Mend that and run the same command again",
        ) from error
    finally:
        output.discard()


def _join_rejects(settings: MergeSettings, shards: Sequence[_Finished]) -> None:
    """Join the files of rejected rows; without a rejected row there is none."""
    having = [shard for shard in shards if shard.rejects and shard.its.rejected]
    if not having:
        if shards[0].its.rejected is not None:
            settings.rejects_file.unlink(missing_ok=True)
        return
    units = sorted(
        (first, at, count)
        for at, shard in enumerate(having)
        for first, count in (shard.its.rejected.by_unit if shard.its.rejected else ())
    )
    turns = (Turn(at, count) for _, at, count in units)
    names = [shard.rejects or "" for shard in having]
    _join(rejects_of(names), turns, settings.rejects_file, "--rejects")
