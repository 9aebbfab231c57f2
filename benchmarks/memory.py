"""How much memory a run takes, and that ten times the rows take no more.

    python -m benchmarks.memory

Peak resident memory of ``labelf classify`` with one of the sample models, in a process of its own,
over made-up rows whose texts are all distinct; and over rows some of which hold texts of 5 MB.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
FORMATS = ("csv", "jsonl", "parquet")
SENTENCE = "the bill for my broadband is too high, please call me back about contract"
MANY = 2_000_000
LONG = 5_000_000
_BATCH = 100_000
Row = tuple[str, str]


def main() -> None:
    """Print a line for each comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000, help="from CSV to Parquet")
    largest = parser.parse_args().rows
    for source, target in itertools.product(FORMATS, FORMATS):
        many = largest if (source, target) == ("csv", "parquet") else MANY
        few = many // 10
        few_mb, many_mb = (peak(rows(count), source, target) for count in (few, many))
        print(
            f"{source} to {target}: {many:,} rows {many_mb:.0f} MB, {few:,} rows {few_mb:.0f} MB: "
            f"{many_mb / few_mb:.2f} times (at most 1.10)",
            flush=True,
        )
    five, twenty = (peak(with_long(count), "csv", "parquet") for count in (5, 20))
    print(f"among 2,000 rows 20 of 5 MB {twenty:.0f} MB, 5 of them {five:.0f} MB", flush=True)


def rows(count: int) -> Iterator[Row]:
    """Numbered rows with distinct texts."""
    return ((f"{n:08}", f"{SENTENCE} {n}") for n in range(count))


def with_long(count: int) -> Iterator[Row]:
    """2,000 rows, so many of which are long."""
    long = f"{SENTENCE} " * (LONG // len(SENTENCE))
    every = 2000 // count
    return (
        (number, f"{long}{number}" if n % every == 0 else text)
        for n, (number, text) in enumerate(rows(2000))
    )


def peak(table: Iterable[Row], source: str, target: str) -> float:
    """Peak memory of a run over a table, in MB."""
    with TemporaryDirectory() as folder:
        path = Path(folder, f"in.{source}")
        write(table, path)
        command = [sys.executable, "-m", "labelf_cli", "classify", str(path), "--quiet"]
        options = ["-c", str(ROOT / "configs" / "models.toml"), "--model", "product"]
        process = subprocess.Popen([*command, *options, "-o", f"{folder}/out.{target}"])
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"labelf ended with {os.waitstatus_to_exitcode(status)}")
        return usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def write(table: Iterable[Row], path: Path) -> None:
    """Write rows in the format of the suffix, a batch at a time."""
    batches = iter(lambda: list(itertools.islice(table, _BATCH)), [])
    if path.suffix == ".parquet":
        with pq.ParquetWriter(path, pa.schema({"id": pa.string(), "text": pa.string()})) as file:
            for batch in batches:
                numbers, texts = zip(*batch, strict=True)
                file.write_table(pa.table({"id": numbers, "text": texts}))
        return
    with path.open("w", encoding="utf-8") as file:
        if path.suffix == ".csv":
            file.write("id,text\n")
        for batch in batches:
            for number, text in batch:
                row = {"id": number, "text": text}
                file.write(
                    f'{number},"{text}"\n' if path.suffix == ".csv" else f"{json.dumps(row)}\n"
                )


if __name__ == "__main__":
    main()
