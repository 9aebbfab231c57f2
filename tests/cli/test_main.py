"""The command as a whole: version, help, and how it ends when something is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Labelf

from labelf_cli import __version__
from labelf_cli.cli.main import app

COMMANDS = [command.callback.__name__ for command in app.registered_commands if command.callback]
CLASSIFY = [
    "classify",
    str(ROOT / "sample_data/calls.csv"),
    "-c",
    str(ROOT / "configs/models.toml"),
]


def run_without(module: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command where a module can't be imported."""
    script = f"import sys; sys.modules[{module!r}] = None; from labelf_cli.cli.main import main"
    return subprocess.run(
        [sys.executable, "-c", f"{script}; main()", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=60,
        check=False,
    )


def test_the_version_is_that_of_the_package(labelf: Labelf) -> None:
    done = labelf("--version")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"labelf {__version__}\n"


def test_the_help_names_every_command(labelf: Labelf) -> None:
    done = labelf("--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert {"classify", "models", "schema", "train"} <= set(COMMANDS)
    assert set(COMMANDS) <= set(done.stdout.decode().split())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_shows_an_example(command: str, labelf: Labelf) -> None:
    done = labelf(command, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"Example: labelf {command} " in done.stdout.decode()


def test_the_help_waits_for_no_heavy_import() -> None:
    script = (
        "import sys\n"
        "from labelf_cli.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(*sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", script, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    imported = set(done.stderr.split())
    assert "labelf_cli.cli.classify" in imported
    assert not imported & {"numpy", "pyarrow", "onnxruntime", "pydantic", "tokenizers", "sklearn"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clasify"], "No such command 'clasify'"),
        (["classify", "in.csv"], "Missing option '--config'"),
        (["classify", "in.csv", "-c", "x.toml", "--layuot", "long"], "No such option: --layuot"),
        (["classify", "in.csv", "-c", "x.toml", "--threads", "0"], "'--threads'"),
        (["classify", "in.csv", "-c", "x.toml", "--limit", "-1"], "'--limit'"),
    ],
)
def test_wrong_usage_gives_exit_code_2(arguments: list[str], message: str, labelf: Labelf) -> None:
    done = labelf(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_what_nobody_expected_becomes_a_message() -> None:
    done = run_without("onnxruntime", *CLASSIFY)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ModuleNotFoundError: import of onnxruntime halted")
    assert done.stderr.endswith("please report it with the traceback that LABELF_DEBUG=1 shows\n")
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback() -> None:
    done = run_without("onnxruntime", *CLASSIFY, LABELF_DEBUG="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback (most recent call last):")


def test_a_missing_extra_names_the_line_that_installs_it() -> None:
    done = run_without("sklearn", "train", "x.csv", "--label-column", "y", "-o", "m")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: this command needs sklearn")
    assert done.stderr.endswith(". Run: pip install 'labelf-cli[train]'\n")


def test_so_does_a_missing_web_server() -> None:
    done = run_without("uvicorn", "serve", "--config", "models.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: this command needs uvicorn. Run: pip install 'labelf-cli[serve]'\n"
    )


def test_so_does_a_missing_client_of_the_hub(tmp_path: Path) -> None:
    config = tmp_path / "models.toml"
    config.write_text('[[models]]\nname = "m"\npath = "owner/name"\n')
    done = run_without("huggingface_hub", *CLASSIFY[:3], str(config))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: owner/name, which is no folder here but may be on the hub, needs huggingface_hub. "
        "Run: pip install 'labelf-cli[hub]'\n"
    )


def test_without_a_hub_id_nobody_misses_it() -> None:
    done = run_without("huggingface_hub", *CLASSIFY, "--limit", "1", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
