"""How many cores a process may use, by affinity and by the quota of its control group."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labelf_cli.cores import usable_cores


def version_1(cgroup: Path, quota: int) -> Path:
    """A control group of version 1."""
    (cgroup / "cpu").mkdir()
    (cgroup / "cpu/cpu.cfs_quota_us").write_text(f"{quota}\n")
    (cgroup / "cpu/cpu.cfs_period_us").write_text("100000\n")
    return cgroup


@pytest.fixture
def all_cores(tmp_path: Path) -> int:
    """Cores where no control group says anything."""
    return usable_cores(tmp_path / "nothing here")


@pytest.mark.parametrize(
    ("cpu_max", "granted"),
    [
        pytest.param("100000 100000\n", 1, id="one core"),
        pytest.param("50000 100000\n", 1, id="half a core is still one thread"),
        pytest.param("190000 100000\n", 1, id="a part of a core is not rounded up"),
        pytest.param("100000 50000\n", 2, id="a quota is counted in periods"),
        pytest.param("99900000 100000\n", 999, id="more than there are"),
        pytest.param("max 100000\n", 999, id="no quota"),
    ],
)
def test_a_quota_caps_the_cores(tmp_path: Path, all_cores: int, cpu_max: str, granted: int) -> None:
    (tmp_path / "cpu.max").write_text(cpu_max)
    assert usable_cores(tmp_path) == min(granted, all_cores)


def test_version_1_of_control_groups_caps_too(tmp_path: Path) -> None:
    assert usable_cores(version_1(tmp_path, 100_000)) == 1


def test_version_1_says_no_quota_by_minus_one(tmp_path: Path, all_cores: int) -> None:
    assert usable_cores(version_1(tmp_path, -1)) == all_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_that_is_pinned_to_one_core_uses_one(tmp_path: Path) -> None:
    script = f"""
import os, pathlib
from labelf_cli.cores import usable_cores
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
print(usable_cores(pathlib.Path({str(tmp_path)!r})))
"""
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "1\n"
