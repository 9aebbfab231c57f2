"""A real server that enforces schemas by grammar: llama-cpp-python's, with random weights.

    python -m venv llama && llama/bin/pip install 'llama-cpp-python[server]'  # compiles for minutes
    LLAMA_PYTHON=llama/bin/python pytest -m llama

What it answers means nothing, and every answer is valid. Of lists, a grammar can't say that no
label stands twice; what labelf makes of such ones is told apart here.
"""

import csv
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import SHARED, Labelf, needs_shared

PYTHON = os.environ.get("LLAMA_PYTHON", sys.executable)
GGUF = SHARED / "models" / "tiny-llm" / "tiny.gguf"
TEXTS = [
    "Russia funds new AI climate project",
    "Räkningen är för hög and I am 非常生气 🌍",
    "",
    *(f"Headline number {n}, with {n * n} words" for n in range(40)),
]

pytestmark = [pytest.mark.llama, needs_shared]


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    command = [PYTHON, "-m", "llama_cpp.server", "--model", str(GGUF), "--port", str(port)]
    log = tmp_path_factory.mktemp("llama") / "server.log"
    with (
        log.open("wb") as output,
        subprocess.Popen([*command, "--n_ctx", "4096"], stdout=output, stderr=output) as process,
    ):
        try:
            ends = time.monotonic() + 60
            while not answers(f"{url}/models"):
                assert process.poll() is None, log.read_text(errors="replace")
                assert time.monotonic() < ends
                time.sleep(0.1)
            yield url
        finally:
            process.kill()


def answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=1) as response:
        return bool(response.status == 200)
    return False


CONFIG = """
[defaults]
kind = "llm"
base_url = "{}"
model = "tiny"
response_format = "json_object"
text_prefix = "Headline: "
none_label = "none"
"""
LABELS = {
    "topic": ["space", "science", "technology", "climate"],
    "mood": ["angry", "calm"],
    "språk": ["svenska", "English", "räkningens språk"],
    "länge sedan": ["ja", "nej"],
}


def classified(
    labelf: Labelf, base_url: str, folder: Path, more: str
) -> tuple[list[dict[str, str]], int]:
    """The rows, and how many requests they took."""
    table, config = folder / "in.csv", folder / "models.toml"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text"])
        rows.writerows([text] for text in TEXTS)
    models = "".join(
        f'[[models]]\nname = "{name}"\nlabels = {json.dumps(labels, ensure_ascii=False)}\n{more}'
        for name, labels in LABELS.items()
    )
    config.write_text(CONFIG.format(base_url) + models)
    output, report = folder / "out.csv", folder / "report.json"
    done = labelf("classify", table, "-c", config, "-o", output, "--report", report, "-q")
    assert done.returncode in {0, 3}, done.stderr
    with output.open(newline="") as file:
        spent = json.loads(report.read_text())["spent"]
        assert spent["prompt_tokens"] > 0
        return list(csv.DictReader(file)), spent["requests"]


def test_one_label_a_question(labelf: Labelf, base_url: str, tmp_path: Path) -> None:
    rows, requests = classified(labelf, base_url, tmp_path, "")
    assert [row["text"] for row in rows] == TEXTS
    assert requests == len(TEXTS) - 1
    for row in rows:
        assert row["labelf.status"] == ("ok" if row["text"] else "empty")
        for name, labels in LABELS.items():
            assert row[f"{name}.label"] in ([*labels, "none"] if row["text"] else [""])


def test_lists_of_labels(labelf: Labelf, base_url: str, tmp_path: Path) -> None:
    rows, _ = classified(labelf, base_url, tmp_path, "multi_label = true\n")
    assert [row["text"] for row in rows] == TEXTS
    for row in filter(lambda row: row["text"], rows):
        reasons = dict(part.split(": ", 1) for part in row["labelf.error"].split("; ") if part)
        for name, labels in LABELS.items():
            if name in reasons:  # what the grammar can't say, and nothing that it can
                assert reasons[name].endswith(("has a label twice", "has 'none' beside others"))
            else:
                assert set(json.loads(row[f"{name}.labels"])) <= {*labels, "none"}
