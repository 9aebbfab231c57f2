"""Measure all contenders on the same texts, in turns, and write the results.

    python -m benchmarks.compare

In every round each contender runs once, in a process of its own; ratios are taken within a round
and their medians reported. One that takes long is measured in the first rounds only. Run
``benchmarks.make_models`` first.
"""

import argparse
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.contenders import CONTENDERS
from benchmarks.job import MAX_LENGTH, Floats, Job
from benchmarks.report import BASE, RESULTS, Case, Measured, write
from benchmarks.texts import read_texts
from labelf_cli.cores import usable_cores
from labelf_cli.labeller import Labeller

CASES = (Job("minilm", "mixed100"), Job("minilm", "short"), Job("distilbert", "mixed100"))
VERSIONS = ("onnxruntime", "torch", "transformers", "optimum", "optimum-onnx", "ctranslate2")
TOLERANCE = 1e-4
LONG, ROUNDS_IF_LONG = 15, 2
"""What takes more than so many seconds is measured in so many rounds."""


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", action="append", help="only this one; may be repeated")
    parser.add_argument("--shape", action="append", help="only models of it; may be repeated")
    parser.add_argument("--only", action="append", help="contenders whose names begin so")
    parser.add_argument("--prefix", default="", help="command to run each process under")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where they go")
    options = parser.parse_args()
    names = [
        name
        for name in CONTENDERS
        if name == BASE or not options.only or name.startswith(tuple(options.only))
    ]
    cases: list[Case] = []
    for job in CASES:
        if job.table not in (options.table or job.table) or job.shape not in (
            options.shape or job.shape
        ):
            continue
        cases.append(measure(job, names, options.rounds, shlex.split(options.prefix)))
        for name, other, ratio in cases[-1].ratios():
            print(f"{name} to {other}: {ratio:.2f}", flush=True)
        write(describe(options.rounds) | {"cases": list(map(asdict, cases))}, options.results)


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """The docstring as it stands, and the defaults of options."""


def measure(job: Job, names: Sequence[str], rounds: int, prefix: Sequence[str]) -> Case:
    """Run all rounds of one case."""
    seconds: dict[str, list[float | None]] = {name: [] for name in names}
    scores: dict[str, list[Floats]] = {}
    for number in range(rounds):
        for name in names:
            if number >= ROUNDS_IF_LONG and (seconds[name][0] or 0) > LONG:
                seconds[name].append(None)
                continue
            its, scores[name] = run_contender(name, job, prefix)
            seconds[name].append(its)
            print(f"{job.shape}, {job.table}, round {number + 1}: {name}: {its:.2f} s", flush=True)
    texts, tokens = count(job)
    measured = {
        name: Measured(tuple(seconds[name]), *differences(name, scores[BASE], scores[name]))
        for name in names
    }
    return Case(job.shape, job.table, texts, tokens, measured)


def run_contender(name: str, job: Job, prefix: Sequence[str]) -> tuple[float, list[Floats]]:
    """Seconds and scores of one contender in a process of its own."""
    with TemporaryDirectory() as folder:
        module = [sys.executable, "-m", "benchmarks.contenders"]
        subprocess.run([*prefix, *module, name, job.shape, job.table, folder], check=True)
        seconds = float(json.loads(Path(folder, "seconds.json").read_text("utf-8")))
        with np.load(Path(folder, "scores.npz")) as arrays:
            return seconds, [arrays[key] for key in arrays.files]


def differences(
    name: str, base: list[Floats], scores: list[Floats]
) -> tuple[float | None, float | None]:
    """Largest difference of a score, and share of equal labels.

    Raises:
        SystemExit: it runs in fp32 and says something else than labelf.
    """
    if not scores:
        return None, None
    pairs = list(zip(base, scores, strict=True))
    largest = max(float(np.abs(ours - its).max()) for ours, its in pairs)
    equal = float(np.mean([ours.argmax(1) == its.argmax(1) for ours, its in pairs]))
    exact = not any(kind in name for kind in ("int8", "bf16"))
    if exact and (largest > TOLERANCE or equal < 1):
        sys.exit(f"{name}: scores differ by up to {largest:.1e}, {equal:.2%} of labels are equal")
    return largest, equal


def count(job: Job) -> tuple[int, int]:
    """Texts of a table, and their tokens."""
    texts = read_texts(job.csv)
    group = Labeller.open(job.config("fp32"), 1).groups[0]
    return len(texts), int(group.template.lengths(group.tokenizer.encode(texts), MAX_LENGTH).sum())


def describe(rounds: int) -> dict[str, Any]:
    """When, where, with what and how it was measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "cores": usable_cores(),
        "versions": {"Python": platform.python_version()} | {n: version(n) for n in VERSIONS},
        "how": f"Medians of {rounds} rounds, loading aside, ratios within a round. "
        f"What took over {LONG} s was measured in the first {ROUNDS_IF_LONG} rounds.",
    }


def cpu() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "")


if __name__ == "__main__":
    main()
