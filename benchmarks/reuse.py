"""What is computed once: heads over one encoder, equal texts, cached answers; and one text alone.

    python -m benchmarks.reuse

All ratios are medians over rounds in which both sides are measured one after the other, loading
aside. Run ``benchmarks.make_models`` first.
"""

import argparse
import csv
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from optimum.exporters.onnx import main_export

from benchmarks.job import WORK
from benchmarks.make_models import NUM_LABELS
from benchmarks.texts import read_texts
from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.config import Config
from labelf_cli.jobs.train import TrainSettings, train
from labelf_cli.labeller import Labeller
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings

ROOT = Path(__file__).parents[1]
MODELS = WORK / "minilm" / "fp32"
ENCODER, HEADS = WORK / "minilm" / "encoder", WORK / "minilm" / "heads"
PARENT = {
    "name": "parent",
    "path": ROOT / "sample_data" / "models" / "root_cause",
    "max_predictions": 1,
}
CALLS_A_ROUND = 40
Side = Callable[[], float]


def main() -> None:
    """Print a line for each ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as folder:
        for name, limit, one, other in comparisons(Path(folder)):
            ratios = [other() / one() for _ in range(rounds)]
            print(
                f"{name}: {statistics.median(ratios):.3f} times "
                f"({min(ratios):.3f} to {max(ratios):.3f}; at most {limit})",
                flush=True,
            )


def comparisons(work: Path) -> Iterator[tuple[str, float, Side, Side]]:
    """What is compared: the second side takes so many times the first."""
    names = list(NUM_LABELS)
    models, heads = config(names), heads_config(names)
    for table in ("mixed", "short"):
        path = WORK / f"{table}.csv"
        one = heads_config(names[:1])
        yield f"four heads to one, {table}", 1.15, timed(one, path), timed(heads, path)
    twice, distinct = write_twins(work)
    yield "every text twice, to all distinct", 0.55, timed(models, distinct), timed(models, twice)

    mixed, cache = WORK / "mixed.csv", work / "cache.sqlite"
    timed(models, mixed, cache)()
    yield "second run with --cache, to none", 0.1, timed(models, mixed), timed(models, mixed, cache)

    three = work / "three.sqlite"
    timed(config(names[:3]), mixed, three)()

    def fifth() -> float:
        """Each round begins with the cache of the three."""
        shutil.copy(three, work / "four.sqlite")
        return timed(models, mixed, work / "four.sqlite")()

    yield "one new model of four, to it alone", 1.1, timed(config(names[3:]), mixed), fifth
    path = WORK / "mixed.csv"
    label, share = label_of_a_tenth(path)
    child = {"name": "child", "path": MODELS / names[0]}
    asked = as_config(iter([PARENT, child | {"only_where": {"parent": [label]}}]))
    alone_side, asked_side = timed(as_config(iter([child])), path), timed(asked, path)
    yield f"a child for {share:.3f} of the rows, to all", round(share, 2), alone_side, asked_side
    with labeller(names[:1]) as alone, labeller(names[:2]) as both:
        text = read_texts(WORK / "short.csv")[0]
        yield "one text, two models to one", 1.3, latency(alone, text), latency(both, text)


def label_of_a_tenth(table: Path) -> tuple[str, float]:
    """The label of a small model that most nearly a tenth of a table's rows have, and its share."""
    with TemporaryDirectory() as folder:
        output = Path(folder, "out.parquet")
        settings = RunSettings(as_config(iter([PARENT])), (str(table),), threads=2, output=output)
        summary = run(settings, lambda _: None)
    shares = {
        label: count / summary.rows
        for label, count in summary.labels["parent"].items()
        if label is not None
    }
    return min(shares.items(), key=lambda its: abs(its[1] - 0.1))


def config(names: Sequence[str]) -> Config:
    """Classifiers of their own."""
    return as_config({"name": name, "path": MODELS / name} for name in names)


def heads_config(names: Sequence[str]) -> Config:
    """Heads over one encoder, made where they are absent."""
    if not HEADS.is_dir():
        export = MODELS / names[0]
        main_export(str(export), ENCODER, task="feature-extraction", do_validation=False)
        train_heads()
    return as_config({"name": n, "path": HEADS / n, "encoder": ENCODER} for n in names)


def as_config(models: Iterator[dict[str, Any]]) -> Config:
    """A config of these models, all answers from all."""
    return Config.model_validate({"models": list(models)})


def train_heads() -> None:
    """Heads that tell texts apart by nothing that makes sense: their speed is what counts."""
    texts = read_texts(WORK / "short.csv")
    with TemporaryDirectory() as folder:
        path = Path(folder, "labelled.csv")
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("text", *NUM_LABELS))
            for number, text in enumerate(texts):
                rows.writerow((text, *(f"label {number % n}" for n in NUM_LABELS.values())))
        train(TrainSettings((str(path),), tuple(NUM_LABELS), HEADS, folds=0, encoder=ENCODER))


def timed(its: Config, table: Path, cache: Path | None = None) -> Side:
    """Seconds of one whole run, loading aside."""

    def side() -> float:
        with TemporaryDirectory() as folder:
            settings = RunSettings(
                its, (str(table),), threads=2, output=Path(folder, "out.parquet"), cache=cache
            )
            summary = run(settings, lambda _: None)
        return summary.seconds - summary.loading

    return side


def write_twins(work: Path) -> tuple[Path, Path]:
    """Two tables of texts of the same lengths: each twice, or its words once in other order."""
    texts = read_texts(WORK / "mixed.csv")
    turned = [" ".join(reversed(text.split())) for text in texts]
    paths = []
    for name, more in (("twice", texts), ("distinct", turned)):
        paths.append(work / f"{name}.csv")
        with paths[-1].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text"], *([text] for text in [*texts, *more])])
    return paths[0], paths[1]


def labeller(names: Sequence[str]) -> Labeller:
    """A kernel on two cores, loaded."""
    return Labeller.open(config(names), threads=2).load()


def latency(kernel: Labeller, text: str) -> Side:
    """Median seconds of one call of the kernel with one text, a new one every time."""
    numbers = iter(range(1_000_000))

    def call() -> float:
        batch = pa.record_batch({TEXT: pa.array([f"{text} {next(numbers)}"])})
        began = time.perf_counter()
        kernel.submit(Chunk(0, 0, batch)).result()
        return time.perf_counter() - began

    return lambda: statistics.median(call() for _ in range(CALLS_A_ROUND))


if __name__ == "__main__":
    main()
