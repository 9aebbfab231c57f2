"""What docs/cron.md says runs as cron, systemd and a shell run it; tests that pages name exist."""

import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from conftest import ROOT

PAGES = {path.name: path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")}
CRON = PAGES["cron.md"]
BARE = {"PATH": "/usr/bin:/bin", "LANG": "C"}
"""The environment that cron and systemd give, without HOME."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", CRON, re.DOTALL)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What the page calls /srv/calls: an environment, a config, a table."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    for name in ("sample_data", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    config = (ROOT / "configs" / "models.toml").read_text().replace("../", "")
    (tmp_path / "models.toml").write_text(config)
    (tmp_path / "calls.csv").symlink_to("sample_data/calls.csv")
    return tmp_path


def run_bare(command: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Without a terminal, without stdin, in a session of its own."""
    return subprocess.run(
        command,
        cwd=folder,
        env=BARE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        timeout=120,
        check=False,
    )


def expected(place: Path, name: str) -> bytes:
    """The same table classified in an ordinary environment."""
    command = ["classify", "calls.csv", "--config", "models.toml", "--quiet", "-o"]
    output = place / f"expected.{name}"
    subprocess.run(
        [sys.executable, "-m", "labelf_cli", *command, output], cwd=place, check=True, timeout=120
    )
    return output.read_bytes()


def test_the_crontab_line_works_as_cron_runs_it(place: Path) -> None:
    (line,) = re.findall(r"^    ((?:\S+ +){5}cd .*)$", CRON, re.MULTILINE)
    command = line.split(maxsplit=5)[5].replace("\\%", "%").replace("/srv/calls", str(place))
    assert re.search(r"(?<!\\)%", line) is None
    done = run_bare(["/bin/sh", "-c", command], place)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (place / "labelled.parquet").read_bytes() == expected(place, "labelled.parquet")


@pytest.fixture
def units(place: Path) -> list[Path]:
    """The unit files of the page, in this place."""
    names = re.findall(r"`/etc/systemd/system/(labelf\.\w+)`:", CRON)
    paths = [place / name for name in names]
    for path, content in zip(paths, blocks("ini"), strict=True):
        path.write_text(content.replace("/srv/calls", str(place)))
    return paths


def test_systemd_takes_the_units(units: list[Path]) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd here")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, check=False
    )
    of_ours = [line for line in done.stderr.decode().splitlines() if "labelf" in line]
    assert (done.returncode, of_ours) == (0, [])


def test_the_service_works_as_systemd_runs_it(units: list[Path], place: Path) -> None:
    service = RawConfigParser()
    service.optionxform = str  # type: ignore[assignment,method-assign]
    service.read(units[0])
    folder = Path(service["Service"]["WorkingDirectory"])
    done = run_bare(service["Service"]["ExecStart"].split(), folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (place / "labelled.parquet").read_bytes() == expected(place, "labelled.parquet")


@pytest.mark.parametrize("name", ["labelled.csv.gz", "labelled.jsonl"])
def test_the_shell_lines_work(name: str, place: Path) -> None:
    (script,) = [block for block in blocks("sh") if name in block]
    subprocess.run(["gzip", "-k", "-f", "calls.csv"], cwd=place, check=True)
    done = run_bare(["bash", "-c", script], place)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    made = place / name
    if made.suffix == ".gz":
        subprocess.run(["gzip", "-d", made], check=True)
        made = made.with_suffix("")
    assert made.read_bytes() == expected(place, made.name)


@pytest.mark.parametrize("page", PAGES)
def test_the_tests_that_are_named_exist(page: str) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGES[page]):
        stands = re.search(
            rf"^(def|class) {name}\b", (ROOT / path).read_text("utf-8"), re.MULTILINE
        )
        assert stands, f"{path}::{name}"
