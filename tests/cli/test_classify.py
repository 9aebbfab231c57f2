"""``labelf classify`` as a user meets it: stdout, stderr, files and exit code."""

import csv
import gzip
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, Labelf, write_config

from labelf_cli.spent import PARTS

CALLS = ROOT / "sample_data" / "calls.csv"
CONFIG = ROOT / "configs" / "models.toml"
COMMAND = [sys.executable, "-m", "labelf_cli", "classify"]
THREE = b"id,text\n007,my bill is too high\n1.10,\nNA,no signal\n"
"""A table of three rows, one without a text."""


@pytest.fixture
def work(labelf: Labelf, tmp_path: Path) -> Path:  # noqa: ARG001  # which makes it
    """The folder in which the command runs."""
    return tmp_path / "work"


def rows_of(content: bytes, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter=delimiter))


def succeeds(done: subprocess.CompletedProcess[bytes]) -> bytes:
    """Stdout of a command that ended with exit code 0 and said nothing."""
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def test_the_sample_is_classified(labelf: Labelf, work: Path) -> None:
    done = labelf("classify", CALLS, "--config", CONFIG, "-o", "out.csv")
    assert (done.returncode, done.stdout) == (0, b"")
    rows, given = rows_of((work / "out.csv").read_bytes()), rows_of(CALLS.read_bytes())
    assert [{key: row[key] for key in given[0]} for row in rows] == given
    scores = [f"sentiment.score.{mood}" for mood in ("Angry", "Frustrated", "Neutral", "Satisfied")]
    assert list(rows[0])[len(given[0]) :] == [
        *("product.label", "product.score"),
        *("issue_type.label", "issue_type.score", "issue_type.label_2", "issue_type.score_2"),
        *("root_cause.label", "root_cause.score", "root_cause.label_2", "root_cause.score_2"),
        *("root_cause.label_3", "root_cause.score_3"),
        *("sentiment.label", "sentiment.score", *scores),
        *("labelf.status", "labelf.error"),
    ]
    for row in rows:
        assert row["labelf.status"] == ("ok" if row["text"] else "empty")
        assert bool(row["product.label"]) == bool(row["text"])
    assert re.match(rb"80 rows in .*: 79 ok, 1 empty\n", done.stderr)


def test_data_goes_to_stdout_and_a_plain_summary_to_stderr(labelf: Labelf, config: Path) -> None:
    done = labelf("classify", "-", "-c", config, stdin=THREE)
    assert done.returncode == 0
    assert done.stdout.startswith(b"id,text,m.label,m.score,labelf.status,labelf.error\n007,")
    assert done.stdout.count(b"\n") == 4
    assert done.stderr.startswith(b"3 rows in ")
    assert b"2 ok, 1 empty" in done.stderr
    assert b"classifying" not in done.stderr  # a progress bar is for terminals
    assert b"\x1b" not in done.stderr


def test_verbose_says_how_models_were_loaded(labelf: Labelf, config: Path) -> None:
    done = labelf("classify", "-", "-c", config, "--verbose", stdin=THREE)
    assert done.returncode == 0
    assert b"m: loaded in" in done.stderr
    assert b"loaded" not in done.stdout


@pytest.mark.parametrize(
    ("source", "target"),
    [("csv", "tsv"), ("tsv", "jsonl"), ("jsonl", "parquet"), ("parquet", "csv")],
)
def test_formats_follow_the_suffixes(
    source: str, target: str, labelf: Labelf, config: Path, work: Path
) -> None:
    table = pa.table({"id": ["007", "NA"], "text": ["my bill", "räkningen är\nför hög"]})
    if source == "parquet":
        pq.write_table(table, work / "in.parquet")
    elif source == "jsonl":
        lines = [json.dumps(row) + "\n" for row in table.to_pylist()]
        (work / "in.jsonl").write_text("".join(lines))
    else:
        parts = pa.csv.WriteOptions(delimiter="\t" if source == "tsv" else ",")
        pa.csv.write_csv(table, work / f"in.{source}", parts)
    succeeds(labelf("classify", f"in.{source}", "-c", config, "-q", "-o", f"out.{target}"))
    output = work / f"out.{target}"
    rows: list[dict[str, Any]]
    if target == "parquet":
        rows = pq.read_table(output).to_pylist()
    elif target == "jsonl":
        rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    else:
        rows = [*rows_of(output.read_bytes(), "\t" if target == "tsv" else ",")]
    assert [{"id": row["id"], "text": row["text"]} for row in rows] == table.to_pylist()
    assert [row["labelf.status"] for row in rows] == ["ok", "ok"]
    assert all(row["m.label"] in ("yes", "no", "maybe") for row in rows)


