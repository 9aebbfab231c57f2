"""The README is true: its commands run, its config loads, its tables name what there is."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from labelf_cli.config import Config, LabelfApiConfig, LlmConfig, ModelConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")

# Retraining all sample models is the matter of test_sample_data.
EXAMPLES = [
    line
    for line in re.findall(r"^    (labelf .*)$", README, re.MULTILINE)
    if line.count("--label-column") < 4
]


@pytest.mark.parametrize("command", EXAMPLES)
def test_an_example_runs(command: str, tmp_path: Path) -> None:
    for name in ("sample_data", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_there_are_examples_of_every_command() -> None:
    commands = {name for example in EXAMPLES for name in re.findall(r"\blabelf (\w+)", example)}
    assert {"classify", "models", "train", "bench", "optimize"} <= commands
    assert {"evaluate", "tune", "diff"} <= commands


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
def test_a_config_example_is_valid(example: str) -> None:
    assert len(Config.model_validate(tomllib.loads(example)).models) == 2


def test_every_model_key_has_its_line() -> None:
    section = README[README.index("| key of `[[models]]`") :]
    named = re.findall(r"^\| `(\w+)` \|", section[: section.index("\n\n")], re.MULTILINE)
    assert set(named) == set(ModelConfig.model_fields)


def test_every_key_of_a_service_has_its_line() -> None:
    section = README[README.index("| key of a service's model") :]
    named = re.findall(r"^\| `(\w+)` \|", section[: section.index("\n\n")], re.MULTILINE)
    keys = {*LabelfApiConfig.model_fields, *LlmConfig.model_fields} - {*ModelConfig.model_fields}
    assert set(named) == keys


def test_the_first_two_commands_set_everything_up() -> None:
    lines = re.findall(r"^    (python3 -m venv .*)$", README, re.MULTILINE)
    assert [line.split("&&")[-1].split()[0] for line in lines] == [
        ".venv/bin/labelf",
        ".venv/bin/pytest",
    ]
