"""How long the page of a large output takes, and how much memory.

    python -m benchmarks.report_page

Wall-clock time and peak resident memory of ``labelf report``, in a process of its own, over a
made-up output of four models with the scores of all labels, gold for one of them and texts of 20 to
30 words; with an earlier run beside it, and without.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

LABELS = {"product": 8, "issue_type": 12, "root_cause": 20, "sentiment": 5}
"""Labels of each model."""

MOST_SECONDS, MOST_MB = 60, 500
_MEASURED = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a command and tells its peak memory. In a small process: Linux counts that of whoever starts
a process towards the process's own.
"""

_BATCH = 50_000
_WORDS = np.array([f"word{n}" for n in range(2000)])


def main() -> None:
    """Print a line for each page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with TemporaryDirectory() as folder:
        now, before = Path(folder, "now.parquet"), Path(folder, "before.parquet")
        write(now, rows, seed=1)
        write(before, rows, seed=2)
        page = Path(folder, "report.html")
        for what, options in (("", []), (" and an earlier run", ["--baseline", str(before)])):
            seconds, megabytes = measure(now, page, options)
            size = page.stat().st_size / 1e6
            print(
                f"{rows:,} rows{what}: {seconds:.1f} s (at most {MOST_SECONDS}), "
                f"{megabytes:.0f} MB (at most {MOST_MB}), a page of {size:.1f} MB",
                flush=True,
            )


def measure(output: Path, page: Path, options: list[str]) -> tuple[float, float]:
    """Seconds and peak MB of making the page."""
    command = [sys.executable, "-m", "labelf_cli", "report", str(output), "-o", str(page)]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *command, "--gold=product=gold", "--key=id", *options],
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds = time.monotonic() - began
    return seconds, int(done.stdout) / (1e6 if sys.platform == "darwin" else 1e3)


def write(path: Path, rows: int, seed: int) -> None:
    """Write a made-up output, a batch at a time."""
    random = np.random.default_rng(seed)
    schema = batch(random, 0, 1).schema
    with pq.ParquetWriter(path, schema) as file:
        for begin in range(0, rows, _BATCH):
            file.write_table(batch(random, begin, min(_BATCH, rows - begin)))


def batch(random: np.random.Generator, begin: int, rows: int) -> pa.Table:
    """Some rows of it."""
    columns: dict[str, pa.Array] = {
        "id": pa.array([f"c-{n:07}" for n in range(begin, begin + rows)]),
        "text": texts(random, rows),
    }
    for model, labels in LABELS.items():
        columns |= answers(random, model, labels, rows)
    columns["gold"] = columns["product.label"].cast(pa.string()).take(gold_rows(random, rows))
    columns["labelf.status"] = pa.DictionaryArray.from_arrays(
        pa.array((random.random(rows) < 0.01).astype(np.int32) * 2),
        ["ok", "empty", "truncated", "failed"],
    )
    columns["labelf.error"] = pa.nulls(rows, pa.string())
    return pa.table(columns)


def texts(random: np.random.Generator, rows: int) -> pa.Array:
    """Texts of 20 to 30 words."""
    lengths = random.integers(20, 31, rows)
    words = pa.array(random.choice(_WORDS, lengths.sum()))
    ends = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), words), " ")


def answers(
    random: np.random.Generator, model: str, labels: int, rows: int
) -> Iterator[tuple[str, pa.Array]]:
    """Columns of one model."""
    logits = random.standard_normal((rows, labels)) * 2 + np.linspace(1, 0, labels)
    scores = np.exp(logits)
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    names = [f"{model} {n}" for n in range(labels)]
    best = pa.array(scores.argmax(axis=1).astype(np.int32))
    yield f"{model}.label", pa.DictionaryArray.from_arrays(best, names)
    yield f"{model}.score", pa.array(scores.max(axis=1))
    for at, name in enumerate(names):
        yield f"{model}.score.{name}", pa.array(scores[:, at])


def gold_rows(random: np.random.Generator, rows: int) -> pa.Array:
    """From which row each row's gold is taken: mostly from itself."""
    other = random.integers(0, rows, rows)
    return pa.array(np.where(random.random(rows) < 0.9, np.arange(rows), other))


if __name__ == "__main__":
    main()
