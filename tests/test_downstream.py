"""What reads the output afterwards: pandas, DuckDB and Polars, in every layout and format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest
from conftest import WriteModel
from test_run import ignore, settings_of, write_table

from labelf_cli.config import Config
from labelf_cli.formats import Layout
from labelf_cli.run import run

ROWS = [{"id": "007", "text": "my bill"}, {"id": "008", "text": ""}, {"id": "009", "text": "tv"}]
NO_ROW = {"nested": 3, "wide": 3, "long": 6}


def by_pandas(path: Path) -> list[dict[str, Any]]:
    read: dict[str, Callable[[], pd.DataFrame]] = {
        ".csv": lambda: pd.read_csv(path, dtype={"id": str}),
        ".jsonl": lambda: pd.read_json(path, lines=True, dtype={"id": str}),
        ".parquet": lambda: pd.read_parquet(path),
    }
    frame = read[path.suffix]()
    rows: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return rows


def by_duckdb(path: Path) -> list[dict[str, Any]]:
    read = {
        ".csv": f"read_csv('{path}', types={{'id': 'VARCHAR'}})",
        ".jsonl": f"read_json('{path}', format='newline_delimited')",
        ".parquet": f"read_parquet('{path}')",
    }
    found = duckdb.sql(f"SELECT * FROM {read[path.suffix]}")
    assert found is not None
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def by_polars(path: Path) -> list[dict[str, Any]]:
    read: dict[str, Callable[[], pl.DataFrame]] = {
        ".csv": lambda: pl.read_csv(path, schema_overrides={"id": pl.String}),
        ".jsonl": lambda: pl.read_ndjson(path),
        ".parquet": lambda: pl.read_parquet(path),
    }
    return read[path.suffix]().to_dicts()


READERS = {"pandas": by_pandas, "duckdb": by_duckdb, "polars": by_polars}


def answer_of(row: dict[str, Any], layout: Layout) -> tuple[object, object]:
    """Label and score of the first model, or of the row's."""
    if layout is Layout.NESTED:
        its = json.loads(row["a"]) if isinstance(row["a"], str) else row["a"]
        return its["label"], its["score"]
    prefix = "" if layout is Layout.LONG else "a."
    return row[f"{prefix}label"], row[f"{prefix}score"]


@pytest.fixture(params=[None, "nothing"])
def none_label(request: pytest.FixtureRequest) -> str | None:
    label: str | None = request.param
    return label


@pytest.fixture
def config(
    write_model: WriteModel, make_config: Callable[..., Config], none_label: str | None
) -> Config:
    """Two models whose thresholds no score reaches."""
    multi_label = {"problem_type": "multi_label_classification"}
    keys = {"threshold": 0.9999, "none_label": none_label}
    return make_config(
        {"name": "a", "path": write_model("a"), **keys},
        {"name": "b", "path": write_model("b", config=multi_label), **keys},
    )


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("layout", Layout)
def test_texts_without_a_fitting_label_are_read(
    config: Config, tmp_path: Path, layout: Layout, suffix: str, none_label: str | None
) -> None:
    """The second row has no text."""
    source, output = write_table(tmp_path / "in.csv", ROWS), tmp_path / f"out.{suffix}"
    run(settings_of(config, source, output=output, layout=layout), ignore)
    for name, read in READERS.items():
        rows = read(output)
        assert len(rows) == NO_ROW[layout], name
        for row in rows:
            is_empty = row["id"] == "008"
            assert row["labelf.status"] == ("empty" if is_empty else "ok"), name
            expected = (None if is_empty else none_label, None)
            assert answer_of(row, layout) == expected, name