def test_compressed_csv_becomes_parquet(labelf: Labelf, config: Path, work: Path) -> None:
    (work / "in.csv.gz").write_bytes(gzip.compress(THREE))
    succeeds(labelf("classify", "in.csv.gz", "-c", config, "-q", "-o", "out.parquet"))
    table = pq.read_table(work / "out.parquet")
    assert table["id"].to_pylist() == ["007", "1.10", "NA"]
    assert table["m.label"].type == pa.dictionary(pa.int32(), pa.string())
    assert table["m.score"].type == pa.float32()
    assert table["m.label"].to_pylist()[1] is None


def test_stdin_goes_to_stdout_in_the_formats_that_are_said(labelf: Labelf, config: Path) -> None:
    formats = ("--input-format", "tsv", "--output-format", "jsonl")
    stdin = THREE.replace(b",", b"\t")
    output = succeeds(labelf("classify", "-", "-c", config, "-q", *formats, stdin=stdin))
    rows = [json.loads(line) for line in output.splitlines()]
    assert [row["id"] for row in rows] == ["007", "1.10", "NA"]
    assert [row["labelf.status"] for row in rows] == ["ok", "empty", "ok"]


def test_parquet_goes_through_pipes(labelf: Labelf, config: Path) -> None:
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["no signal", "angry tv"]}), buffer)
    stdin = buffer.getvalue().to_pybytes()
    done = labelf("classify", "-", "-c", config, "-q", "--input-format", "parquet", stdin=stdin)
    table = pq.read_table(pa.BufferReader(succeeds(done)))
    assert table["text"].to_pylist() == ["no signal", "angry tv"]


def test_numbers_of_json_lines_stay_as_written(labelf: Labelf, config: Path, work: Path) -> None:
    line = '{"id": 12345678901234567890123, "price": 1.10, "text": "my bill"'
    (work / "in.jsonl").write_text(line + "}\n")
    output = succeeds(labelf("classify", "in.jsonl", "-c", config, "-q"))
    assert output.decode().startswith(line + ', "m.label": "')


def test_nested_gives_one_struct_a_model(labelf: Labelf, work: Path) -> None:
    arguments = ("--layout", "nested", "--limit", "1", "-q", "-o", "out.jsonl")
    succeeds(labelf("classify", CALLS, "-c", CONFIG, *arguments))
    row = json.loads((work / "out.jsonl").read_text("utf-8"))
    assert list(row)[6:] == [
        *("product", "issue_type", "root_cause", "sentiment", "labelf.status", "labelf.error")
    ]
    for name, count in (("product", 1), ("issue_type", 2), ("root_cause", 3), ("sentiment", 4)):
        predictions = row[name]["predictions"]
        assert len(predictions) == count
        best = {"label": row[name]["label"], "score": row[name]["score"]}
        assert best == predictions[0] == max(predictions, key=lambda p: p["score"])


def test_long_gives_one_row_per_text_model_and_rank(labelf: Labelf) -> None:
    arguments = ("--layout", "long", "--limit", "2", "-q")
    rows = rows_of(succeeds(labelf("classify", CALLS, "-c", CONFIG, *arguments)))
    assert list(rows[0])[6:] == [
        *("row", "model", "rank", "label", "score", "labelf.status", "labelf.error")
    ]
    counts = {"product": 1, "issue_type": 2, "root_cause": 3, "sentiment": 4}
    assert [(row["row"], row["model"], row["rank"]) for row in rows] == [
        (number, name, str(rank + 1))
        for number in ("1", "2")
        for name, count in counts.items()
        for rank in range(count)
    ]
    assert [row["id"] for row in rows] == ["000107"] * 10 + ["000109"] * 10


def test_separator_and_models_shape_the_column_names(labelf: Labelf) -> None:
    arguments = ("--separator", "_", "--model", "issue_type", "--model", "product", "--limit", "0")
    output = succeeds(labelf("classify", CALLS, "-c", CONFIG, "-q", *arguments))
    assert output.decode() == (
        "id,channel,started_at,language,customer_since,text,product_label,product_score,"
        "issue_type_label,issue_type_score,issue_type_label_2,issue_type_score_2,"
        "labelf_status,labelf_error\n"
    )


