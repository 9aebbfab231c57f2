"""A real server, in a process of its own, for tests."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import httpx2

_SERVING = re.compile(r'serving at (http://[^\s"]+)')


@dataclass
class Served:
    """A server that runs.

    Attributes:
        url: where it listens.
        process: of it.
        log: the lines that it has logged.
    """

    url: str
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        its = httpx2.URL(self.url)
        assert its.port is not None
        return its.host, its.port

    @property
    def resident(self) -> int:
        """Bytes of memory that it has."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def end(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal; the exit code."""
        self.process.send_signal(signum)
        return self.process.wait(30)


@contextmanager
def served(config: Path, *options: str, token: str = "") -> Iterator[Served]:
    """Run ``labelf serve`` at a free port until the block is left."""
    command = [sys.executable, "-m", "labelf_cli", "serve", "--config", str(config)]
    with subprocess.Popen(
        [*command, "--port", "0", *options],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LABELF_API_TOKEN": token},
    ) as process:
        assert process.stderr is not None
        server = Served("", process)
        for line in process.stderr:
            server.log.append(line)
            if found := _SERVING.search(line):
                server.url = found[1]
                break
        assert server.url, server.log
        reader = Thread(target=server.log.extend, args=(process.stderr,))
        reader.start()
        try:
            yield server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join()
