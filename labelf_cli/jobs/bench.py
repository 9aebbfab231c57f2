"""Measure a config on this machine: how fast it is, where the time goes, what would change it."""

import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from labelf_cli.classifiers.groups import open_groups
from labelf_cli.config import Config, ServiceModel
from labelf_cli.errors import ConfigError, InputError
from labelf_cli.formats import Format
from labelf_cli.made_up import made_up_texts
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings
from labelf_cli.summary import Summary

BUDGETS = (256, 512, 1024, 2048, 8192)
ROUNDS = 3

_FIRST_ROWS = 64
_MADE_UP_ROWS = 20_000


@dataclass(frozen=True)
class BenchSettings:
    """What to measure.

    Attributes:
        config: the models.
        inputs: files, globs or ``-``; empty for made-up texts.
        threads: size of the pool.
        text_columns: what is classified; empty for what the config says.
        format: of the inputs; None for what their names say.
        delimiter, encoding: of them; None for the format's own, and what a byte order mark says.
        seconds: about how long one measurement takes.
    """

    config: Config
    inputs: tuple[str, ...]
    threads: int
    text_columns: tuple[str, ...] = ()
    format: Format | None = None
    seconds: float = 3.0
    delimiter: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Bench:
    """What was measured.

    Attributes:
        summary: of the median round, as the settings say.
        threads: speed relative to that round, by size of the pool.
        budgets: the same by token budget, put in place of every model's own.
    """

    summary: Summary
    threads: dict[int, float]
    budgets: dict[int, float]

    @property
    def seconds(self) -> float:
        """Wall-clock time, loading aside."""
        return running(self.summary)


def running(summary: Summary) -> float:
    """Wall-clock seconds of a run, loading aside."""
    return summary.seconds - summary.loading


def bench(settings: BenchSettings, progress: Callable[[str], None]) -> Bench:
    """Run the config over as many rows as take the time that is asked for, in several ways.

    Every way is measured once a round, so that a noisy machine is as unfair to each.

    Args:
        settings: what to measure.
        progress: told what is measured next.

    Raises:
        UsageError: the config or the input can't be used.
    """
    for model in settings.config.models:
        if isinstance(model, ServiceModel):
            raise ConfigError(
                "a service answers, which measuring would ask again and again",
                where=f"model '{model.name}'",
                todo="Choose others with --model",
            )
    with _inputs(settings) as inputs, tempfile.TemporaryDirectory(prefix="labelf-") as folder:
        base = RunSettings(
            config=settings.config,
            inputs=inputs,
            threads=settings.threads,
            output=Path(folder, "out.parquet"),
            text_columns=settings.text_columns if settings.inputs else ("text",),
            input_format=settings.format if settings.inputs else Format.PARQUET,
            delimiter=settings.delimiter,
            encoding=settings.encoding,
        )
        progress("how many rows to take")
        base = replace(base, limit=_rows(base, settings.seconds))
        ways = _ways(base)
        rounds: dict[tuple[str, int], list[Summary]] = {way: [] for way in ways}
        for number in range(ROUNDS):
            for (name, value), its in ways.items():
                progress(f"round {number + 1} of {ROUNDS}: {name} {value}")
                rounds[name, value].append(run(its, lambda _: None))
    return _compare(rounds, ("threads", settings.threads))


def _ways(base: RunSettings) -> dict[tuple[str, int], RunSettings]:
    """The settings that are compared; the first are those that were asked for."""
    ways = {("threads", base.threads): base}
    for threads in sorted({1, max(1, base.threads // 2), base.threads * 2}):
        ways.setdefault(("threads", threads), replace(base, threads=threads))
    for budget in BUDGETS:
        models = tuple(m.model_copy(update={"token_budget": budget}) for m in base.config.models)
        config = base.config.model_copy(update={"models": models})
        ways["token budget", budget] = replace(base, config=config)
    return ways


def _compare(rounds: dict[tuple[str, int], list[Summary]], asked: tuple[str, int]) -> Bench:
    """Ratios within each round, and their medians."""
    bases = rounds[asked]
    ratios = {
        way: statistics.median(
            running(base) / running(its) for base, its in zip(bases, summaries, strict=True)
        )
        for way, summaries in rounds.items()
    }
    return Bench(
        sorted(bases, key=running)[len(bases) // 2],
        {value: ratio for (name, value), ratio in sorted(ratios.items()) if name == "threads"},
        {value: ratio for (name, value), ratio in ratios.items() if name != "threads"},
    )


def _rows(base: RunSettings, seconds: float) -> int:
    """How many rows take about so long; all there are if they take less."""
    limit = _FIRST_ROWS
    while True:
        summary = run(replace(base, limit=limit), lambda _: None)
        if not summary.rows:
            raise InputError("there are no rows in it", where=", ".join(base.inputs))
        wanted = int(summary.rows * seconds / max(running(summary), 1e-3))
        if summary.rows < limit or wanted <= 2 * limit:
            return max(min(wanted, summary.rows), _FIRST_ROWS)
        limit = min(wanted, 16 * limit)


@contextmanager
def _inputs(settings: BenchSettings) -> Iterator[tuple[str, ...]]:
    """The inputs, or a table of made-up texts."""
    if settings.inputs:
        yield settings.inputs
        return
    with tempfile.TemporaryDirectory(prefix="labelf-") as folder:
        path = Path(folder, "texts.parquet")
        words = open_groups(settings.config.models)[0].tokenizer.words()
        pq.write_table(pa.table({"text": made_up_texts(words, _MADE_UP_ROWS)}), path)
        yield (str(path),)