def test_several_text_columns_are_joined_by_a_newline(labelf: Labelf, config: Path) -> None:
    stdin = b'subject,body,text\nmy bill,is high,"my bill\nis high"\n,is high,is high\n,,\n'
    columns = ("--text-column", "subject", "--text-column", "body")
    joined = rows_of(succeeds(labelf("classify", "-", "-c", config, "-q", *columns, stdin=stdin)))
    alone = rows_of(succeeds(labelf("classify", "-", "-c", config, "-q", stdin=stdin)))
    assert [row["labelf.status"] for row in joined] == ["ok", "ok", "empty"]
    assert joined == alone


def test_delimiter_and_encoding_are_heeded(labelf: Labelf, config: Path) -> None:
    stdin = "id;text\nö,1;räkning för hög\n".encode("latin-1")
    arguments = ("--delimiter", ";", "--encoding", "latin-1")
    output = succeeds(labelf("classify", "-", "-c", config, "-q", *arguments, stdin=stdin))
    (row,) = rows_of(output)
    assert (row["id"], row["text"]) == ("ö,1", "räkning för hög")


def test_without_a_header_columns_are_numbered(labelf: Labelf, config: Path) -> None:
    arguments = ("--no-header", "--text-column", "column_2", "--output-format", "jsonl")
    output = succeeds(labelf("classify", "-", "-c", config, "-q", *arguments, stdin=b"7,my bill\n"))
    row = json.loads(output)
    assert (row["column_1"], row["column_2"], row["labelf.status"]) == ("7", "my bill", "ok")


@pytest.mark.parametrize("limit", [0, 5])
def test_a_limit_stops_after_so_many_rows(limit: int, labelf: Labelf) -> None:
    arguments = ("--limit", str(limit), "--chunk-rows", "2", "--threads", "1", "-q")
    rows = rows_of(succeeds(labelf("classify", CALLS, "-c", CONFIG, *arguments)))
    assert [row["id"] for row in rows] == [r["id"] for r in rows_of(CALLS.read_bytes())][:limit]


def test_a_report_says_what_happened(labelf: Labelf, config: Path, work: Path) -> None:
    arguments = ("-q", "--report", "run.json")
    rows = rows_of(succeeds(labelf("classify", "-", "-c", config, *arguments, stdin=THREE)))
    report = json.loads((work / "run.json").read_bytes())
    assert report.pop("seconds") > report.pop("loading_seconds") > 0
    spent = report.pop("spent")
    assert (spent["distinct_texts"], spent["model_calls"]) == (2, 1)
    assert set(spent["processor_seconds"]) == set(PARTS)
    labels = [row["m.label"] for row in rows if row["m.label"]]
    assert report == {
        "rows": 3,
        "rejected": 0,
        "statuses": {"ok": 2, "empty": 1},
        "models": {
            "m": {"labels": {label: labels.count(label) for label in labels}, "unlabelled": 1}
        },
    }


def test_a_report_is_utf_8_whatever_the_locale(labelf: Labelf, config: Path, work: Path) -> None:
    write_config(config.parent, 'labels = ["jå", "nej", "kanske"]\nlabel_filter = ["jå"]\n')
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    arguments = ("-q", "--report", "run.json", "-o", "out.csv")
    succeeds(labelf("classify", "-", "-c", config, *arguments, stdin=THREE, env=os.environ | plain))
    report = json.loads((work / "run.json").read_text("utf-8"))
    assert report["models"]["m"]["labels"] == {"jå": 2}


def test_a_cache_spares_the_next_run_its_models(
    labelf: Labelf, config: Path, work: Path, tmp_path: Path
) -> None:
    write_config(config.parent, 'on_long = "error"\nmax_length = 5\n')
    arguments = ("-", "-c", config, "-q", "--cache", tmp_path / "cache.sqlite")
    asked = ("--report", "run.json")
    first = labelf("classify", *arguments, *asked, stdin=THREE)
    calls = [json.loads((work / "run.json").read_bytes())["spent"]["model_calls"]]
    second = labelf("classify", *arguments, *asked, stdin=THREE + b"8,no signal\n")
    spent = json.loads((work / "run.json").read_bytes())["spent"]
    calls.append(spent["model_calls"])
    assert (first.returncode, second.returncode) == (3, 3)
    assert (first.stderr, second.stderr) == (b"", b"")
    assert (calls, spent["cached_answers"]) == ([1, 0], 1)
    assert second.stdout.startswith(first.stdout)
    assert rows_of(second.stdout)[0]["labelf.error"] == "m: 7 tokens, more than max_length 5"


