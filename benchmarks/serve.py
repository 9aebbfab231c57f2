"""Latency of ``labelf serve``, and throughput of a table that is classified through it.

    python -m benchmarks.serve

Several models in one request are measured against each alone, and ``labelf classify`` with ``kind =
"labelf-api"`` against the same models in its own process. All ratios are medians over rounds in
which both sides are measured one after the other, through a server on two cores. Every request has
a new text. Run ``benchmarks.make_models`` first.
"""

import argparse
import itertools
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import httpx2

from benchmarks.job import WORK
from benchmarks.texts import read_texts

MODELS = WORK / "minilm" / "fp32"
CORES = 2
REQUESTS = 15
"""In one measurement."""

WORDS = (20, 100, 300)
"""Of a text."""


def main() -> None:
    """Print a line for each ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    paths = sorted(MODELS.iterdir())
    ids = tuple(range(1, len(paths) + 1))
    through = [throughput(paths[:1]) for _ in range(min(rounds, 3))]
    tell("rows a second through a server, to those without", "0.8 or more", through)
    with serving(paths) as client:
        for words in WORDS:
            latency = Latency(client, words)
            latency(ids)  # the first calls are slower
            four = [latency(ids) / (sum(latency((n,)) for n in ids) / CORES) for _ in range(rounds)]
            tell(f"four models, to their sum over the cores, {words} words", "at most 1.1", four)
            two = [latency(ids[:2]) / latency(ids[:1]) for _ in range(rounds)]
            tell(f"two equal models to one, {words} words", "at most 1.3", two)


def tell(name: str, limit: str, ratios: Sequence[float]) -> None:
    """Print a ratio."""
    print(
        f"{name}: {statistics.median(ratios):.3f} times "
        f"({min(ratios):.3f} to {max(ratios):.3f}; {limit})",
        flush=True,
    )


def throughput(paths: Sequence[Path]) -> float:
    """Of a table through a server that has seen no text yet, as a share of that without one."""
    with TemporaryDirectory() as folder, serving(paths) as client:
        models = [
            f'[[models]]\nname = "m{number}"\nmax_predictions = 1\n'
            for number, _ in enumerate(paths, 1)
        ]
        here, there = Path(folder) / "here.toml", Path(folder) / "there.toml"
        here.write_text("".join(f'{m}path = "{p}"\n' for m, p in zip(models, paths, strict=True)))
        service = f'[defaults]\nkind = "labelf-api"\nbase_url = "{client.base_url}/v2"\n'
        asked = (f"{m}model_id = {number}\n" for number, m in enumerate(models, 1))
        there.write_text(service + "".join(asked))
        return rows_a_second(there) / rows_a_second(here)


def rows_a_second(config: Path) -> float:
    """Of ``labelf classify`` over the short texts, loading aside."""
    report, output = config.with_suffix(".json"), config.with_suffix(".csv")
    command = [sys.executable, "-m", "labelf_cli", "classify", str(WORK / "short.csv"), "--quiet"]
    options = ["--config", str(config), "--report", str(report), "--output", str(output)]
    subprocess.run([*command, *options, "--threads", str(CORES)], check=True)
    its = json.loads(report.read_text())
    return float(its["rows"] / (its["seconds"] - its["loading_seconds"]))


class Latency:
    """Seconds of a request about one text, for the models that are asked."""

    def __init__(self, client: httpx2.Client, words: int) -> None:
        some = " ".join(read_texts(WORK / "mixed.csv")).split()
        starts = range(0, len(some) - words, words)
        self._texts = itertools.cycle(" ".join(some[start : start + words]) for start in starts)
        self._client, self._numbers = client, itertools.count()

    def __call__(self, ids: Sequence[int]) -> float:
        """The median of some requests, each about a text that was not asked about before."""
        return statistics.median(self._once(ids) for _ in range(REQUESTS))

    def _once(self, ids: Sequence[int]) -> float:
        text = f"{next(self._texts)} {next(self._numbers)}"
        body = {"texts": [text], "model_settings": [{"model_id": its} for its in ids]}
        began = time.perf_counter()
        reply = self._client.post("/v2/models/inference", json=body)
        seconds = time.perf_counter() - began
        assert reply.status_code == 200, reply.text
        return seconds


@contextmanager
def serving(paths: Sequence[Path]) -> Iterator[httpx2.Client]:
    """A client of a server with some models, numbered from 1 on."""
    with TemporaryDirectory() as folder:
        config = Path(folder) / "models.toml"
        config.write_text(
            "".join(
                f'[[models]]\nname = "{path.name}"\nid = {number}\npath = "{path}"\n'
                for number, path in enumerate(paths, 1)
            )
        )
        options = ["--config", str(config), "--port", "0", "--threads", str(CORES)]
        with subprocess.Popen(
            [sys.executable, "-m", "labelf_cli", "serve", *options],
            stderr=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stderr is not None
            lines = (re.search(r"serving at (\S+)", line) for line in server.stderr)
            url = next(found[1] for found in lines if found)
            Thread(target=server.stderr.read).start()  # or its log would fill the pipe
            with httpx2.Client(base_url=url, timeout=60) as client:
                yield client
            server.terminate()


if __name__ == "__main__":
    main()
