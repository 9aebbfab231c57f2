"""One run, in process: the same bytes however it is cut, no row lost, nothing half written."""

import csv
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
import pytest
from conftest import WORDS, WriteModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelf_cli.config import Config
from labelf_cli.errors import BadRowError, OutputError, RunError, UsageError
from labelf_cli.formats import Layout
from labelf_cli.run import Progress, run
from labelf_cli.run_settings import RunSettings
from labelf_cli.shard import Shard
from labelf_cli.sources.rejects import BadRowPolicy
from labelf_cli.summary import Summary

ROWS = 230
HEADER = ["id", "text", "m.label", "m.score", "labelf.status", "labelf.error"]


def ignore(_: Progress) -> None:
    """No progress is shown."""


def make_rows(count: int = ROWS) -> list[dict[str, str]]:
    """Rows of all kinds: short, long, repeated, blank, with line ends, quotes and unknown words."""
    dice = random.Random(5)
    texts = [" ".join(dice.choices(WORDS[4:], k=dice.choice([1, 2, 3, 9, 30]))) for _ in range(60)]
    texts += ["", "  ", 'my "bill"\nis, too high', "räkningen är\tför hög", "angry tv"]
    return [{"id": f"{number:04}", "text": dice.choice(texts)} for number in range(count)]


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows by other means than labelf's own, in the format of the suffix."""
    table = pa.Table.from_pylist(rows, pa.schema([("id", pa.string()), ("text", pa.string())]))
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    else:
        options = pa.csv.WriteOptions(delimiter="\t" if path.suffix == ".tsv" else ",")
        pa.csv.write_csv(table, path, options)
    return path


def read_table(path: Path) -> list[dict[str, Any]]:
    """Read an output by other means than labelf's own; in CSV all values are text."""
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def config(write_model: WriteModel, make_config: Callable[..., Config]) -> Config:
    """Models of every kind: padded, equal-length and single calls, one label and many, failures."""
    multi_label = {"problem_type": "multi_label_classification"}
    paths = {
        "capped": write_model("capped"),
        "multi": write_model("multi", moves="padding", config=multi_label, seed=1),
        "strict": write_model("strict", moves="batch", seed=2),
        "shaky": write_model("shaky", nan_word="signal", seed=3),
    }
    own: dict[str, dict[str, Any]] = {
        "capped": {"max_predictions": 2},
        "strict": {"max_length": 20, "on_long": "error"},
    }
    return make_config(
        *({"name": name, "path": path, **own.get(name, {})} for name, path in paths.items())
    )


@pytest.fixture
def small(write_model: WriteModel, make_config: Callable[..., Config]) -> Config:
    """One model with one answer."""
    return make_config({"name": "m", "path": write_model(), "max_predictions": 1})


def settings_of(config: Config, *inputs: Path, **changes: Any) -> RunSettings:  # noqa: ANN401
    return RunSettings(config, tuple(map(str, inputs)), **{"threads": 2, **changes})


def classify(
    config: Config,
    source: Path,
    output: Path,
    **changes: Any,  # noqa: ANN401
) -> list[dict[str, Any]]:
    """Run and read what was written."""
    run(settings_of(config, source, output=output, **changes), ignore)
    return read_table(output)


@pytest.mark.parametrize(
    ("suffix", "layout"),
    [
        *((suffix, layout) for suffix in ("csv", "tsv", "jsonl", "parquet") for layout in Layout),
        ("csv.gz", Layout.WIDE),
        ("jsonl.zst", Layout.LONG),
    ],
)
def test_threads_and_chunks_leave_every_byte_in_place(
    suffix: str, layout: Layout, config: Config, tmp_path: Path
) -> None:
    source = write_table(
        tmp_path / f"in.{suffix}".removesuffix(".gz").removesuffix(".zst"), make_rows(150)
    )
    output = tmp_path / f"out.{suffix}"
    written = set()
    for threads, chunk_rows in ((1, 4096), (1, 7), (2, 64), (8, 7), (8, 4096)):
        asked = settings_of(config, source, output=output, layout=layout)
        run(replace(asked, threads=threads, chunk_rows=chunk_rows), ignore)
        written.add(output.read_bytes())
    assert len(written) == 1


def test_chunks_do_not_move_row_groups(small: Config, tmp_path: Path) -> None:
    source = write_table(tmp_path / "in.parquet", make_rows(70_000))
    outputs = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for output, chunk_rows in zip(outputs, (30_000, 4096), strict=True):
        run(settings_of(small, source, output=output, chunk_rows=chunk_rows), ignore)
    assert pq.ParquetFile(outputs[0]).num_row_groups > 1
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_every_row_comes_out_once_and_in_its_order(config: Config, tmp_path: Path) -> None:
    rows = make_rows()
    source = write_table(tmp_path / "in.csv", rows)
    found = classify(config, source, tmp_path / "out.csv", chunk_rows=50)
    assert [{"id": row["id"], "text": row["text"]} for row in found] == rows
    assert {row["labelf.status"] for row in found} == {"ok", "empty", "failed"}


