"""Models behind services, from file to file through the command, whatever the services do."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Labelf, WriteModel
from remote_server import (
    Act,
    Hang,
    Json,
    Remote,
    Reset,
    Respond,
    at_date,
    completion,
    in_seconds,
    serve,
    words_of_the_list,
)

HEADLINE = "Russia funds new AI climate project"
COMMAND = [sys.executable, "-m", "labelf_cli", "classify"]

LLM = """
[defaults]
kind = "llm"
base_url = "{remote.v1}"
model = "small"
timeout = 2.0

[[models]]
name = "topic"
labels = ["space", "science", "technology", "climate"]
none_label = "none"
multi_label = true
text_prefix = "Headline: "
"""

API = """
[defaults]
kind = "labelf-api"
base_url = "{remote.v2}"
timeout = 2.0

[[models]]
name = "product"
model_id = 42
labels = ["Mobile", "TV", "Fixed"]
max_predictions = 1

[[models]]
name = "mood"
model_id = 201
labels = ["Angry", "Calm"]
"""


@pytest.fixture
def remote() -> Iterator[Remote]:
    with serve() as remote:
        remote.labels = {42: ("Mobile", "TV", "Fixed"), 201: ("Angry", "Calm")}
        yield remote


def write(folder: Path, remote: Remote, config: str, texts: list[str]) -> tuple[Path, Path]:
    """A config and a table with ids."""
    (folder / "models.toml").write_text(config.format(remote=remote))
    with (folder / "in.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "text"])
        rows.writerows((f"{n:04}", text) for n, text in enumerate(texts))
    return folder / "in.csv", folder / "models.toml"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


DIMENSIONS = """
[[models]]
name = "{name}"
labels = ["yes", "no"]
text_prefix = "Headline: "
"""


class TestTheHeadline:
    """The example of the README, and texts that are odd."""

    def test_alone(self, labelf: Labelf, remote: Remote, tmp_path: Path) -> None:
        remote.say = lambda _, __, ___: ["technology", "climate"]
        table, config = write(tmp_path, remote, LLM, [HEADLINE])
        done = labelf("classify", table, "--config", config, "--quiet")
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode() == (
            "id,text,topic.label,topic.score,topic.labels,labelf.status,labelf.error\n"
            f'0000,{HEADLINE},technology,,"[""technology"", ""climate""]",ok,\n'
        )
        assert [sent.texts for sent in remote.requests] == [[f"Headline: {HEADLINE}"]]

    def test_among_odd_texts_and_wrong_answers(
        self, labelf: Labelf, remote: Remote, tmp_path: Path
    ) -> None:
        long = "science " * 4000
        mixed = "Klimatet 气候 المناخ climate 🌍"
        texts = [HEADLINE, "", long, mixed, "weather", "odd one"]

        def say(text: str, key: str, schema: Json) -> object:
            if key != "topic":
                return "yes"
            if "weather" in text:
                return []
            if "odd one" in text:
                return ["spaceflight"]
            return words_of_the_list(text, key, schema)

        remote.say = say
        four = LLM + "".join(DIMENSIONS.replace("{name}", name) for name in "abc")
        table, config = write(
            tmp_path, remote, four.replace("timeout = 2.0", "max_length = 1000"), texts
        )
        report = tmp_path / "report.json"
        output = tmp_path / "out.csv"
        done = labelf("classify", table, "-c", config, "-o", output, "--report", report)
        assert done.returncode == 3
        rows = read(output)
        assert [row["text"] for row in rows] == texts
        assert [row["topic.labels"] for row in rows] == [
            '["climate"]',
            "",
            '["science"]',
            '["climate"]',
            '["none"]',
            "",
        ]
        statuses = ["ok", "empty", "truncated", "ok", "ok", "failed"]
        assert [row["labelf.status"] for row in rows] == statuses
        assert rows[5]["labelf.error"] == "topic: 'spaceflight' is no label of the list"
        assert [[row[f"{name}.label"] for name in "abc"] for row in rows] == [
            ["yes"] * 3 if status != "empty" else [""] * 3 for status in statuses
        ]
        assert len(remote.requests) == 6  # one for each text, one more for the wrong dimension
        assert sum(sent.keys == ["topic"] for sent in remote.requests) == 1
        assert max(len(text) for text in remote.asked()) == 1000 + len("Headline: ")
        spent = json.loads(report.read_text())["spent"]
        assert (spent["requests"], spent["prompt_tokens"]) == (6, 600)
        assert b"6 requests, 600 prompt and 60 completion tokens" in done.stderr


FAULTS: tuple[Act, ...] = (
    in_seconds(1),
    at_date(1.5),
    in_seconds(0, 503),
    Respond(503),
    Reset(),
    Hang(),
)
"""One of each that passes."""

LLM_FAULTS: tuple[Act, ...] = (
    Respond(200, b"<html>"),
    Respond(200, {"choices": []}),
    Respond(200, completion(None, refusal="I will not.")),
    Respond(200, completion('{"topic": ["spa', finish_reason="length")),
    Respond(200, completion('{"topic": ["spaceflight"]}')),
    Respond(200, completion('{"topic": ["space", "space"]}')),
)
API_FAULTS: tuple[Act, ...] = (
    Respond(200, b'{"results": [{'),
    Respond(200, {"results": []}),
    Respond(200, {"results": [{"model_id": 42, "predictions": [[]]}]}),
    Respond(413),
)
"""Answers that are asked for once more, or in parts; a second one in a row would fail its texts."""


def test_faults_that_pass_cost_no_row_of_a_language_model(
    labelf: Labelf, remote: Remote, tmp_path: Path
) -> None:
    texts = [f"climate {n}" for n in range(60)]
    remote.script.extend(FAULTS)
    no = Respond(200, completion(None, refusal="No."))
    remote.by_text = {f"climate {n}": deque([no, no]) for n in (50, 51)}
    remote.by_text |= {f"climate {n}": deque([act]) for n, act in enumerate(LLM_FAULTS, 40)}
    table, config = write(tmp_path, remote, LLM, texts)
    output = tmp_path / "out.csv"
    done = labelf("classify", table, "-c", config, "-o", output, "--quiet")
    assert done.returncode == 3, done.stderr
    rows = read(output)
    assert [row["id"] for row in rows] == [f"{n:04}" for n in range(60)]
    for n, row in enumerate(rows):
        if n in {50, 51}:
            assert row["labelf.error"] == "topic: refused: 'No.'"
        else:
            assert (row["topic.label"], row["labelf.status"]) == ("climate", "ok")
    assert set(remote.answered.values()) == {1}
    assert len(remote.answered) == 58
    assert len(remote.requests) == 60 + 12 + 2


def test_faults_that_pass_cost_no_row_of_the_api(
    labelf: Labelf, remote: Remote, tmp_path: Path
) -> None:
    texts = [f"{('Mobile', 'TV')[n % 2]} Calm {n}" for n in range(160)]
    remote.script.extend(FAULTS)
    remote.by_text = {
        f"Calm {n}": deque([act]) for n, act in zip((100, 118, 128, 144), API_FAULTS, strict=True)
    }
    remote.labels[42] = ("Mobile", "TV", "Fixed", "Radio")
    remote.score = lambda text, _, label: float(
        label in text if "77" not in text else label == "Radio"
    )
    table, config = write(tmp_path, remote, API, texts)
    output = tmp_path / "out.csv"
    done = labelf("classify", table, "-c", config, "-o", output, "--quiet")
    assert done.returncode == 3, done.stderr
    rows = read(output)
    assert [row["id"] for row in rows] == [f"{n:04}" for n in range(160)]
    for n, row in enumerate(rows):
        if n == 77:
            reason = "the service gives 'Radio', which is no label of the config"
            assert row["labelf.error"] == f"product: {reason}"
            assert row["mood.score.Calm"] == "0"
        else:
            assert (row["product.label"], row["labelf.status"]) == (texts[n].split()[0], "ok")
            assert (row["mood.label"], row["mood.score.Angry"]) == ("Calm", "0")
    assert set(remote.answered.values()) == {1}


@pytest.mark.parametrize("config", [LLM, API])
def test_a_refused_token_ends_the_run_and_the_same_command_goes_on(
    config: str, labelf: Labelf, remote: Remote, tmp_path: Path
) -> None:
    texts = [f"climate Mobile Calm {n}" for n in range(40)]
    name = 'base_url = "{remote.v1}"' if config is LLM else 'base_url = "{remote.v2}"'
    table, path = write(
        tmp_path, remote, config.replace(name, f'{name}\ntoken_env = "A_TOKEN"'), texts
    )
    command = ("classify", table, "-c", path, "-o", tmp_path / "out.csv", "--quiet")
    missing = labelf(*command, env={k: v for k, v in os.environ.items() if k != "A_TOKEN"})
    assert missing.returncode == 2
    assert b"the environment variable A_TOKEN is not set" in missing.stderr
    assert not remote.requests
    remote.token = "right-token"
    refused = labelf(*command, env={**os.environ, "A_TOKEN": "wrong-token"})
    assert refused.returncode == 1
    assert b"401 Unauthorized: token Bearer" in refused.stderr
    assert b"wrong-token" not in refused.stderr
    assert b"Traceback" not in refused.stderr
    done = labelf(*command, env={**os.environ, "A_TOKEN": "right-token"})
    assert done.returncode == 0, done.stderr
    assert len(read(tmp_path / "out.csv")) == 40
    assert set(remote.answered.values()) == {1}


@pytest.mark.parametrize(("config", "per_call"), [(LLM, 1), (API, 8)])
def test_killed_and_gone_on_with(
    config: str,
    per_call: int,
    remote: Remote,
    tmp_path: Path,
    survived: Callable[[str, int], None],
) -> None:
    """No text is answered twice but those that were under way when the run was killed."""
    texts = [f"climate Mobile Calm {n}" for n in range(120 * per_call)]
    table, path = write(tmp_path, remote, config + "concurrency = 4\n", texts)
    remote.delay = 0.03
    output = tmp_path / "out.csv"
    command = [*COMMAND, str(table), "-c", str(path), "-o", str(output), "--quiet"]
    kills = 0
    dice = random.Random(per_call)
    while not output.exists():
        before = len(remote.requests)
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            wanted = before + dice.randint(15, 35)
            while process.poll() is None and (kills == 3 or len(remote.requests) < wanted):
                time.sleep(0.002)
            if process.poll() is None:
                process.kill()
                kills += 1
            assert process.stderr is not None
            assert process.stderr.read() == b""
    assert kills == 3
    rows = read(output)
    assert [row["text"] for row in rows] == texts
    assert {row["labelf.status"] for row in rows} == {"ok"}
    asked = remote.asked()
    twice = sum(count - 1 for count in asked.values())
    assert set(asked) == {f"Headline: {text}" for text in texts} if config is LLM else set(texts)
    assert twice <= kills * 4 * per_call  # so many requests are under way at once
    survived("kills of runs that ask services", kills)
    with serve() as other:
        other.labels = remote.labels
        whole = write(tmp_path, other, config, texts)
        done = subprocess.run(
            [*COMMAND, *map(str, (whole[0], "-c", whole[1], "-o", tmp_path / "whole.csv", "-q"))],
            check=False,
            timeout=120,
        )
        assert done.returncode == 0
    assert (tmp_path / "whole.csv").read_bytes() == output.read_bytes()


def test_max_requests_bounds_the_bill(labelf: Labelf, remote: Remote, tmp_path: Path) -> None:
    texts = [f"climate {n}" for n in range(50)]
    table, config = write(tmp_path, remote, LLM, texts)
    output, report = tmp_path / "out.csv", tmp_path / "report.json"
    command = ("classify", table, "-c", config, "-o", output, "--report", report, "-q")
    for run in (1, 2):
        done = labelf(*command, "--max-requests", "20")
        assert done.returncode == 1
        assert done.stderr.decode().count("\n") == 1
        assert b"error: --max-requests 20 is used up. What is answered is kept" in done.stderr
        assert len(remote.requests) == 20 * run
        assert not output.exists()
    assert labelf(*command, "--max-requests", "20").returncode == 0
    assert len(remote.requests) == 50
    assert set(remote.answered.values()) == {1}
    assert len(read(output)) == 50


@pytest.mark.parametrize(
    ("signum", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
@pytest.mark.parametrize("act", [Hang(), in_seconds(60)], ids=["hanging", "waiting"])
def test_a_signal_ends_requests_in_flight(
    act: Act, signum: signal.Signals, exit_code: int, remote: Remote, tmp_path: Path
) -> None:
    table, config = write(tmp_path, remote, LLM.replace("2.0", "60.0"), ["a", "b", "c"])
    remote.script.extend([act] * 100)
    command = [*COMMAND, str(table), "-c", str(config), "-o", str(tmp_path / "out.csv")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while len(remote.requests) < (3 if isinstance(act, Hang) else 1):
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signum)
        _, stderr = process.communicate(timeout=20)  # within it the run is ended in order
    assert process.returncode == exit_code
    assert b"Traceback" not in stderr


def test_all_kinds_in_one_config_and_a_hierarchy(
    labelf: Labelf, remote: Remote, tmp_path: Path, write_model: WriteModel
) -> None:
    texts = ["my bill is high climate", "no signal space", "my bill", "the tv TV", "", "no tv"]
    config = f"""
