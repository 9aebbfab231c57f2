"""Chunks are labelled on a Ray cluster: work items go to a pool of actors, which write the parts.

Only what an item came to passes through the driver, never its rows. An item that is labelled twice,
since a node was lost or thought lost, is the same bytes under the same name.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labelf_cli.engines.cluster import actors_of, cluster
from labelf_cli.engines.item_run import ItemRun, prepared
from labelf_cli.engines.item_worker import ItemWorker
from labelf_cli.engines.items import Item, ItemSettings
from labelf_cli.engines.plan import Found, Plan, look_through
from labelf_cli.errors import LabelfError, RunError, UsageError, write_errors
from labelf_cli.formats import Format, format_of
from labelf_cli.journal import Entry
from labelf_cli.run import Progress
from labelf_cli.run_settings import RunSettings, check_rejects
from labelf_cli.sinks.files import check_place
from labelf_cli.sources.files import STDIN
from labelf_cli.sources.rejects import BadRowPolicy
from labelf_cli.summary import Summary

if TYPE_CHECKING:
    import ray.data

_ITEMS_PER_ACTOR = 32

_IN_FLIGHT = 2
"""Items that an actor has been given: the one that it labels and the next."""


@dataclass(frozen=True)
class RayEngine:
    """Runs on a cluster.

    Attributes:
        address: of the cluster; if None, what RAY_ADDRESS says, else one on this machine that ends
            with the run.
    """

    address: str | None = None

    def run(self, settings: RunSettings, progress: Callable[[Progress], None]) -> Summary:
        """Classify the inputs into a folder of Parquet files.

        Raises:
            UsageError: something can't be used; no text was classified.
            RunError: something broke on the way; the same command goes on from what is done.
        """
        began = time.monotonic()
        _require_able(settings)
        check_rejects(settings)
        items, decides = prepared(settings)
        place = items.files.place
        with (
            write_errors(place),
            closing(ItemRun(items, decides, restart=settings.restart)) as output,
            cluster(self.address),
        ):
            if settings.bad_rows is BadRowPolicy.REJECT:
                check_place(settings.rejects_file, "--rejects")
            plan = output.plan(lambda: _planned(items, settings.bad_rows))
            if settings.max_rejects:
                read = plan.rows + plan.rejected
                settings.max_rejects.judge(plan.rejected, read, at_end=True)
            entries = _label(items, plan, output, progress)
            summary = sum((entry.summary for entry in entries.values()), Summary())
            summary += Summary(seconds=time.monotonic() - began, rejected=plan.rejected)
            if settings.bad_rows is BadRowPolicy.REJECT:
                output.publish_rejects(settings.rejects_file, len(items.names), plan.rejected)
            output.finish(plan, entries, summary)
        return summary


def _require_able(settings: RunSettings) -> None:
    """Refuse what only a run on one machine can do.

    Raises:
        UsageError: it names the option.
    """
    for option, value in (
        ("--shard", settings.shard),
        ("--limit", settings.limit),
        ("--cache", settings.cache),
        ("--max-requests", settings.max_requests),
        ("--partition-by", settings.partition_by or None),
    ):
        if value is not None:
            raise UsageError("not with --engine ray", where=option, todo="Leave one of them out")
    if STDIN in settings.inputs:
        raise UsageError("every node reads the inputs", where="--engine ray", todo="Name files")
    if len(settings.config.local_models) < len(settings.config.models):
        raise UsageError(
            "models that services answer for", where="--engine ray", todo="Run them on one machine"
        )
    place = settings.place
    if place is None or format_of(place.name) is not None:
        raise UsageError(
            "it writes a folder of Parquet files",
            where="--engine ray",
            todo="Name a folder with -o, such as -o labelled/",
        )
    if settings.output_format not in (None, Format.PARQUET):
        raise UsageError("it writes Parquet", where="--output-format", todo="Leave it out")


def _planned(items: ItemSettings, policy: BadRowPolicy) -> Plan:
    """Look through all inputs, few small ones or one large one in a task."""
    import ray  # noqa: PLC0415

    actors = actors_of(items.threads)
    look = ray.remote(num_cpus=1, max_retries=3)(_caught(_look_through))
    # Sent once: with each of many inputs a task, the names of all would be sent for each.
    settings = ray.put(items)
    names = len(items.names)
    some = max(names // (_ITEMS_PER_ACTOR * actors), 1)
    asked = [
        look.remote(settings, range(first, min(first + some, names)), policy)
        for first in range(0, names, some)
    ]
    found: list[Found] = [its for task in asked for its in _value(ray.get(task))]
    return Plan.of(found, _ITEMS_PER_ACTOR * actors)


def _look_through(items: ItemSettings, files: range, policy: BadRowPolicy) -> list[Found]:
    return [look_through(items, file, policy) for file in files]


def _caught(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns labelf's own errors: Ray makes others of what is raised."""

    def call(*arguments: object) -> object:
        try:
            return function(*arguments)
        except (LabelfError, OSError) as error:
            return _Failed.of(error)

    return call


@dataclass(frozen=True)
class _Failed:
    """An error on its way to the driver."""

    kind: type[LabelfError]
    what: str
    where: str
    todo: str

    @classmethod
    def of(cls, error: LabelfError | OSError) -> "_Failed":
        if isinstance(error, LabelfError):
            return cls(type(error), error.what, error.where, error.todo)
        what = f"can't be used ({error.strerror or error})"
        return cls(RunError, what, str(error.filename or ""), "Mend that and run the command again")


def _value(its: Any) -> Any:  # noqa: ANN401  # whatever a function gives
    """What a caught function gave.

    Raises:
        LabelfError: what it raised.
    """
    if isinstance(its, _Failed):
        raise its.kind(its.what, where=its.where, todo=its.todo)
    return its


class RayWorker:
    """What an actor of the pool does with rows of the data set, each of which is an item."""

    def __init__(self, settings: ItemSettings) -> None:
        self._worker: ItemWorker | _Failed = _caught(ItemWorker)(settings)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Label an item; the result is a row of the data set that comes out."""
        item = Item(*row["item"])
        if isinstance(self._worker, _Failed):
            return {"number": item.number, "told": self._worker}
        return {"number": item.number, "told": _caught(self._worker.label)(item)}


def _label(
    items: ItemSettings, plan: Plan, output: ItemRun, progress: Callable[[Progress], None]
) -> dict[int, Entry]:
    """Have all items labelled that are not done; what each of them came to, by its number."""
    entries = output.done(plan)
    rows = sum(entry.rows for entry in entries.values())
    left = [item for item in plan.items if item.number not in entries]
    progress(Progress(rows, plan.rows))
    if not left:
        return entries
    output.begin()
    for row in _data_set(items, left).iter_rows():
        entry = _value(row["told"])
        entries[row["number"]] = entry
        rows += entry.rows
        progress(Progress(rows, plan.rows))
    return entries


def _data_set(items: ItemSettings, left: Sequence[Item]) -> "ray.data.Dataset":
    """The results, as they come."""
    import ray.data  # noqa: PLC0415

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    actors = min(actors_of(items.threads), len(left))
    pool = ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=_IN_FLIGHT)
    rows = [{"item": tuple(item)} for item in left]
    return ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        RayWorker,
        fn_constructor_args=(items,),
        compute=pool,
        num_cpus=items.threads,
    )
