"""``--engine ray`` on a cluster of two nodes: the rows of a local run, whoever dies meanwhile."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from conftest import WORDS, WriteModel
from s3_server import S3Server
from test_run import ignore

from labelf_cli.config import Config
from labelf_cli.engines.ray import RayEngine
from labelf_cli.errors import BadRowError, OutputError, UsageError
from labelf_cli.formats import Layout
from labelf_cli.run import Progress, run
from labelf_cli.run_settings import RunSettings
from labelf_cli.sources.rejects import BadRowPolicy
from labelf_cli.storage.location import Location

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray itself

ROWS = 90_000


class TwoNodes:
    """A cluster of a head without cores, and nodes with one core each.

    Attributes:
        address: of the cluster.
    """

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: list[Any] = []
        self.address: str = self._cluster.address

    def complete(self) -> None:
        """Have two nodes."""
        while len(self._nodes) < 2:
            self._nodes.append(self._cluster.add_node(num_cpus=1))
        self._cluster.wait_for_nodes()

    def lose_one(self) -> None:
        """Kill a node."""
        self._cluster.remove_node(self._nodes.pop(), allow_graceful=False)

    def shutdown(self) -> None:
        """End it."""
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    its = TwoNodes()
    yield its
    its.shutdown()


@pytest.fixture
def cluster(nodes: TwoNodes) -> TwoNodes:
    nodes.complete()
    return nodes


@pytest.fixture
def config(write_model: WriteModel, make_config: Callable[..., Config]) -> Config:
    return make_config(
        {"name": "m", "path": write_model(), "max_predictions": 2},
        {"name": "shaky", "path": write_model("shaky", nan_word="signal", seed=2)},
    )


@pytest.fixture
def tables(tmp_path: Path) -> tuple[str, ...]:
    """Two inputs of distinct texts."""
    dice, names = random.Random(7), []
    for file in range(2):
        path = tmp_path / f"in{file}.csv"
        with path.open("w") as stream:
            stream.write("id,text\n")
            for at in range(ROWS // 2):
                stream.write(f"{file}-{at},{' '.join(dice.choices(WORDS[4:], k=12))} {at}\n")
        names.append(str(path))
    return tuple(names)


def require_equal(output: Path, local: Path) -> None:
    """Each row once, with the answers of the local run; in order of the positions."""
    found = pa.dataset.dataset(output, format="parquet").to_table().sort_by("labelf.row")
    assert found["labelf.row"].to_pylist() == list(range(1, ROWS + 1))
    expected = pq.read_table(local)
    found = found.drop_columns("labelf.row")
    assert found.schema.equals(expected.schema)
    plain = pa.schema([(f.name, plain_type(f.type)) for f in expected.schema])
    assert found.cast(plain).equals(expected.cast(plain))
    assert (output / "_SUCCESS").exists()
    assert not output.with_name(f"{output.name}.labelf").exists()


def plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


@pytest.fixture
def local(config: Config, tables: tuple[str, ...], tmp_path: Path) -> Path:
    """The output of a local run."""
    path = tmp_path / "local.parquet"
    run(RunSettings(config, tables, 2, path), ignore)
    return path


def test_a_node_that_is_lost_costs_nothing(
    cluster: TwoNodes,
    config: Config,
    tables: tuple[str, ...],
    local: Path,
    tmp_path: Path,
) -> None:
    killed: list[int] = []

    def progress(at: Progress) -> None:
        assert at.expected == ROWS
        if not killed and at.rows > ROWS // 8:
            killed.append(at.rows)
            cluster.lose_one()

    output = tmp_path / "out"
    summary = RayEngine(cluster.address).run(RunSettings(config, tables, 1, output), progress)
    assert len(killed) == 1
    assert summary.rows == ROWS
    require_equal(output, local)


def test_a_driver_that_is_killed_goes_on(
    cluster: TwoNodes,
    config: Config,
    tables: tuple[str, ...],
    local: Path,
    tmp_path: Path,
) -> None:
    toml, output = tmp_path / "models.toml", tmp_path / "out"
    models = "".join(
        f"[[models]]\nname = '{model.name}'\npath = '{model.path}'\n"
        + ("max_predictions = 2\n" if model.max_predictions else "")
        for model in config.local_models
    )
    toml.write_text(models)
    command: list[str | Path] = [sys.executable, "-m", "labelf_cli", "classify", *tables]
    command += ["-c", toml, "-o", output, "--quiet"]
    command += ["--engine", "ray", "--ray-address", cluster.address]
    work = tmp_path / "out.labelf"
    with subprocess.Popen(command) as process:
        ends = time.monotonic() + 120
        while len(list(work.glob("0*.json"))) < 12 and time.monotonic() < ends:
            time.sleep(0.02)
        process.kill()
    done = {path.stem for path in work.glob("0*.json")}
    assert len(done) >= 12
    assert not (output / "_SUCCESS").exists()
    before = {path: path.stat().st_mtime_ns for its in done for path in output.glob(f"*{its}*")}
    assert len(before) == len(done)
    time.sleep(2)  # the actors of the first driver end with it
    ended = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert (ended.returncode, ended.stdout) == (3, b"")  # some rows are failed
    # Ray's own, which no setting of its silences without another line.
    assert [line for line in ended.stderr.splitlines() if b"core_worker.cc" not in line] == []
    assert {path: path.stat().st_mtime_ns for path in before} == before
    require_equal(output, local)


@pytest.mark.usefixtures("cluster")
def test_a_cluster_of_its_own_ends_with_a_signal(
    write_model: WriteModel, tables: tuple[str, ...], tmp_path: Path
) -> None:
    """It obeys the run alone, and the one that began before it is not joined."""
    toml, work = tmp_path / "models.toml", tmp_path / "out.labelf"
    toml.write_text(f"[[models]]\nname = 'm'\npath = '{write_model()}'\n")
    command: list[str | Path] = [sys.executable, "-m", "labelf_cli", "classify", *tables]
    command += ["-c", toml, "-o", tmp_path / "out", "--quiet", "--engine", "ray"]
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        ends = time.monotonic() + 120
        while not list(work.glob("0*.json")) and time.monotonic() < ends:
            time.sleep(0.02)
        children = ["pgrep", "-P", str(process.pid), "gcs_server"]
        pid = subprocess.run(children, capture_output=True, text=True, check=True).stdout.strip()
        environ = Path(f"/proc/{pid}/environ").read_text()
        process.terminate()
        _, told = process.communicate(timeout=60)
    assert re.search("RAY_AUTH_MODE=token\0RAY_AUTH_TOKEN=[0-9a-f]{64}\0", environ)
    assert process.returncode == 128 + signal.SIGTERM
    assert [line for line in told.splitlines() if "core_worker.cc" not in line] == []
    assert list(work.glob("0*.json"))


def test_what_can_not_be_done_is_refused_before_it_begins(
    cluster: TwoNodes, config: Config, tables: tuple[str, ...], tmp_path: Path
) -> None:
    engine, asked = RayEngine(cluster.address), RunSettings(config, tables, 3, tmp_path / "out")
    with pytest.raises(UsageError, match="--threads 3: no node of the cluster has as many cores"):
        engine.run(asked, ignore)
    asked = replace(asked, threads=1, rejects=Location(f"{tmp_path}/absent/rejects.jsonl"))
    with pytest.raises(UsageError, match="are for --bad-rows reject"):
        engine.run(asked, ignore)
    with pytest.raises(OutputError, match=r"can't be written.* Choose another --rejects"):
        engine.run(replace(asked, bad_rows=BadRowPolicy.REJECT), ignore)
    assert not list(tmp_path.glob("out*"))


def test_rejects_and_layouts(
    cluster: TwoNodes,
    config: Config,
    tmp_path: Path,
) -> None:
    paths = [tmp_path / f"{number:03}.csv" for number in range(130)]
    for path in paths:
        path.write_text("id,text\n1,my bill\nx,y,z\n2,no signal\n")
    names, output = tuple(map(str, paths)), tmp_path / "out"
    engine = RayEngine(cluster.address)
    asked = RunSettings(config, names, 1, output, layout=Layout.LONG)
    with pytest.raises(BadRowError, match=r"000\.csv, line 3: 3 fields where there should be 2"):
        engine.run(asked, ignore)
    rejecting = RunSettings(
        config, names, 1, output, layout=Layout.LONG, bad_rows=BadRowPolicy.REJECT, restart=True
    )
    assert engine.run(rejecting, ignore).rejected == 130
    local = tmp_path / "local.parquet"
    run(
        RunSettings(config, names, 1, local, layout=Layout.LONG, bad_rows=BadRowPolicy.REJECT),
        ignore,
    )
    rejects = [Path(f"{path}.rejects.jsonl").read_bytes() for path in (output, local)]
    assert rejects[0] == rejects[1]
    found = pa.dataset.dataset(output, format="parquet").to_table()
    assert found["row"].to_pylist() == found["labelf.row"].to_pylist()
    with pytest.raises(UsageError, match="exists already"):
        engine.run(rejecting, ignore)


def test_from_a_bucket_into_a_bucket(
    cluster: TwoNodes, config: Config, s3: S3Server, tmp_path: Path
) -> None:
    bucket, table = s3.bucket(), tmp_path / "in.csv"
    table.write_text("id,text\n1,my bill\nx,y,z\n2,no signal\n")
    s3.put(f"{bucket}/calls/day=1/in.csv", table.read_bytes())
    output = Location(s3.uri(f"{bucket}/out/"))
    asked = RunSettings(
        config, (s3.uri(f"{bucket}/calls"),), 1, output, bad_rows=BadRowPolicy.REJECT
    )
    assert RayEngine(cluster.address).run(asked, ignore).rows == 2
    (part,) = [key for key in s3.sizes(bucket) if key.startswith("out/part-")]
    assert list(s3.sizes(bucket)) == [
        "calls/day=1/in.csv",
        "out.rejects.jsonl",
        "out/_SUCCESS",
        part,
    ]
    local = tmp_path / "local.parquet"
    run(replace(asked, inputs=(str(table),), output=local), ignore)
    found = pq.read_table(pa.BufferReader(s3.get(f"{bucket}/{part}")))
    assert found["day"].to_pylist() == ["1", "1"]
    assert found["labelf.row"].to_pylist() == [1, 2]
    expected = pq.read_table(local)
    assert found.select(expected.column_names).equals(expected)


def test_an_address_where_nothing_is(
    config: Config, tables: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no cluster answers"):
        RayEngine("127.0.0.1:1").run(RunSettings(config, tables, 1, tmp_path / "out"), ignore)
    assert not (tmp_path / "out").exists()
