"""Join the outputs of all shards of a run to the bytes of an unsharded one."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from labelf_cli.errors import InputError, OutputError, write_errors
from labelf_cli.formats import format_of
from labelf_cli.joining import Outputs, Turn, outputs_of, rejects_of
from labelf_cli.journal import difference
from labelf_cli.manifest import MANIFEST_SUFFIX, Digest, Manifest
from labelf_cli.shard import Shard
from labelf_cli.sinks.files import Output, open_place, remove_output
from labelf_cli.sources.files import expand
from labelf_cli.sources.rejects import REJECTS_SUFFIX
from labelf_cli.storage.location import Location
from labelf_cli.storage.names import InputName
from labelf_cli.storage.reading import concurrently, read_through
from labelf_cli.summary import Summary

_AGAIN = "Run the command that makes it again"
_ANEW = "A manifest is not as it was written: run all shards again"
_MEND = "Mend that and run the same command again"


@dataclass(frozen=True)
class MergeSettings:
    """What is joined.

    Attributes:
        shards: outputs of shards, files or URIs, or globs.
        output: the whole table.
        rejects: file of all rejected rows; None for the output's name with a suffix.
        report: file that the summary is to be written to afterwards; None for none.
    """

    shards: tuple[str, ...]
    output: Path | Location
    rejects: Path | Location | None = None
    report: Path | None = None

    @property
    def place(self) -> Location:
        """Where the whole table goes."""
        return Location.of(self.output)

    @property
    def rejects_file(self) -> Location:
        """Where rejected rows go."""
        return Location.of(self.rejects) if self.rejects else self.place.suffixed(REJECTS_SUFFIX)

    @property
    def written(self) -> dict[str, Location]:
        """The files that are written, by the option that names each."""
        report = {"--report": Location.of(self.report)} if self.report else {}
        return {"-o": self.place, "--rejects": self.rejects_file, **report}


@dataclass(frozen=True)
class _Finished:
    """A shard: its output and what its manifest says."""

    name: InputName
    its: Manifest

    @property
    def rejects(self) -> InputName | None:
        """Its file of rejected rows."""
        rejected = self.its.rejected
        return None if not rejected or not rejected.file else self.name.named(rejected.file)

    @property
    def files(self) -> list[InputName]:
        """All that belong to it."""
        return [self.name, self.name.suffixed(MANIFEST_SUFFIX), *filter(None, [self.rejects])]


class _Joint(NamedTuple):
    """A file that is made of those of the shards.

    Attributes:
        place: of it.
        option: that named it.
        outputs: of the shards.
        turns: in which their rows come.
    """

    place: Location
    option: str
    outputs: Outputs
    turns: Iterable[Turn]


def merge(settings: MergeSettings) -> Summary:
    """Check that all shards are there, and join them.

    Raises:
        InputError: one is missing, there twice, of another run, or not as it was written.
        OutputError: the output can't be written to.
        BadRowError: a shard can't be read to its end.
        WriteError: the output can't be written to its end.
    """
    names = _names(settings.shards)
    found = concurrently(Manifest.read, names)
    shards = [_Finished(name, its) for name, its in zip(names, found, strict=True)]
    _require_one_run(shards)
    _require_all(shards)
    _require_output(settings, shards)
    _require_unchanged(shards)
    rejects = _rejects(settings, shards)
    _join([_table(settings, shards), *rejects])
    if not rejects and shards[0].its.rejected:
        _remove_rejects(settings)
    return sum((shard.its.summary for shard in shards), Summary())


def _names(patterns: Sequence[str]) -> list[InputName]:
    """The outputs; what stands beside them may match a glob, too."""
    names = dict.fromkeys(map(InputName.of, expand(patterns)))
    outputs = [
        name
        for name in names
        if not name.endswith(MANIFEST_SUFFIX)
        and not (name.endswith(REJECTS_SUFFIX) and name.removesuffix(REJECTS_SUFFIX) in names)
    ]
    if not outputs:
        raise InputError(
            "no shard is named, only what stands beside one",
            where=next(iter(names)),
            todo="Give the outputs that --shard has written",
        )
    return outputs


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


def _require_output(settings: MergeSettings, shards: Sequence[_Finished]) -> None:
    """Refuse an output of another format, and one that would replace what is read, or another."""
    format_, place = shards[0].its.format, settings.place
    if format_of(place.name) not in (None, format_):
        raise OutputError(f"the shards are {format_}", where=place, todo="Name it so")
    taken = {name.identity: "one of the shards" for shard in shards for name in shard.files}
    for option, its in settings.written.items():
        if its.is_folder:
            raise OutputError("a folder", where=its, todo=f"Name a file with {option}")
        if what := taken.get(its.identity):
            raise OutputError(f"it is {what}", where=its, todo=f"Choose another {option}")
        taken[its.identity] = "another output"


def _require_unchanged(shards: Sequence[_Finished]) -> None:
    """Refuse files that are not as they were written."""
    written = {shard.name: shard.its.output for shard in shards}
    for shard in shards:
        if shard.rejects and shard.its.rejected:
            written[shard.rejects] = shard.its.rejected.digest
    for name, digest in zip(written, concurrently(_digest, written), strict=True):
        if digest != written[name]:
            raise InputError("it has changed since it was written", where=name, todo=_AGAIN)


def _digest(name: InputName) -> Digest:
    try:
        with read_through(name) as file:
            return Digest.of(file)
    except OSError as error:
        raise InputError(
            f"can't be read ({error.strerror})",
            where=name,
            todo=_AGAIN if isinstance(error, FileNotFoundError) else _MEND,
        ) from None


def _table(settings: MergeSettings, shards: Sequence[_Finished]) -> _Joint:
    its = shards[0].its
    outputs = outputs_of([shard.name for shard in shards], its.format, its.schema)
    return _Joint(settings.place, "-o", outputs, _turns(shards))


def _turns(shards: Sequence[_Finished]) -> Iterator[Turn]:
    """Whose rows come next: those of all shards make the rows of the input, each once."""
    found = sorted((rows, at) for at, shard in enumerate(shards) for rows in shard.its.stretches)
    end = 0
    for rows, at in found:
        if rows.first_row != end:
            row = min(end, rows.first_row) + 1
            raise InputError(f"no shard, or more than one, has row {row}", todo=_ANEW)
        end += rows.rows
        yield Turn(at, rows.written)
    if end != shards[0].its.input_rows:
        raise InputError(f"no shard has row {end + 1}", todo=_ANEW)


def _rejects(settings: MergeSettings, shards: Sequence[_Finished]) -> list[_Joint]:
    """The file of rejected rows; without a rejected row there is none."""
    files = [(shard.rejects, shard.its.rejected) for shard in shards]
    having = [(name, rejected) for name, rejected in files if name and rejected]
    if not having:
        return []
    units = sorted(
        (first, at, count)
        for at, (_, rejected) in enumerate(having)
        for first, count in rejected.by_unit
    )
    turns = (Turn(at, count) for _, at, count in units)
    outputs = rejects_of([name for name, _ in having])
    return [_Joint(settings.rejects_file, "--rejects", outputs, turns)]


def _join(joints: Sequence[_Joint]) -> None:
    """Write all files, then let them be seen, the first of them last."""
    with ExitStack() as opened:
        outputs = [(joint, opened.enter_context(_opened(joint))) for joint in joints]
        for joint, output in outputs:
            with write_errors(joint.place):
                joint.outputs.join(joint.turns, output.stream)
        for joint, output in reversed(outputs):
            with write_errors(joint.place):
                output.publish()


@contextmanager
def _opened(joint: _Joint) -> Iterator[Output]:
    """Where a file is written to, which is discarded in the end if it is not published."""
    with write_errors(joint.place):
        output = open_place(joint.place, joint.place.open(joint.option), joint.option)
        try:
            yield output
        finally:
            output.discard()


def _remove_rejects(settings: MergeSettings) -> None:
    """Remove the file of rejected rows that an earlier command has left."""
    place = settings.rejects_file
    with write_errors(place):
        remove_output(place, place.open("--rejects"))
