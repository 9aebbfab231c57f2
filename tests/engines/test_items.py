"""Items: each row of the inputs once, the answers of classify, and what is done known."""

import hashlib
import json
import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from conftest import WriteModel
from s3_server import S3Server
from test_run import ignore, make_rows, write_table

from labelf_cli.config import Config
from labelf_cli.engines.item_run import ItemRun, prepared
from labelf_cli.engines.item_worker import FileRows, ItemWorker
from labelf_cli.engines.items import Item, ItemSettings
from labelf_cli.engines.plan import Found, Plan, Unit, look_through
from labelf_cli.errors import BadRowError, InputError, OutputError, RunError, WriteError
from labelf_cli.formats import Format, Layout, format_of
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings
from labelf_cli.sinks.open import open_sink, writing
from labelf_cli.sources.rejects import BadRowPolicy
from labelf_cli.storage.location import Location
from labelf_cli.summary import Summary


@pytest.fixture
def config(write_model: WriteModel, make_config: Callable[..., Config]) -> Config:
    return make_config(
        {"name": "m", "path": write_model(), "max_predictions": 2},
        {"name": "shaky", "path": write_model("shaky", nan_word="signal", seed=2)},
    )


@pytest.fixture
def asked(config: Config, tmp_path: Path) -> RunSettings:
    """Two inputs of 2,500 and 700 rows."""
    rows = make_rows(3200)
    names = [
        str(write_table(tmp_path / f"in{number}.csv", its))
        for number, its in enumerate((rows[:2500], rows[2500:]))
    ]
    return RunSettings(config, tuple(names), 1, tmp_path / "out")


def begun(asked: RunSettings) -> tuple[ItemSettings, ItemRun]:
    """A run on whatever workers there are."""
    items, decides = prepared(asked)
    return items, ItemRun(items, decides, restart=asked.restart)


def planned(settings: ItemSettings, items: int = 4) -> Plan:
    files = range(len(settings.names))
    found = [look_through(settings, file, BadRowPolicy.FAIL) for file in files]
    return Plan.of(found, items)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_plan_has_each_row_once() -> None:
    units = [Unit(10, 4, 0), Unit(10, 4, 0), Unit(3, 900, 19)]
    plan = Plan.of([Found(tuple(units), 1), Found((), 2), Found((Unit(10), Unit(1)), 0)], 2)
    assert plan.items == (
        Item(0, 0, 0, 20, 0, 4, 0),
        Item(1, 0, 20, 3, 20, 900, 19),
        Item(2, 2, 0, 11, 23),
    )
    assert (plan.rows, plan.rejected) == (34, 3)
    assert Plan.from_bytes(plan.to_bytes()) == plan
    assert Plan.of([Found((), 0)], 5).items == (Item(0, 0, 0, 0, 0),)


def test_items_are_read_in_any_order(asked: RunSettings) -> None:
    settings, _ = prepared(asked)
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


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "csv.gz"])
def test_an_item_is_read_from_its_bookmark(asked: RunSettings, tmp_path: Path, suffix: str) -> None:
    """What a worker reads of a partitioned table, wherever it begins."""
    table = pa.table({"id": range(50_000), "text": [f"my bill {at:090}" for at in range(50_000)]})
    path = tmp_path / "table" / "part=a" / f"in.{suffix}"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        stream = pa.CompressedOutputStream(file, "gzip") if suffix == "csv.gz" else file
        with writing(open_sink(stream, format_of(path.name) or Format.CSV, table.schema)) as sink:
            for batch in table.to_batches():
                sink.write(batch)
        stream.close()
    settings, _ = prepared(replace(asked, inputs=(str(tmp_path / "table"),)))
    settings = pickle.loads(pickle.dumps(settings))
    plan = planned(settings, 100)
    assert plan.rows == 50_000
    if suffix != "csv.gz":
        assert len({item.bookmark for item in plan.items}) >= (1 if suffix == "parquet" else 5)
    for item in reversed(plan.items):
        found = pa.Table.from_batches(FileRows(settings).take(item))
        expected = range(item.start, item.start + item.rows)
        assert [int(its) for its in found["id"].to_pylist()] == list(expected)
        assert set(found["part"].to_pylist()) == {"a"}
        assert item.start - item.before < (65_536 if suffix in ("parquet", "csv.gz") else 11_000)