def test_long_numbers_its_rows_through_all_chunks(config: Config, tmp_path: Path) -> None:
    source = write_table(tmp_path / "in.csv", make_rows())
    output = tmp_path / "out.parquet"
    found = classify(config, source, output, layout=Layout.LONG, chunk_rows=50)
    assert list(dict.fromkeys((row["row"], row["id"]) for row in found)) == [
        (number, f"{number - 1:04}") for number in range(1, ROWS + 1)
    ]
    asked = {(row["row"], row["model"]) for row in found}
    assert len(asked) == ROWS * len(config.models)


def test_a_failed_text_keeps_what_other_models_answered(config: Config, tmp_path: Path) -> None:
    text = "my bill is too high " * 5 + "no signal"
    source = write_table(tmp_path / "in.csv", [{"id": "1", "text": text}])
    (row,) = classify(config, source, tmp_path / "out.parquet")
    assert row["labelf.status"] == "failed"
    assert row["labelf.error"] == (
        "strict: 29 tokens, more than max_length 20; shaky: the model's answer is not a number"
    )
    assert [row["strict.label"], row["strict.score.yes"], row["shaky.label"]] == [None] * 3
    assert None not in (row["capped.label"], row["capped.score_2"], row["multi.score.no"])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.one_of(
            st.lists(st.sampled_from(WORDS[4:]), max_size=24).map(" ".join),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        ),
        min_size=1,
        max_size=20,
    ),
    threads=st.integers(1, 3),
    chunk_rows=st.integers(1, 9),
)
def test_a_score_depends_on_its_text_alone(
    texts: list[str], threads: int, chunk_rows: int, config: Config, tmp_path: Path
) -> None:
    rows = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    source = write_table(tmp_path / "in.parquet", rows)
    output = tmp_path / "out.parquet"
    together = classify(config, source, output, threads=threads, chunk_rows=chunk_rows)
    assert [{"id": row["id"], "text": row["text"]} for row in together] == rows
    at = len(texts) // 2
    alone = write_table(tmp_path / "alone.parquet", [rows[at]])
    assert classify(config, alone, output, threads=1) == [together[at]]


@pytest.mark.parametrize("chunk_rows", [3, 4096])
@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (1, 1), (50, 50), (ROWS, ROWS), (999, ROWS)])
def test_a_limit_keeps_the_first_rows(
    limit: int, kept: int, chunk_rows: int, small: Config, tmp_path: Path
) -> None:
    rows = make_rows()
    source = write_table(tmp_path / "in.csv", rows)
    output = tmp_path / "out.csv"
    asked = settings_of(small, source, output=output, limit=limit, chunk_rows=chunk_rows)
    assert run(asked, ignore).rows == kept
    assert [row["id"] for row in read_table(output)] == [row["id"] for row in rows[:kept]]


