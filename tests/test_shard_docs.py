"""The commands of docs/shards.md work as Slurm and a CI matrix run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

PAGE = (ROOT / "docs" / "shards.md").read_text("utf-8")
(SLURM,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
(MATRIX,) = (
    its
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    if "jobs" in (its := yaml.safe_load(block))
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    config = (ROOT / "configs" / "models.toml").read_text().replace("../", "")
    (tmp_path / "models.toml").write_text(config)
    (tmp_path / "calls.csv").symlink_to("sample_data/calls.csv")
    return tmp_path


def sh(script: str, place: Path, **env: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=place,
        env={**os.environ, "PATH": path, **env},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def matrix(k: str) -> str:
    """What a job of the matrix runs, and its end."""
    steps = [
        step["run"] for job in MATRIX["jobs"].values() for step in job["steps"] if "run" in step
    ]
    lines = [line for line in steps if line.startswith("labelf")]
    assert lines[1].startswith("labelf merge")
    return str(lines[0]).replace("${{ matrix.k }}", k)


@pytest.mark.recipes
def test_slurm_and_a_matrix_make_their_shards(place: Path) -> None:
    given = {"SLURM_ARRAY_TASK_COUNT": "8", "SLURM_CPUS_PER_TASK": "2"}
    sh(SLURM, place, SLURM_ARRAY_TASK_ID="8", **given)
    assert (place / "s8.parquet.shard.json").exists()
    for k in "1234":
        sh(matrix(k), place)
    (place / "s8.parquet").unlink()
    sh("labelf merge s*.parquet -o labelled.parquet", place)
