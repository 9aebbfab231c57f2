"""What decides a run, as a user asks for it, and what of it can't be had together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labelf_cli.config import Config
from labelf_cli.errors import OutputError, UsageError
from labelf_cli.formats import Format, Layout, format_of
from labelf_cli.manifest import MANIFEST_SUFFIX
from labelf_cli.shard import Shard
from labelf_cli.sinks.destination import PART_ROWS
from labelf_cli.sinks.files import is_stream
from labelf_cli.sources.files import STDIN
from labelf_cli.sources.rejects import REJECTS_SUFFIX, BadRowPolicy, MaxRejects
from labelf_cli.storage.location import Location
from labelf_cli.storage.names import InputName

CHUNK_ROWS = 4096

_SAY_REJECTS = "Name a file for them with --rejects"


@dataclass(frozen=True)
class RunSettings:
    """All that decides a run.

    Attributes:
        config: the models.
        inputs: files, folders, globs, URIs or ``-``.
        output: a file or a folder, None for stdout.
        text_columns: what is classified; empty for what the config says.
        input_format, output_format: None for what the names say.
        delimiter: of CSV inputs; None for the format's own.
        encoding: of text inputs; None for what their byte order marks say.
        header: whether the first record of a CSV input names its columns.
        layout, separator: of the output's columns.
        threads: size of the pool.
        chunk_rows: most rows that are classified together.
        limit: stop after this many rows; None for all.
        cache: file that keeps logits across runs; None for none.
        max_requests: most requests to services; None for no bound.
        bad_rows: what becomes of rows that can't be read.
        max_rejects: so many of them may be rejected; None for any number.
        rejects: file of the rejected ones; None for the output's name with a suffix.
        report: file that the summary is to be written to afterwards; None for none.
        restart: whether to throw away what an earlier run with other settings has left.
        shard: the part of the rows that is answered; None for all.
        part_seconds: about how much work a crash may cost.
        part_rows: rows of each file of a folder but the last.
        partition_by: columns that the names of folders in the output's folder tell.
    """

    config: Config
    inputs: tuple[str, ...]
    threads: int
    output: Path | Location | None = None
    text_columns: tuple[str, ...] = ()
    input_format: Format | None = None
    output_format: Format | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True
    layout: Layout = Layout.WIDE
    separator: str = "."
    chunk_rows: int = CHUNK_ROWS
    limit: int | None = None
    cache: Path | None = None
    max_requests: int | None = None
    bad_rows: BadRowPolicy = BadRowPolicy.FAIL
    max_rejects: MaxRejects | None = None
    rejects: Path | Location | None = None
    report: Path | None = None
    restart: bool = False
    shard: Shard | None = None
    part_seconds: float = 1.0
    part_rows: int = PART_ROWS
    partition_by: tuple[str, ...] = ()

    @property
    def place(self) -> Location | None:
        """Where the output goes; None for stdout."""
        return None if self.output is None else Location.of(self.output)

    @property
    def rejects_file(self) -> Location:
        """Where rejected rows go.

        Raises:
            OutputError: there is no file beside which they could go, they would overwrite one, or
                a folder is named.
        """
        place = self.place
        if self.rejects is not None:
            rejects = Location.of(self.rejects)
        elif place is None or is_stream(place):
            raise OutputError("there is no file to put rejected rows beside", todo=_SAY_REJECTS)
        else:
            rejects = place.suffixed(REJECTS_SUFFIX)
        if rejects.is_folder:
            raise OutputError("a folder", where=rejects, todo=_SAY_REJECTS)
        if place is not None and rejects.identity == place.identity:
            raise OutputError("the output and the rejected rows", where=rejects, todo=_SAY_REJECTS)
        return rejects


def check_settings(settings: RunSettings) -> None:
    """Refuse what can't be had together, before anything is opened.

    Raises:
        UsageError: it names the options.
    """
    check_rejects(settings)
    check_shard(settings)
    check_partitions(settings)


def check_rejects(settings: RunSettings) -> None:
    """Find out before the run whether it can keep rejected rows, if it is to.

    Raises:
        OutputError: there is no file for them.
        UsageError: they are to be kept or counted, but not to be rejected.
    """
    if settings.bad_rows is BadRowPolicy.REJECT:
        _ = settings.rejects_file
    elif settings.rejects or settings.max_rejects:
        raise UsageError("--rejects and --max-rejects are for --bad-rows reject")


def check_files(settings: RunSettings, names: Sequence[str]) -> None:
    """Refuse to write over an input, or over another file of the run.

    The table may take the place of its input, unless other shards read that, too.

    Args:
        settings: of the run.
        names: of the inputs.

    Raises:
        OutputError: two of them are the same.
    """
    taken = {InputName.of(name).identity: "an input" for name in names if name != STDIN}
    if settings.place is not None and settings.shard is None:
        taken.pop(settings.place.identity, None)
    for option, its in _written(settings):
        if is_stream(its):
            continue
        if what := taken.get(its.identity):
            raise OutputError(
                f"it is {what} of this run", where=its, todo=f"Choose another {option}"
            )
        taken[its.identity] = "another output"


def _written(settings: RunSettings) -> Iterator[tuple[str, Location]]:
    """The files of a run, each with the option that names it."""
    place = settings.place
    if place is not None:
        yield "-o", place
    if place is not None and settings.shard is not None:
        yield "-o", place.suffixed(MANIFEST_SUFFIX)
    if settings.bad_rows is BadRowPolicy.REJECT:
        yield "--rejects", settings.rejects_file
    if settings.report is not None:
        yield "--report", Location.of(settings.report)


def check_shard(settings: RunSettings) -> None:
    """Refuse to make a shard that could not be joined to others.

    Raises:
        UsageError: they can't read its input, too, no file stands where its manifest could, or its
            rejects would not be found from there.
    """
    if settings.shard is None:
        return
    if STDIN in settings.inputs:
        raise UsageError("every shard reads the input", where="--shard", todo="Name a file")
    place = settings.place
    if place is None or is_stream(place) or place.is_folder:
        raise UsageError(
            "there is no file to put its manifest beside", where="--shard", todo="Name one with -o"
        )
    if settings.bad_rows is BadRowPolicy.FAIL:
        return
    rejects = settings.rejects_file
    if is_stream(rejects) or not rejects.is_on_disk_of(place):
        raise UsageError(
            "labelf merge would not find a shard's rejected rows there",
            where=rejects,
            todo="Name a file on the disk, or in the store, of -o",
        )


def check_partitions(settings: RunSettings) -> None:
    """Refuse to partition what is no folder.

    Raises:
        UsageError: it is none.
    """
    if settings.partition_by and not (settings.place and settings.place.is_folder):
        raise UsageError(
            "only a folder has partitions",
            where="--partition-by",
            todo="Name one with -o, such as -o labelled/",
        )


def format_written(settings: RunSettings) -> Format | None:
    """What ``--output-format`` or the output's name says; a folder is of Parquet files."""
    place, given = settings.place, settings.output_format
    if place is None or not place.is_folder:
        return given or (None if place is None else format_of(place.name))
    if given not in (None, Format.PARQUET):
        raise OutputError(
            f"a folder holds Parquet files, not {given}", where=place, todo="Name a file with -o"
        )
    return Format.PARQUET
