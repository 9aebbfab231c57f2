"""Rows an hour, and rows a core-hour, for three sizes of model; the table of docs/cost.md.

    python -m benchmarks.make_models    # once; see benchmarks/README.md
    python -m benchmarks.cost

Each line is one whole run over distinct made-up texts, reading CSV and writing Parquet, loading
left out. The core-hours for a billion rows are the rate, extended; docs/cost.md says what that
assumes.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.job import WORK
from benchmarks.texts import Table, write_table
from labelf_cli.config import Config
from labelf_cli.cores import usable_cores
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings
from labelf_cli.summary import Summary

SAMPLE_MODELS = Path(__file__).parents[1] / "sample_data" / "models"
LENGTHS = {"short": (4, 48), "transcripts": (4, 440)}
"""Words of a text, from and to."""

_TRIAL_ROWS = 200
_BILLION = 10**9


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        name: of the model.
        folder: of the model.
    """

    name: str
    folder: Path


CASES = (
    Case("tiny (linear, 0.4 MB)", SAMPLE_MODELS / "product"),
    Case("MiniLM, fp32", WORK / "minilm" / "fp32" / "sentiment"),
    Case("MiniLM, int8", WORK / "minilm" / "int8" / "sentiment"),
    Case("DistilBERT, fp32", WORK / "distilbert" / "fp32" / "sentiment"),
    Case("DistilBERT, int8", WORK / "distilbert" / "int8" / "sentiment"),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="about how long a line takes")
    parser.add_argument("--threads", type=int, default=usable_cores())
    asked = parser.parse_args()
    print(f"{asked.threads} threads\n")
    for line in lines(asked.seconds, asked.threads):
        print(line, flush=True)


def lines(seconds: float, threads: int) -> Iterator[str]:
    """The table as Markdown."""
    yield "| model | texts | tokens a row | rows an hour | rows a core-hour | a billion rows |"
    yield "|---|---|---:|---:|---:|---:|"
    for case in CASES:
        for name, (shortest, longest) in LENGTHS.items():
            trial = classify(case, Table(_TRIAL_ROWS, shortest, longest), threads)
            rows = max(_TRIAL_ROWS, round(rate(trial) * seconds))
            done = classify(case, Table(rows, shortest, longest), threads)
            an_hour = rate(done) * 3600
            yield (
                f"| {case.name} | {name} | {done.spent.tokens / done.rows:.0f} | {an_hour:,.0f} "
                f"| {an_hour / threads:,.0f} | {_BILLION * threads / an_hour:,.0f} core-hours |"
            )


def classify(case: Case, table: Table, threads: int) -> Summary:
    """One run over made-up texts."""
    config = Config.model_validate({"models": [{"name": "m", "path": case.folder}]})
    with TemporaryDirectory() as folder:
        source = Path(folder) / "texts.csv"
        write_table(table, source)
        output = Path(folder) / "out.parquet"
        return run(RunSettings(config, (str(source),), threads, output), lambda _: None)


def rate(summary: Summary) -> float:
    """Rows a second, loading left out."""
    return summary.rows / (summary.seconds - summary.loading)


if __name__ == "__main__":
    main()