@pytest.mark.parametrize("target", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_a_table_without_rows_gives_a_table_without_rows(
    source: str, target: str, small: Config, tmp_path: Path
) -> None:
    output = tmp_path / f"out.{target}"
    read = write_table(tmp_path / f"in.{source}", [])
    assert run(settings_of(small, read, output=output), ignore).rows == 0
    if target == "parquet":
        assert pq.read_schema(output).names == HEADER
    else:
        assert output.read_text() == ("" if target == "jsonl" else ",".join(HEADER) + "\n")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_several_inputs_are_one_table(suffix: str, small: Config, tmp_path: Path) -> None:
    rows = make_rows()
    whole = write_table(tmp_path / f"whole.{suffix}", rows)
    first = write_table(tmp_path / f"part1.{suffix}", rows[:100])
    second = write_table(tmp_path / f"part2.{suffix}", rows[100:])
    outputs = [tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}", tmp_path / f"c.{suffix}"]
    run(settings_of(small, whole, output=outputs[0], layout=Layout.LONG), ignore)
    run(settings_of(small, first, second, output=outputs[1], layout=Layout.LONG), ignore)
    glob = tmp_path / f"part*.{suffix}"
    run(settings_of(small, glob, output=outputs[2], layout=Layout.LONG), ignore)
    assert len({output.read_bytes() for output in outputs}) == 1


@pytest.fixture
def late_damage(tmp_path: Path) -> Path:
    """A CSV file of several megabytes whose last but one line has a field too many."""
    path = tmp_path / "late.csv"
    lines = [f"{number:06},{'my bill is too high ' * 4}" for number in range(40_000)]
    lines[-2] += ",one too many"
    path.write_text("id,text\n" + "\n".join(lines) + "\n")
    return path


def test_a_failure_in_mid_run_keeps_what_is_done(
    small: Config, late_damage: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    seen: list[Progress] = []
    with pytest.raises(BadRowError) as caught:
        run(settings_of(small, late_damage, output=folder / "out.csv"), seen.append)
    assert str(caught.value) == (
        f"{late_damage}, line 40000: 3 fields where there should be 2. Correct the line, "
        "or run it again with --bad-rows reject"
    )
    assert seen  # rows were on their way to the output already
    assert [path.name for path in folder.iterdir()] == ["out.csv.labelf"]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_a_failure_in_mid_run_leaves_the_old_output_as_it_was(
    suffix: str, small: Config, late_damage: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    output = folder / f"out.{suffix}"
    output.write_bytes(b"what was there before")
    with pytest.raises(RunError):
        run(settings_of(small, late_damage, output=output), ignore)
    assert output.read_bytes() == b"what was there before"


def test_the_output_appears_only_when_it_is_whole(small: Config, tmp_path: Path) -> None:
    source = write_table(tmp_path / "in.csv", make_rows())
    output = tmp_path / "out.csv"
    output.write_text("old")
    during = set()
    asked = settings_of(small, source, output=output, chunk_rows=20)
    run(asked, lambda _: during.add(output.read_text()))
    assert during == {"old"}
    assert len(read_table(output)) == ROWS


def test_an_input_may_be_its_own_output(small: Config, tmp_path: Path) -> None:
    rows = make_rows()
    table = write_table(tmp_path / "table.csv", rows)
    found = classify(small, table, table)
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    assert "m.label" in found[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rejects": "in.csv"}, "in.csv: it is an input of this run. Choose another --rejects"),
        ({"report": "in.csv"}, "in.csv: it is an input of this run. Choose another --report"),
        ({"report": "out.csv"}, "out.csv: it is another output of this run. Choose another --re"),
        ({"report": "s.csv", "rejects": "s.csv"}, "s.csv: it is another output of this run"),
        ({"output": "in.csv", "shard": Shard(1, 2)}, "in.csv: it is an input of this run"),
        ({"report": "out.csv.shard.json", "shard": Shard(1, 2)}, "it is another output"),
    ],
)
def test_nothing_else_is_written_over_an_input_or_an_output(
    changes: dict[str, Any], message: str, small: Config, tmp_path: Path
) -> None:
    source = write_table(tmp_path / "in.csv", make_rows(3))
    before = source.read_bytes()
    changes = {name: tmp_path / x if isinstance(x, str) else x for name, x in changes.items()}
    usual = {"output": tmp_path / "out.csv", "bad_rows": BadRowPolicy.REJECT}
    with pytest.raises(OutputError, match=re.escape(message)):
        run(settings_of(small, source, **usual | changes), ignore)
    assert (source.read_bytes(), list(tmp_path.glob("*.csv*"))) == (before, [source])


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_progress_counts_rows_up_to_all_of_them(suffix: str, small: Config, tmp_path: Path) -> None:
    source = write_table(tmp_path / f"in.{suffix}", make_rows())
    seen: list[Progress] = []
    asked = settings_of(small, source, output=tmp_path / "out.csv", chunk_rows=100)
    run(asked, seen.append)
    rows = [at.rows for at in seen]
    assert rows == sorted(set(rows))
    assert len(rows) > 2
    assert (rows[-1], seen[-1].expected) == (ROWS, ROWS)


def test_progress_expects_no_more_than_the_limit(small: Config, tmp_path: Path) -> None:
    source = write_table(tmp_path / "in.csv", make_rows())
    seen: list[Progress] = []
    run(settings_of(small, source, output=tmp_path / "out.csv", limit=30), seen.append)
    assert seen == [Progress(rows=30, expected=30)]


def test_the_summary_counts_what_was_written(config: Config, tmp_path: Path) -> None:
    source = write_table(tmp_path / "in.csv", make_rows())
    output = tmp_path / "out.parquet"
    summary = run(settings_of(config, source, output=output, chunk_rows=64), ignore)
    rows = read_table(output)
    expected = Summary()
    for row in rows:
        expected.statuses[row["labelf.status"]] += 1
    assert (summary.rows, summary.statuses) == (ROWS, expected.statuses)
    for model in config.models:
        answers = [row[f"{model.name}.label"] for row in rows]
        assert summary.labels[model.name] == {label: answers.count(label) for label in answers}
    assert summary.seconds > 0


@pytest.mark.parametrize(
    ("header", "changes", "message"),
    [
        ("text,m.score", {}, "two columns named 'm.score'"),
        ("text,m_score", {"separator": "_"}, "two columns named 'm_score'"),
        ("text,rank", {"layout": Layout.LONG}, "two columns named 'rank'"),
        ("text,m", {"layout": Layout.NESTED}, "two columns named 'm'"),
        ("text,labelf.error", {}, "two columns named 'labelf.error'"),
        ("text,text", {}, "two columns are named 'text'"),
        ("id,text", {"encoding": "utf-99"}, "no encoding is named 'utf-99'"),
        ("id,text", {"delimiter": ";;"}, "delimiter"),
    ],
)
def test_what_cant_be_used_is_refused_before_a_graph_is_loaded(
    header: str, changes: dict[str, Any], message: str, small: Config, tmp_path: Path
) -> None:
    graph = small.local_models[0].path / "model.onnx"
    graph.write_bytes(b"\x0a\x02no")  # loading it would fail with another error
    source = tmp_path / "in.csv"
    source.write_text(f"{header}\ntv,tv\n")
    with pytest.raises(UsageError) as caught:
        run(settings_of(small, source, **{"output": tmp_path / "out.csv", **changes}), ignore)
    assert message in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "models"}
