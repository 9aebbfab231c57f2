"""The command as a whole: version, help, and how it ends when something is wrong."""

import os
import re
import subprocess
import sys
from itertools import pairwise
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
    told = done.stdout.decode()
    assert f"Example: labelf {command} " in told
    paragraphs = [lines.split("\n") for lines in re.split(r"\n *\n", told.split("Options", 1)[0])]
    for lines in paragraphs:  # filled: a line ends where the next word has no room
        for line, following in pairwise(line.strip() for line in lines if line.strip()):
            if not line.startswith(("╭", "│", "Usage")):
                assert len(line) + len(following.split()[0]) >= 77


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


@pytest.mark.parametrize(
    ("redirected", "code", "message"),
    [
        ("classify - -c {config} <&-", 2, "<stdin>: it is closed. Name a file"),
        ("classify {calls} -c {config} -q >&-", 2, "stdout: it is closed. Name a file with -o"),
        ("classify {calls} -c {config} -o -", 2, "-o: '-' names no file. Name one, or leave"),
        ("schema >/dev/full", 1, "No space left on device. Mend that and run the same command"),
    ],
)
def test_a_stream_that_is_closed_or_full_is_no_fault_of_labelf(
    redirected: str, code: int, message: str, tmp_path: Path
) -> None:
    line = redirected.format(calls=CLASSIFY[1], config=CLASSIFY[3])
    command = f"{sys.executable} -m labelf_cli {line}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == code
    assert done.stderr.decode().startswith(f"error: {message}")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_ends_a_table_quietly() -> None:
    """As ``head`` does; exit code 1 would mean that a command has failed."""
    command = [sys.executable, "-m", "labelf_cli", "models", *CLASSIFY[2:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


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
