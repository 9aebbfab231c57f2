"""The kernel for other engines: the answers of ``labelf classify``, columns known beforehand."""

import json
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import WriteModel
from test_run import ignore, make_rows

from labelf_cli import label_batches
from labelf_cli.batch_labeller import BatchLabeller
from labelf_cli.config import Config
from labelf_cli.errors import ConfigError, InputError
from labelf_cli.formats import Layout
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings


@pytest.fixture
def config(write_model: WriteModel, make_config: Callable[..., Config]) -> Config:
    several = {"problem_type": "multi_label_classification"}
    return make_config(
        {"name": "m", "path": write_model(), "max_predictions": 2},
        {"name": "n", "path": write_model("n", config=several, seed=1)},
        {"name": "shaky", "path": write_model("shaky", nan_word="signal", seed=2)},
    )


@pytest.fixture
def table() -> pa.Table:
    return pa.Table.from_pylist(make_rows())


def classified(config: Config, table: pa.Table, folder: Path, layout: Layout) -> pa.Table:
    """By ``labelf classify``."""
    source, output = folder / "in.parquet", folder / "out.parquet"
    pq.write_table(table, source)
    run(RunSettings(config, (str(source),), 2, output, layout=layout), ignore)
    return pq.read_table(output)


@pytest.mark.parametrize("layout", list(Layout))
def test_answers_are_those_of_classify(
    layout: Layout, config: Config, table: pa.Table, tmp_path: Path
) -> None:
    function = pickle.loads(pickle.dumps(label_batches(config, layout=layout, threads=2)))
    schema = function.schema(table.schema)
    found = list(function(table.to_batches(max_chunksize=37)))
    assert {batch.schema for batch in found} == {schema}
    expected = classified(config, table, tmp_path, layout)
    assert pa.Table.from_batches(found).equals(expected.cast(schema))


def test_large_and_dictionary_columns_may_be_texts(config: Config, table: pa.Table) -> None:
    expected = pa.Table.from_batches(label_batches(config)(table.to_batches()))
    for kind in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        other = table.set_column(1, "text", table["text"].cast(kind))
        found = pa.Table.from_batches(label_batches(config)(other.to_batches()))
        assert found.drop_columns("text").equals(expected.drop_columns("text"))


def test_the_schema_needs_no_graph(config: Config, table: pa.Table) -> None:
    function = label_batches(config)
    before = function.schema(table.schema)
    for model in config.local_models:
        (model.path / "model.onnx").write_bytes(b"\x0a\x02no")
    assert function.schema(table.schema) == before


def test_labels_that_stand_only_in_the_graph_are_asked_for(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    path = write_model("bare")
    (path / "config.json").write_text("{}")
    rows = pa.schema([("text", pa.string())])
    with pytest.raises(ConfigError, match=r"'bare': its labels stand only inside its graph\. Give"):
        label_batches(make_config({"name": "bare", "path": path})).schema(rows)
    given = make_config({"name": "bare", "path": path, "labels": ["a", "b", "c"]})
    assert "bare.score.b" in label_batches(given).schema(rows).names


def test_threads_of_a_process_share_the_models(config: Config, table: pa.Table) -> None:
    function = label_batches(config)
    expected = pa.Table.from_batches(function(table.to_batches()))

    def call(_: int) -> pa.Table:
        return pa.Table.from_batches(pickle.loads(pickle.dumps(function))(table.to_batches()))

    for model in config.local_models:  # they are loaded already
        (model.path / "model.onnx").write_bytes(b"\x0a\x02no")
    with ThreadPoolExecutor(4) as pool:
        assert all(found.equals(expected) for found in pool.map(call, range(8)))


def test_what_models_say_is_kept_when_the_rows_are_through(
    config: Config, table: pa.Table, tmp_path: Path
) -> None:
    path = tmp_path / "answers.sqlite"
    function = label_batches(config, cache=path)
    list(function(table.to_batches()))
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("SELECT count(*) FROM answer").fetchone()[0] > 60


def test_no_rows_and_no_such_column(config: Config, table: pa.Table) -> None:
    assert list(label_batches(config)([])) == []
    assert list(label_batches(config)([table.to_batches()[0].slice(0, 0)])) == []
    function = label_batches(config, text_columns="texts")
    with pytest.raises(InputError, match=r"no column 'texts'\. Did you mean 'text'\?"):
        function.schema(table.schema)
    with pytest.raises(InputError, match="no column 'texts'"):
        list(function(table.to_batches()))
    with pytest.raises(ValueError, match="deep"):
        label_batches(config, layout="deep")


def test_it_is_imported_from_the_package_which_stays_light(config: Config, tmp_path: Path) -> None:
    toml = tmp_path / "models.toml"
    toml.write_text(
        f"[[models]]\nname = 'm'\npath = {json.dumps(str(config.local_models[0].path))}\n"
    )
    code = (
        "import sys, labelf_cli\n"
        "assert not {'numpy', 'pyarrow', 'onnxruntime'} & set(sys.modules)\n"
        "from labelf_cli import label_batches\n"
        "import pyarrow as pa\n"
        f"print(len(label_batches({str(toml)!r}).schema(pa.schema([('text', pa.string())]))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"8\n"
    assert isinstance(label_batches(toml), BatchLabeller)