[[models]]
name = "local"
path = "{write_model(labels=("yes", "no"))}"
max_predictions = 1

[[models]]
name = "topic"
kind = "llm"
base_url = "{remote.v1}"
model = "small"
labels = ["space", "climate"]
none_label = "none"
only_where = {{{{ local = ["yes"] }}}}

[[models]]
name = "product"
kind = "labelf-api"
base_url = "{remote.v2}"
model_id = 42
max_predictions = 1
"""
    table, path = write(tmp_path, remote, config, texts)
    done = labelf("classify", table, "-c", path, "-o", tmp_path / "out.csv", "-q")
    assert done.returncode == 0, done.stderr
    rows = read(tmp_path / "out.csv")
    yes = [row["text"] for row in rows if row["local.label"] == "yes"]
    assert yes
    assert len(yes) < 5
    assert sorted(t for sent in remote.posts("completions") for t in sent.texts) == sorted(yes)
    for row in rows:
        named = next((label for label in ("space", "climate") if label in row["text"]), "none")
        assert row["topic.label"] == (named if row["text"] in yes else "")
        assert bool(row["product.label"]) is bool(row["text"])
    assert sorted(t for sent in remote.posts("inference") for t in sent.texts) == sorted(
        text for text in texts if text
    )
    assert [sent.path for sent in remote.requests if sent.method == "GET"] == ["/v2/models/42"]


def test_runs_share_a_cache(labelf: Labelf, remote: Remote, tmp_path: Path) -> None:
    table, config = write(tmp_path, remote, LLM, ["space", "climate", "space"])
    cache = tmp_path / "answers.sqlite"
    first = labelf("classify", table, "-c", config, "--cache", cache, "-q")
    assert (first.returncode, len(remote.requests)) == (0, 2)
    config.write_text(config.read_text() + "max_predictions = 1\nconcurrency = 1\n")
    second = labelf("classify", table, "-c", config, "--cache", cache, "-q")
    assert (second.returncode, len(remote.requests)) == (0, 2)
    table.write_text("text\nspace\nscience\n")
    third = labelf("classify", table, "-c", config, "--cache", cache, "-q")
    assert (third.returncode, len(remote.requests)) == (0, 3)
    assert b"science,science" in third.stdout


def test_the_api_gives_the_table_of_the_local_model(
    labelf: Labelf, remote: Remote, tmp_path: Path, write_model: WriteModel
) -> None:
    model = write_model(labels=("yes", "no", "maybe"))
    local = f'[[models]]\nname = "m"\npath = "{model}"\n'
    texts = [f"my {word} is {other}" for word in ("bill", "tv") for other in ("high", "no", "x")]
    table, path = write(tmp_path, remote, local, texts)
    lines = labelf("classify", table, "-c", path, "--output-format", "jsonl", "-q").stdout
    scores: dict[str, dict[str, float]] = {}
    for line in lines.splitlines():
        row: dict[str, Any] = json.loads(line)
        scores[row["text"]] = {label: row[f"m.score.{label}"] for label in ("yes", "no", "maybe")}
    remote.labels[7] = ("yes", "no", "maybe")
    remote.score = lambda text, _, label: scores[text][label]
    here, there = tmp_path / "local.parquet", tmp_path / "remote.parquet"
    assert labelf("classify", table, "-c", path, "-o", here, "-q").returncode == 0
    path.write_text(
        f'[[models]]\nname = "m"\nkind = "labelf-api"\nbase_url = "{remote.v2}"\n'
        'model_id = 7\nlabels = ["yes", "no", "maybe"]\n'
    )
    assert labelf("classify", table, "-c", path, "-o", there, "-q").returncode == 0
    assert here.read_bytes() == there.read_bytes()


def test_models_shows_who_is_asked(labelf: Labelf, remote: Remote, tmp_path: Path) -> None:
    _, config = write(tmp_path, remote, LLM, [])
    shown = labelf("models", "--config", config)
    assert shown.returncode == 0, shown.stderr
    assert f"small at {remote.v1}" in " ".join(shown.stdout.decode().split())
    assert not remote.requests


def test_the_library_is_imported_where_it_is_needed_and_missed_by_name(
    labelf: Labelf, remote: Remote, tmp_path: Path
) -> None:
    table, config = write(tmp_path, remote, LLM, ["space"])
    (tmp_path / "without").mkdir()
    for name in ("httpx2", "stamina"):
        missing = f"raise ModuleNotFoundError(name={name!r})"
        (tmp_path / "without" / f"{name}.py").write_text(missing)
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "without")}
    done = labelf("classify", table, "-c", config, env=env)
    assert done.returncode == 2
    expected = "error: model 'topic' needs httpx2. Run: pip install 'labelf-cli[remote]'\n"
    assert done.stderr.decode() == expected
    assert labelf("schema", env=env).returncode == 0
