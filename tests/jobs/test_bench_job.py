"""The bench job: what it measures, and that it measures what it says."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, WriteModel

from labelf_cli.config import Config
from labelf_cli.errors import ConfigError, InputError
from labelf_cli.jobs.bench import BUDGETS, ROUNDS, BenchSettings, bench
from labelf_cli.spent import PARTS

MakeConfig = Callable[..., Config]


@pytest.fixture
def config(make_config: MakeConfig, write_model: WriteModel) -> Config:
    return make_config({"name": "m", "path": write_model()})


def test_every_way_is_measured_once_a_round(config: Config) -> None:
    told: list[str] = []
    measured = bench(BenchSettings(config, (), threads=2, seconds=0.01), told.append)
    assert list(measured.threads) == [1, 2, 4]
    assert tuple(measured.budgets) == BUDGETS
    assert measured.threads[2] == 1.0
    ways = len(measured.threads) + len(measured.budgets)
    assert len(told) == len(set(told)) == 1 + ROUNDS * ways


def test_what_was_spent_is_told_by_parts(config: Config) -> None:
    measured = bench(BenchSettings(config, (), threads=1, seconds=0.2), lambda _: None)
    spent = measured.summary.spent
    assert spent.tokens > spent.calls > 0
    assert set(spent.parts) == set(PARTS)
    # With one worker, and reading and writing beside it, no part outlasts the run.
    assert 0 < max(spent.parts.values()) < measured.seconds < measured.summary.seconds


def test_the_rows_are_those_of_the_input(make_config: MakeConfig) -> None:
    models = ROOT / "sample_data/models"
    config = make_config({"name": "product", "path": models / "product"})
    calls = (str(ROOT / "sample_data/calls.csv"),)
    measured = bench(BenchSettings(config, calls, threads=1, seconds=5), lambda _: None)
    assert measured.summary.rows == 80  # all there are, since they take less
    assert measured.summary.statuses == {"ok": 79, "empty": 1}


def test_a_table_without_rows_is_refused(config: Config, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("text\n")
    settings = BenchSettings(config, (str(tmp_path / "none.csv"),), threads=1)
    with pytest.raises(InputError, match="there are no rows in it"):
        bench(settings, lambda _: None)


def test_services_are_not_measured() -> None:
    its = {"kind": "llm", "base_url": "http://127.0.0.1:1/v1", "model": "m", "labels": ["a"]}
    config = Config.model_validate({"models": [{"name": "asked", **its}]})
    with pytest.raises(ConfigError, match="model 'asked': a service answers"):
        bench(BenchSettings(config, (), 1), lambda _: None)
