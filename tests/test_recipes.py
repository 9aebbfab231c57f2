"""The recipes for other engines run as their pages show them, with the answers of classify.

pip install pyspark daft  # and Java 17, for the first
pytest -m recipes
"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pytest
from conftest import ROOT, Labelf

SCRIPT = "labelled.py"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the sample data and the configs."""
    for name in ("sample_data", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def follow(page: str, place: Path) -> pa.Table:
    """Do what a page says; what it has made."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (command,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    (place / SCRIPT).write_text(script)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=place,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (made,) = (path for path in place.glob("labelled*") if path.name != SCRIPT)
    return pa.dataset.dataset(made, format="parquet").to_table()


def expected(labelf: Labelf, place: Path, *options: str) -> pa.Table:
    """The same by ``labelf classify``, with plain strings."""
    output = place / "expected.parquet"
    calls, config = place / "sample_data" / "calls.csv", place / "configs" / "models.toml"
    done = labelf("classify", calls, "-c", config, "-o", output, *options)
    assert done.returncode == 0, done.stderr
    return pa.dataset.dataset(output).to_table()


def comparable(table: pa.Table) -> pa.Table:
    """The answers in order of id, in the types that engines have in common."""
    ids = table["id"].cast(pa.string()).cast(pa.int64())
    rows = table.set_column(0, "id", ids).sort_by("id")
    names = rows.column_names[rows.column_names.index("text") + 1 :]
    columns = [rows[name] for name in names]
    plain = [c if pa.types.is_floating(c.type) else c.cast(pa.string()) for c in columns]
    return pa.table(plain, names=names)


@pytest.mark.recipes
@pytest.mark.parametrize(
    ("page", "package", "options"),
    [
        ("spark.md", "pyspark", ("--separator", "_")),
        ("daft.md", "daft", ()),
        ("duckdb.md", "duckdb", ()),
    ],
)
def test_a_recipe_gives_the_answers_of_classify(
    page: str, package: str, options: tuple[str, ...], labelf: Labelf, place: Path
) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    wanted = comparable(expected(labelf, place, *options))
    assert wanted.num_rows == 80
    assert comparable(follow(page, place)).equals(wanted)
