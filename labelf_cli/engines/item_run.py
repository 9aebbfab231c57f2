"""A run in items, as the one sees it that gives them out: what is planned, done and left."""

import hashlib
import json
from collections.abc import Callable
from pathlib import PurePath

from labelf_cli import fingerprint
from labelf_cli.engines.items import (
    PLAN,
    ItemFiles,
    ItemSettings,
    numbered_columns,
)
from labelf_cli.engines.plan import Plan
from labelf_cli.errors import OutputError, RunError
from labelf_cli.formats import Format
from labelf_cli.journal import Entry, Fingerprint, Journal
from labelf_cli.labeller import Labeller
from labelf_cli.run_settings import RunSettings, check_files
from labelf_cli.sinks.files import open_place, remove_output, written_whole
from labelf_cli.sinks.parquet_folder import ParquetFolder, Written
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.table import Inputs, input_format
from labelf_cli.storage.interface import Storage
from labelf_cli.storage.location import Location
from labelf_cli.storage.names import InputName
from labelf_cli.summary import Summary


class ItemJournal(Journal):
    """A journal whose parts stand in the output's folder already."""

    def __init__(self, files: ItemFiles, disk: Storage) -> None:
        """See ``Journal``."""
        super().__init__(files.folder, disk)
        self._files = files

    def part(self, entry: Entry) -> PurePath:
        """See ``Journal.part``."""
        return self._files.part(entry.name)

    def _is_whole(self, entry: Entry) -> bool:
        # A cluster's output may be too large to be read through by one machine.
        return self._disk.size(self.part(entry)) == entry.size

    def _is_kept(self, name: str) -> bool:
        return self._files.is_of_the_plan(name)


class ItemRun:
    """The output of one run in items, locked while it is open."""

    def __init__(self, items: ItemSettings, decides: Fingerprint, *, restart: bool) -> None:
        """Go on with what the same run has left, or begin.

        Args:
            items: how they are labelled.
            decides: all that decides the output's bytes.
            restart: whether to throw away what a run of another fingerprint has left.

        Raises:
            OutputError: it can't be written to, another run is at work on it, what is left is of
                another run, or the folder is another's.
        """
        place = items.files.place
        self._files, self._disk = items.files, place.open()
        try:
            self._journal = ItemJournal(items.files, self._disk)
            self._folder = ParquetFolder(items.files.folder, self._disk, self._journal)
            self._resume(decides, restart=restart)
        except OSError as error:
            raise OutputError(
                f"can't be written ({error.strerror})", where=place, todo="Choose another -o"
            ) from None
        self._is_open = True

    def _resume(self, decides: Fingerprint, *, restart: bool) -> None:
        try:
            self._folder.resume(decides, restart=restart)
        except BaseException:
            self._journal.leave()
            raise

    def plan(self, make: Callable[[], Plan]) -> Plan:
        """The plan that was made, or is made now and kept."""
        path = self._files.work / PLAN
        try:
            with self._disk.open(path) as file:
                return Plan.from_bytes(file.read())
        except FileNotFoundError:
            plan = make()
            self._disk.write_whole(path, plan.to_bytes())
            return plan

    def begin(self) -> None:
        """From now on workers may write parts."""
        self._folder.begin()

    def done(self, plan: Plan) -> dict[int, Entry]:
        """The items that are done, and whose parts are as they were written, by their numbers."""
        told = {entry.name: entry for entry in self._journal.entries}
        return {item.number: told[item.name] for item in plan.items if item.name in told}

    def publish_rejects(self, place: Location, files: int, rejected: int) -> None:
        """Join the bad rows of all inputs in one file, if there are any.

        Args:
            place: of that file.
            files: how many inputs there are.
            rejected: how many bad rows they have.
        """
        disk = place.open("--rejects")
        if not rejected:
            remove_output(place, disk)
            return
        with written_whole(open_place(place, disk, "--rejects")) as write:
            for file in range(files):
                with self._disk.open(self._files.rejects(file)) as part:
                    write(part.read())

    def finish(self, plan: Plan, entries: dict[int, Entry], summary: Summary) -> None:
        """Write the manifest, and throw away what it was made of.

        Raises:
            RunError: an item is not done, or not the one that was asked for.
        """
        written = []
        for item in plan.items:  # law 2
            part, entry = self._files.part(item.name).name, entries.get(item.number)
            if entry is None or (entry.first_row, entry.rows) != (item.first_row, item.rows):
                raise RunError(f"{part} is not what was asked for", where=self._files.place)
            written.append(Written(part, entry.written, entry.size, entry.sha256))
        self._folder.succeed(written, summary)
        self._is_open = False
        self._journal.end()

    def close(self) -> None:
        """Let others work on it; what is done stays, and what was not begun leaves nothing."""
        if self._is_open:
            self._is_open = False
            self._journal.close()


def prepared(settings: RunSettings) -> tuple[ItemSettings, Fingerprint]:
    """What workers have to know, and what decides the bytes of the output; no graph is loaded.

    Raises:
        UsageError: the inputs or the models can't be used.
    """
    assert settings.place is not None
    names, format_ = input_format(settings.inputs, settings.input_format)
    check_files(settings, names)
    options = ReadOptions(
        settings.text_columns or settings.config.input.text_column,
        Format.PARQUET,
        settings.delimiter,
        settings.encoding,
        settings.header,
    )
    with Labeller.open(settings.config, 1) as labeller:
        inputs = Inputs(names, format_, options)
        columns = numbered_columns(labeller, settings.layout, settings.separator)
        schema = columns.schema(inputs.schema, inputs.names)
        decides = fingerprint.of_run(settings, names, labeller) | {
            "engine": "ray",
            "bad rows": settings.bad_rows,
        }
    items = ItemSettings(
        settings.config,
        tuple(InputName.of(name).absolute() for name in names),
        format_,
        options,
        inputs.inferred,
        schema,
        settings.layout,
        settings.separator,
        settings.threads,
        ItemFiles(settings.place.absolute(), _mark(decides)),
    )
    return items, decides


def _mark(decides: Fingerprint) -> str:
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:8]
