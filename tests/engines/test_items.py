"""Items: each row of the inputs once, the answers of classify, and what is done known."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from conftest import WriteModel
from test_run import ignore, make_rows, write_table

from labelf_cli.config import Config
from labelf_cli.engines.item_folder import ItemFolder
from labelf_cli.engines.items import FileRows, Item, ItemSettings, ItemWorker
from labelf_cli.engines.plan import Found, Plan, look_through
from labelf_cli.errors import BadRowError, InputError, OutputError, RunError
from labelf_cli.formats import Format, Layout
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.rejects import BadRowPolicy
from labelf_cli.storage.local import Disk
from labelf_cli.summary import Summary


@pytest.fixture
def config(write_model: WriteModel, make_config: Callable[..., Config]) -> Config:
    return make_config(
        {"name": "m", "path": write_model(), "max_predictions": 2},
        {"name": "shaky", "path": write_model("shaky", nan_word="signal", seed=2)},
    )


@pytest.fixture
def settings(config: Config, tmp_path: Path) -> ItemSettings:
    """Two inputs of 2,500 and 700 rows."""
    rows = make_rows(3200)
    names = [
        str(write_table(tmp_path / f"in{number}.csv", its))
        for number, its in enumerate((rows[:2500], rows[2500:]))
    ]
    output = tmp_path / "out"
    return ItemSettings(
        config,
        tuple(names),
        Format.CSV,
        ReadOptions(("text",), Format.PARQUET),
        Layout.WIDE,
        ".",
        1,
        output,
        output.with_name("out.labelf"),
    )


@pytest.fixture
def folder(settings: ItemSettings) -> ItemFolder:
    its = ItemFolder(settings.output, Disk())
    its.resume({"of": "this"}, restart=False)
    return its


def planned(settings: ItemSettings, items: int = 4) -> Plan:
    files = range(len(settings.names))
    found = [look_through(settings, file, BadRowPolicy.FAIL) for file in files]
    return Plan.of(found, items)


def test_a_plan_has_each_row_once() -> None:
    plan = Plan.of([Found((10, 10, 3), 1), Found((), 2), Found((10, 1), 0)], 2)
    assert plan.items == (
        Item(0, 0, 0, 20, 0),
        Item(1, 0, 20, 3, 20),
        Item(2, 2, 0, 11, 23),
    )
    assert (plan.rows, plan.rejected) == (34, 3)
    assert Plan.from_bytes(plan.to_bytes()) == plan
    assert Plan.of([Found((), 0)], 5).items == (Item(0, 0, 0, 0, 0),)


def test_items_are_read_in_any_order(settings: ItemSettings) -> None:
    plan = planned(settings, 100)
    assert [item.rows for item in plan.items] == [1024, 1024, 452, 700]
    items = [item._replace(start=item.start + 7, rows=item.rows - 9) for item in plan.items] * 2
    random.Random(3).shuffle(items)
    rows = FileRows(settings)
    for item in items:
        texts = pa.Table.from_batches(rows.take(item))["id"].to_pylist()
        first = 2500 * item.file + item.start
        assert texts == [f"{at:04}" for at in range(first, first + item.rows)]
    with pytest.raises(RunError, match="it has fewer rows than when the run began"):
        list(rows.take(Item(0, 1, 0, 701, 0)))


@pytest.mark.parametrize("layout", list(Layout))
def test_items_together_are_a_run(
    layout: Layout, settings: ItemSettings, folder: ItemFolder, tmp_path: Path
) -> None:
    settings = replace(settings, layout=layout)
    plan, worker = planned(settings), ItemWorker(settings)
    entries = {item.number: worker.label(item) for item in reversed(plan.items)}
    folder.finish(plan, entries, sum((its.summary for its in entries.values()), Summary()))
    folder.close()
    local = tmp_path / "local.parquet"
    summary = run(RunSettings(settings.config, settings.names, 1, local, layout=layout), ignore)
    expected = pq.read_table(local)
    found = pyarrow.dataset.dataset(settings.output).to_table()
    numbers = found["labelf.row"]
    assert numbers.to_pylist() == sorted(numbers.to_pylist())
    assert set(numbers.to_pylist()) == set(range(1, 3201))
    found = found.drop_columns("labelf.row")
    assert found.schema.equals(expected.schema)
    assert found.to_pylist() == expected.to_pylist()  # dictionaries are each file's own
    told = json.loads((settings.output / "_SUCCESS").read_text())
    assert told["summary"]["statuses"] == summary.as_json()["statuses"]
    assert sum(part["rows"] for part in told["parts"]) == expected.num_rows
    assert not settings.work.exists()


def test_what_is_done_is_not_done_again(settings: ItemSettings, folder: ItemFolder) -> None:
    plan, worker = planned(settings), ItemWorker(settings)
    folder.plan = plan
    for item in plan.items[:3]:
        worker.label(item)
    damaged = settings.output / plan.items[1].part
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (settings.work / "part-00003.parquet.x.tmp").touch()
    folder.close()
    again = ItemFolder(settings.output, Disk())
    again.resume({"of": "this"}, restart=False)
    assert again.plan == plan
    assert [item.number for item, _ in again.done(plan.items)] == [0, 2]
    assert not list(settings.work.glob("*.tmp"))
    with pytest.raises(OutputError, match="another run is writing it"):
        ItemFolder(settings.output, Disk())
    with pytest.raises(RunError, match=r"part-00001\.parquet is not what was asked for"):
        again.finish(plan, {it.number: e for it, e in again.done(plan.items)}, Summary())
    assert not (settings.output / "_SUCCESS").exists()


def test_a_folder_that_is_not_this_runs_is_refused(
    settings: ItemSettings, folder: ItemFolder
) -> None:
    folder.plan = Plan((), 0)
    folder.close()
    other = ItemFolder(settings.output, Disk())
    with pytest.raises(OutputError, match='differs: of was "this", is "that"'):
        other.resume({"of": "that"}, restart=False)
    (settings.output / "part-00000.parquet").touch()
    other.resume({"of": "that"}, restart=True)
    assert list(settings.output.iterdir()) == []
    other.finish(Plan((), 0), {}, Summary())
    other.close()
    again = ItemFolder(settings.output, Disk())
    with pytest.raises(OutputError, match=r"exists already\. Remove it, or choose another -o"):
        again.resume({"of": "that"}, restart=True)
    again.close()


def test_what_dies_again_and_again_is_given_up(settings: ItemSettings, folder: ItemFolder) -> None:
    assert folder.work == settings.work
    plan, worker = planned(settings), ItemWorker(settings)
    for at in range(3):
        (settings.work / f"item-00000.json.begun-{at}").touch()
    worker.label(plan.items[0])
    assert not list(settings.work.glob("*begun*"))
    for at in range(4):
        (settings.work / f"item-00000.json.begun-{at}").touch()
    with pytest.raises(RunError, match="whatever labelled rows 1 to 1024 died, 4 times"):
        worker.label(plan.items[0])


def test_bad_rows_are_found_by_looking_through(settings: ItemSettings, folder: ItemFolder) -> None:
    assert folder.work == settings.work
    with Path(settings.names[1]).open("a") as file:
        file.write("a,b,c\n")
    with pytest.raises(BadRowError, match="line 708"):
        look_through(settings, 1, BadRowPolicy.FAIL)
    assert look_through(settings, 1, BadRowPolicy.REJECT) == Found((700,), 1)
    (told,) = (settings.work / "rejects-00001.jsonl").read_text().splitlines()
    assert json.loads(told)["line"] == 708


def test_an_input_may_not_have_the_column_of_positions(
    settings: ItemSettings, tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,labelf.row\na,b\n")
    with pytest.raises(InputError, match=r"two columns named 'labelf\.row'"):
        ItemWorker(replace(settings, names=(str(path),)))