def test_failed_rows_stay_and_give_exit_code_3(labelf: Labelf, config: Path, work: Path) -> None:
    write_config(config.parent, 'on_long = "error"\nmax_length = 5\n')
    done = labelf("classify", "-", "-c", config, "-o", "out.csv", stdin=THREE)
    assert done.returncode == 3
    assert b"1 failed" in done.stderr
    rows = rows_of((work / "out.csv").read_bytes())
    assert [row["labelf.status"] for row in rows] == ["failed", "empty", "ok"]
    assert rows[0]["labelf.error"] == "m: 7 tokens, more than max_length 5"
    assert (rows[0]["id"], rows[0]["m.label"], rows[2]["labelf.error"]) == ("007", "", "")


def is_refused(labelf: Labelf, work: Path, *arguments: str | Path, stdin: bytes = THREE) -> str:
    """The message of a command that did nothing; ``--verbose`` would show a model being loaded."""
    before = sorted(work.iterdir())
    done = labelf("classify", *arguments, "--verbose", stdin=stdin)
    assert (done.returncode, done.stdout) == (2, b"")
    assert sorted(work.iterdir()) == before
    message = done.stderr.decode()
    assert message.startswith("error: ")
    return message.removeprefix("error: ").removesuffix("\n")


@pytest.mark.parametrize(
    ("arguments", "message", "todo"),
    [
        (
            ["-", "--text-column", "body"],
            "<stdin>: no column 'body'",
            "There are: id, text; choose with --text-column",
        ),
        (["-", "--model", "n"], "no model is named 'n'", "There are: m"),
        (
            ["-", "-o", "no/such/out.csv"],
            "no/such/out.csv: can't be written (No such file or directory)",
            "Choose another -o",
        ),
        (["no.csv"], "no.csv: no such file", "Check the path"),
        (["no*.csv"], "no*.csv: no such file", "Check the path"),
        (
            ["table.xyz"],
            "table.xyz: its name does not tell its format",
            "Say --input-format csv, tsv, jsonl or parquet",
        ),
        (
            ["a.csv", "b.csv"],
            "b.csv: its columns (text) differ from those of a.csv (id, text)",
            "Classify them in two runs",
        ),
        (
            ["answered.csv"],
            "the output would have two columns named 'm.label'",
            "Rename the input's column or the model, or choose another --separator",
        ),
    ],
)
def test_what_cant_be_used_is_refused(
    arguments: list[str], message: str, todo: str, labelf: Labelf, config: Path
) -> None:
    work = config.parent / "work"
    headers = {"table.xyz": "text", "a.csv": "id,text", "b.csv": "text"}
    for name, header in (headers | {"answered.csv": "text,m.label"}).items():
        (work / name).write_text(f"{header}\n{header}\n")
    assert is_refused(labelf, work, *arguments, "-c", config) == f"{message}. {todo}"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--delimiter", ";;"),
        ("--encoding", "utf-16"),
        ("--report", "no/such/run.json"),
        ("--cache", "no/such/cache.sqlite"),
    ],
)
def test_an_option_that_cant_be_used_is_refused_before_anything_is_done(
    option: str, value: str, labelf: Labelf, config: Path, work: Path
) -> None:
    done = labelf("classify", "-", "-c", config, option, value, "-v", "-o", "out.csv", stdin=THREE)
    assert (done.returncode, done.stdout) == (2, b"")
    message = done.stderr.decode()
    assert option in message or value in message
    assert "fault in labelf" not in message
    assert "loaded in" not in message
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            "treshold = 0.5",
            "{config}: the config can't be used:\n  models[0].treshold: unknown key. {hint}",
        ),
        (
            'label_filter = ["yes", "mabye"]',
            "model 'm', label_filter: the model has no label 'mabye'. Did you mean 'maybe'?",
        ),
        (
            '[[models]]\nname = "other"\npath = "models/other"',
            "{folder}/models/other: no such model folder. Correct the model's path in the config",
        ),
    ],
)
def test_a_config_that_cant_be_used_is_refused(
    extra: str, message: str, labelf: Labelf, config: Path
) -> None:
    write_config(config.parent, extra)
    said = is_refused(labelf, config.parent / "work", "-", "-c", config, "-o", "out.csv")
    assert said == message.format(
        config=config, folder=config.parent, hint="Did you mean 'threshold'?"
    )