@pytest.mark.parametrize("layout", list(Layout))
def test_items_together_are_a_run(layout: Layout, asked: RunSettings, tmp_path: Path) -> None:
    asked = replace(asked, layout=layout)
    settings, output = begun(asked)
    plan, worker = output.plan(lambda: planned(settings)), ItemWorker(settings)
    output.begin()
    entries = {item.number: worker.label(item) for item in reversed(plan.items)}
    output.finish(plan, entries, sum((its.summary for its in entries.values()), Summary()))
    output.close()
    local = tmp_path / "local.parquet"
    summary = run(replace(asked, output=local), ignore)
    expected = pq.read_table(local)
    found = pyarrow.dataset.dataset(tmp_path / "out").to_table()
    numbers = found["labelf.row"]
    assert numbers.to_pylist() == sorted(numbers.to_pylist())
    assert set(numbers.to_pylist()) == set(range(1, 3201))
    found = found.drop_columns("labelf.row")
    assert found.schema.equals(expected.schema)
    assert found.to_pylist() == expected.to_pylist()  # dictionaries are each file's own
    told = json.loads((tmp_path / "out" / "_SUCCESS").read_text())
    assert told["summary"]["statuses"] == summary.as_json()["statuses"]
    for part in told["parts"]:
        content = (tmp_path / "out" / part["name"]).read_bytes()
        assert part["rows"] == pq.read_metadata(tmp_path / "out" / part["name"]).num_rows
        assert part["bytes"] == len(content)
        assert part["sha256"] == hashlib.sha256(content).hexdigest()
    assert sum(part["rows"] for part in told["parts"]) == expected.num_rows
    assert not (tmp_path / "out.labelf").exists()


def test_what_is_done_is_not_done_again(asked: RunSettings, tmp_path: Path) -> None:
    settings, output = begun(asked)
    plan, worker = output.plan(lambda: planned(settings)), ItemWorker(settings)
    output.begin()
    for item in plan.items[:3]:
        worker.label(item)
    assert not list((tmp_path / "out.labelf").glob("*begun*"))
    damaged = tmp_path / "out" / settings.files.part(plan.items[1].name).name
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (tmp_path / "out.labelf" / "x.tmp").touch()
    output.close()
    settings, again = begun(asked)
    assert again.plan(lambda: Plan((), 0)) == plan
    done = again.done(plan)
    assert list(done) == [0, 2]
    assert not (tmp_path / "out.labelf" / "x.tmp").exists()
    with pytest.raises(OutputError, match="another run is writing it"):
        begun(asked)
    name = settings.files.part(plan.items[1].name).name
    with pytest.raises(RunError, match=f"{name} is not what was asked for"):
        again.finish(plan, done, Summary())
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    again.close()


