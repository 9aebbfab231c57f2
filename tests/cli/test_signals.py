"""SIGINT and SIGTERM end the command within two seconds, even inside a call of a model."""

import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ENDLESS, write_endless_model

from labelf_cli.cli.signals import GRACE_SECONDS

MOMENTS = {"answering": (ENDLESS, b"m: loaded in"), "loading": (0, b"m: loading")}
"""From which token id on the model never answers, and what is logged just before."""


@pytest.mark.parametrize(
    ("signum", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_ends_a_call_that_never_would(
    tmp_path: Path, signum: signal.Signals, exit_code: int, moment: str
) -> None:
    since, logged = MOMENTS[moment]
    write_endless_model(tmp_path / "m", since)
    (tmp_path / "models.toml").write_text('[[models]]\nname = "m"\npath = "m"\n')
    (tmp_path / "in.csv").write_text("text\nangry\n")
    command = "classify in.csv --config models.toml -o out.csv --verbose"
    with subprocess.Popen(
        [sys.executable, "-m", "labelf_cli", *command.split()],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        assert any(logged in line for line in process.stderr)
        time.sleep(0.5)  # so that the call has begun
        assert process.poll() is None
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (exit_code, b"")
    assert b"Traceback" not in stderr
    assert not (tmp_path / "out.csv").exists()


STUBBORN = """
import sys, time
from labelf_cli.cli import signals
signals.catch_signals()
while True:
    try:
        print("ready", flush=True)
        time.sleep(60)
    except BaseException:
        print("heard", flush=True)
"""


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    """A process that catches signals as labelf does, and drops whatever they raise."""
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def send(process: subprocess.Popen[bytes], signum: signal.Signals) -> None:
    process.send_signal(signum)
    assert process.stdout is not None
    assert process.stdout.readline() == b"heard\n"


def test_what_does_not_end_in_order_is_ended(stubborn: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    send(stubborn, signal.SIGTERM)
    assert stubborn.wait(20) == 143
    assert time.monotonic() - began > GRACE_SECONDS - 0.1


def test_a_second_signal_ends_it_at_once(stubborn: subprocess.Popen[bytes]) -> None:
    send(stubborn, signal.SIGINT)
    began = time.monotonic()
    stubborn.send_signal(signal.SIGINT)
    assert stubborn.wait(20) == 130
    assert time.monotonic() - began < GRACE_SECONDS - 0.1


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As in a script of which a command runs behind ``&`` while Ctrl-C ends the one before it."""
    begin = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{STUBBORN}"
    with subprocess.Popen([sys.executable, "-c", begin], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert select.select([process.stdout], [], [], 0.5)[0] == []
        send(process, signal.SIGTERM)
        process.kill()