def test_a_cache_that_is_none_is_refused_and_left_as_it_was(
    labelf: Labelf, config: Path, work: Path
) -> None:
    (work / "mine.csv").write_bytes(THREE * 100)
    arguments = ("-", "-c", config, "--cache", "mine.csv", "-o", "out.csv")
    assert is_refused(labelf, work, *arguments) == (
        "mine.csv: can't be used as a cache (file is not a database). Name another --cache"
    )
    assert (work / "mine.csv").read_bytes() == THREE * 100


def test_a_config_that_is_not_toml_is_refused_with_its_line(labelf: Labelf, config: Path) -> None:
    write_config(config.parent, "[[models]")
    said = is_refused(labelf, config.parent / "work", "-", "-c", config, "-o", "out.csv")
    assert said.startswith(f"{config}: not valid TOML: ")
    assert said.endswith("(at line 5, column 9)")


def test_a_config_that_is_not_there_is_named(labelf: Labelf, work: Path) -> None:
    assert is_refused(labelf, work, "-", "-c", "no.toml") == (
        "no.toml: can't be read (No such file or directory). Name a TOML file with --config"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"<!DOCTYPE html>\n<title>Sign in</title>",
            "an HTML page, not a model. Download the file itself",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a Git LFS pointer, not a model. Run 'git lfs pull'",
        ),
    ],
)
def test_what_stands_in_a_models_place_is_named(
    content: bytes, message: str, labelf: Labelf, config: Path
) -> None:
    onnx = config.parent / "models" / "m" / "model.onnx"
    onnx.write_bytes(content)
    said = is_refused(labelf, config.parent / "work", "-", "-c", config, "-o", "out.csv")
    assert said == f"{onnx}: {message}"


@pytest.mark.parametrize("output", ["out.csv", "out.csv.gz", "out.parquet"])
def test_a_bad_line_is_named_and_leaves_no_output(
    output: str, labelf: Labelf, config: Path, work: Path
) -> None:
    (work / "in.csv").write_bytes(THREE + b"8,no signal,one too many\n")
    done = labelf("classify", "in.csv", "-c", config, "-o", output)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (
        "error: in.csv, line 5: 3 fields where there should be 2. Correct the line, "
        "or run it again with --bad-rows reject\n"
    )
    assert [path.name for path in work.iterdir()] == ["in.csv"]


class OnTerminal(Protocol):
    """Runs the command with one stream on a pseudo-terminal; see ``on_terminal``."""

    def __call__(
        self, stream: Literal["stdout", "stderr"], *arguments: str | Path, **env: str
    ) -> tuple[int, str, str]: ...


@pytest.fixture
def on_terminal(work: Path, tmp_path: Path) -> OnTerminal:
    """A function that gives the exit code, what the terminal showed and what the other stream got.

    Standard input is ``THREE``.
    """

    def call(
        stream: Literal["stdout", "stderr"], *arguments: str | Path, **env: str
    ) -> tuple[int, str, str]:
        terminal, end = pty.openpty()
        (tmp_path / "stdin").write_bytes(THREE)
        with (tmp_path / "stdin").open() as stdin, (tmp_path / "other").open("wb") as other:
            process = subprocess.Popen(
                [*COMMAND, *map(str, arguments)],
                cwd=work,
                env={**os.environ, "TERM": "xterm-256color", "NO_COLOR": "", **env},
                stdin=stdin,
                stdout=end if stream == "stdout" else other,
                stderr=end if stream == "stderr" else other,
            )
        os.close(end)
        shown = b""
        while block := read_terminal(terminal):
            shown += block
        os.close(terminal)
        return process.wait(60), shown.decode(), (tmp_path / "other").read_text()

    return call


def read_terminal(terminal: int) -> bytes:
    """What a pseudo-terminal shows next; nothing once the command has let go of it."""
    try:
        return os.read(terminal, 65536)
    except OSError:  # so Linux says it
        return b""


def test_parquet_is_not_for_a_terminal(on_terminal: OnTerminal, config: Path) -> None:
    arguments = ("-", "-c", config, "--output-format", "parquet", "-v")
    assert on_terminal("stdout", *arguments) == (
        2,
        "",
        "error: Parquet is not for a terminal. Name a file with -o\n",
    )