def test_in_a_bucket_what_is_done_is_not_done_again(
    asked: RunSettings, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bucket = s3.bucket()
    asked = replace(asked, output=Location(s3.uri(f"{bucket}/out")))
    settings, output = begun(asked)
    plan = output.plan(lambda: planned(settings))
    output.begin()
    worker = ItemWorker(pickle.loads(pickle.dumps(settings)))
    for item in plan.items[:3]:
        worker.label(item)
    s3.put(str(settings.files.part(plan.items[1].name)), b"short")
    s3.put(f"{bucket}/out.labelf/x.tmp", b"")
    output.close()
    settings, output = begun(asked)
    assert output.plan(lambda: Plan((), 0)) == plan
    entries = output.done(plan)
    assert list(entries) == [0, 2]
    entries |= {at: worker.label(plan.items[at]) for at in (1, 3)}
    output.finish(plan, entries, Summary())
    output.close()
    parts = [str(settings.files.part(item.name)) for item in plan.items]
    keys = [f"{bucket}/{key}" for key in s3.sizes(bucket)]
    assert keys == [f"{bucket}/out/_SUCCESS", *parts]
    run(replace(asked, output=tmp_path / "local.parquet"), ignore)
    found = [
        row for part in parts for row in pq.read_table(part, filesystem=s3.filesystem).to_pylist()
    ]
    expected = pq.read_table(tmp_path / "local.parquet").to_pylist()
    assert found == [row | {"labelf.row": at} for at, row in enumerate(expected, start=1)]


def test_an_output_that_can_not_be_written(asked: RunSettings, tmp_path: Path) -> None:
    """Before the run, and in the midst of it."""
    with pytest.raises(OutputError, match=r"absent/out: can't be written .* Choose another -o"):
        begun(replace(asked, output=tmp_path / "absent" / "out"))
    settings, output = begun(asked)
    plan, worker = output.plan(lambda: planned(settings)), ItemWorker(settings)
    with pytest.raises(WriteError, match=f"{tmp_path}/out: can't be written"):
        worker.label(plan.items[0])  # into a folder that was not made
    output.close()


def test_what_has_no_plan_leaves_nothing(asked: RunSettings, tmp_path: Path) -> None:
    _, output = begun(asked)

    def fail() -> Plan:
        raise RunError("no plan")

    with pytest.raises(RunError):
        output.plan(fail)
    output.close()
    assert names(tmp_path) == ["in0.csv", "in1.csv", "models"]


def test_a_folder_that_is_not_this_runs_is_refused(asked: RunSettings, tmp_path: Path) -> None:
    """And what a worker of a run that was thrown away still writes does not stay."""
    settings, output = begun(asked)
    plan, worker = output.plan(lambda: planned(settings)), ItemWorker(settings)
    output.begin()
    worker.label(plan.items[0])
    output.close()
    other = replace(asked, separator="_")
    with pytest.raises(OutputError, match=r'differs: separator was "\.", is "_"'):
        begun(other)
    settings, output = begun(replace(other, restart=True))
    plan = output.plan(lambda: planned(settings))
    output.begin()
    assert names(tmp_path / "out") == []
    worker.label(plan.items[1])
    assert output.done(plan) == {}
    new = ItemWorker(settings)
    entries = {item.number: new.label(item) for item in plan.items}
    output.finish(plan, entries, Summary())
    output.close()
    parts = [settings.files.part(item.name).name for item in plan.items]
    assert names(tmp_path / "out") == ["_SUCCESS", *parts]
    with pytest.raises(OutputError, match="exists already"):
        begun(replace(asked, restart=True))


def test_what_dies_again_and_again_is_given_up(asked: RunSettings, tmp_path: Path) -> None:
    settings, output = begun(asked)
    plan, worker = output.plan(lambda: planned(settings)), ItemWorker(settings)
    output.begin()
    for at in range(3):
        settings.files.place.open().write_whole(settings.files.begun(plan.items[0], at), b"")
    worker.label(plan.items[0])
    assert not list((tmp_path / "out.labelf").glob("*begun*"))
    for at in range(4):
        settings.files.place.open().write_whole(settings.files.begun(plan.items[0], at), b"")
    with pytest.raises(RunError, match="whatever labelled rows 1 to 1024 died, 4 times"):
        worker.label(plan.items[0])
    output.close()


def test_bad_rows_are_found_by_looking_through(asked: RunSettings, tmp_path: Path) -> None:
    with Path(asked.inputs[1]).open("a") as file:
        file.write("a,b,c\n")
    settings, output = begun(asked)
    with pytest.raises(BadRowError, match="line 708"):
        look_through(settings, 1, BadRowPolicy.FAIL)
    found = look_through(settings, 1, BadRowPolicy.REJECT)
    assert (sum(unit.rows for unit in found.units), found.rejected) == (700, 1)
    look_through(settings, 0, BadRowPolicy.REJECT)
    output.publish_rejects(Location(str(tmp_path / "rejects.jsonl")), 2, 1)
    (told,) = (tmp_path / "rejects.jsonl").read_text().splitlines()
    assert json.loads(told)["line"] == 708
    output.publish_rejects(Location(str(tmp_path / "rejects.jsonl")), 2, 0)
    assert not (tmp_path / "rejects.jsonl").exists()
    output.close()


def test_an_input_may_not_have_the_column_of_positions(asked: RunSettings, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,labelf.row\na,b\n")
    with pytest.raises(InputError, match=r"two columns named 'labelf\.row'"):
        prepared(replace(asked, inputs=(str(path),)))
