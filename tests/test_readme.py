"""The README's two commands, and what the page on the HTTP API shows."""

import json
import re
import subprocess

from conftest import ROOT
from served import served
from typer.main import get_command

from labelf_cli.cli.main import app

README = (ROOT / "README.md").read_text("utf-8")
SERVE = (ROOT / "docs" / "serve.md").read_text("utf-8")


def test_what_curl_is_shown_to_get_is_what_it_gets() -> None:
    (command,) = re.findall(r"```sh\n(curl .*?)```", SERVE, re.DOTALL)
    (shown,) = re.findall(r"```json\n(.*?)```", SERVE, re.DOTALL)
    with served(ROOT / "configs" / "models.toml") as server:
        asked = command.replace("http://127.0.0.1:8000", server.url)
        done = subprocess.run(["bash", "-c", asked], capture_output=True, timeout=60, check=True)

    def read(text: str | bytes) -> object:
        """Other processors might give another last bit."""
        return json.loads(text, parse_float=lambda number: round(float(number), 5))

    assert read(done.stdout) == read(shown)


def test_every_option_of_serve_has_its_line() -> None:
    section = SERVE[SERVE.index("| option | |") :]
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
    assert lines[1].startswith("python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && ")
