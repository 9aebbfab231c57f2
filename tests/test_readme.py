"""The README is true: its commands run, its config loads, its tables name what there is."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from served import served
from typer.main import get_command

from labelf_cli.cli.main import app
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


def test_what_curl_is_shown_to_get_is_what_it_gets() -> None:
    section = README[README.index("## Serve it") : README.index("## Pay once")]
    (command,) = re.findall(r"```sh\n(curl .*?)```", section, re.DOTALL)
    (shown,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    with served(ROOT / "configs" / "models.toml") as server:
        asked = command.replace("http://127.0.0.1:8000", server.url)
        done = subprocess.run(["bash", "-c", asked], capture_output=True, timeout=60, check=True)

    def read(text: str | bytes) -> object:
        """Other processors might give another last bit."""
        return json.loads(text, parse_float=lambda number: round(float(number), 5))

    assert read(done.stdout) == read(shown)


def test_every_option_of_serve_has_its_line() -> None:
    section = README[README.index("| option | |") :]
    named = re.findall(r"`(--[a-z-]+)`", section[: section.index("\n\n")])
    told_elsewhere = {"--config", "--model", "--threads", "--quiet", "--log-format"}
    options = {
        option
        for parameter in get_command(app).commands["serve"].params  # type: ignore[attr-defined]
        for option in parameter.opts
        if option.startswith("--")
    }
    assert set(named) == options - told_elsewhere


def test_the_first_two_commands_set_everything_up() -> None:
    lines = re.findall(r"^    (python3 -m venv .*)$", README, re.MULTILINE)
    assert [line.split("&&")[-1].split()[0] for line in lines] == [
        ".venv/bin/labelf",
        ".venv/bin/pytest",
    ]