COLOUR = re.compile(r"\x1b\[[\d;]*\b(3[1-8]|4[1-8]|9[1-7])\b[\d;]*m")


def test_a_terminal_shows_progress(on_terminal: OnTerminal, config: Path) -> None:
    code, shown, table = on_terminal("stderr", "-", "-c", config)
    assert (code, table.count("\n")) == (0, 4)
    assert "classifying" in shown
    assert COLOUR.search(shown)
    assert "classifying" not in table


def test_no_color_means_no_colour(on_terminal: OnTerminal, config: Path) -> None:
    code, shown, _ = on_terminal("stderr", "-", "-c", config, NO_COLOR="1")
    assert code == 0
    assert "classifying" in shown
    assert not COLOUR.search(shown)


def test_quiet_hides_progress(on_terminal: OnTerminal, config: Path) -> None:
    code, shown, table = on_terminal("stderr", "-", "-c", config, "--quiet")
    assert (code, shown, table.count("\n")) == (0, "", 4)


@pytest.fixture(scope="module")
def long_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that takes many seconds with the sample models: 300,000 distinct texts."""
    path = tmp_path_factory.mktemp("long") / "long.csv"
    lines = (f"{n},bill {n} for my mobile broadband is too high\n" for n in range(300_000))
    with path.open("w") as file:
        file.write("id,text\n")
        file.writelines(lines)
    return path


def test_a_closed_pipe_ends_the_run_quietly(long_table: Path) -> None:
    arguments = [*COMMAND, str(long_table), "-c", str(CONFIG), "--model", "product"]
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" | head -1', "-", *arguments],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"id,text,product.label,product.score,labelf.status,labelf.error\n"


@pytest.mark.parametrize(
    ("signum", "code", "message"),
    [(signal.SIGINT, 130, b"interrupted\n"), (signal.SIGTERM, 143, b"")],
)
def test_a_run_that_a_signal_ends_goes_on_with_the_same_command(
    signum: signal.Signals, code: int, message: bytes, long_table: Path, work: Path
) -> None:
    command = [*COMMAND, str(long_table), "-c", str(CONFIG), "--model", "product", "-q"]
    subprocess.run([*command, "-o", "whole.csv"], cwd=work, check=True)
    process = subprocess.Popen(
        [*command, "-o", "out.csv"], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    end = time.monotonic() + 60
    while not any(work.glob("out.csv.labelf/0*.json")):
        assert time.monotonic() < end, "no row was written"
        assert process.poll() is None, "the run is over already"
        time.sleep(0.01)
    process.send_signal(signum)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (code, b"", message)
    assert sorted(path.name for path in work.iterdir()) == ["out.csv.labelf", "whole.csv"]
    subprocess.run([*command, "-o", "out.csv"], cwd=work, check=True)
    assert (work / "out.csv").read_bytes() == (work / "whole.csv").read_bytes()
    assert sorted(path.name for path in work.iterdir()) == ["out.csv", "whole.csv"]


def test_a_signal_that_a_library_swallows_ends_the_run_all_the_same(
    labelf: Labelf, config: Path, work: Path, tmp_path: Path
) -> None:
    """Arrow looks for dateutil again and again, and drops whatever is raised on the way."""
    (tmp_path / "dateutil.py").write_text(
        "import os, signal, sys, threading\n"
        "if threading.current_thread() is threading.main_thread() and not hasattr(sys, 'sent'):\n"
        "    sys.sent = True\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "raise ImportError\n"
    )
    stdin = b"text\n" + b"my bill\n" * 50
    arguments = ("-c", config, "-o", "out.csv", "--chunk-rows", "1")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = labelf("classify", "-", *arguments, stdin=stdin, env=env)
    assert (done.returncode, done.stdout) == (143, b"")
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("example", ["windows", "hierarchy"])
def test_an_example_config_classifies_the_sample(example: str, labelf: Labelf) -> None:
    config = ROOT / "configs" / f"{example}.toml"
    rows = rows_of(succeeds(labelf("classify", CALLS, "-c", config, "-q")))
    assert len(rows) == 80
    if example == "windows":
        assert {row["labelf.status"] for row in rows} == {"ok", "empty"}
        return
    for row in rows:
        wanted = row["product.label"] in ("Mobile Broadband", "Fixed Line")
        assert bool(row["issue_type.label"]) == wanted
        assert bool(row["root_cause.label"]) == (row["issue_type.label"] == "Billing")
