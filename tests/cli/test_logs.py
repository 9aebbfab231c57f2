"""``--log-format json``: each line on stderr is an object."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conftest import Labelf

TABLE = b"id,text\n1,my bill\n2,no signal\n"
JSON_LOG = ("--log-format", "json")


def lines_of(stderr: bytes) -> list[dict[str, Any]]:
    """The objects, whose times are in order and of today."""
    found = [json.loads(line) for line in stderr.splitlines()]
    times = [datetime.fromisoformat(line.pop("time")) for line in found]
    assert times == sorted(times)
    assert all((datetime.now(UTC) - time).total_seconds() < 300 for time in times)
    return found


def test_the_summary_is_one_object(labelf: Labelf, config: Path) -> None:
    done = labelf("classify", "-", "-c", config, *JSON_LOG, stdin=TABLE)
    (line,) = lines_of(done.stderr)
    assert (line["level"], line["message"]) == ("info", "done")
    assert (line["summary"]["rows"], line["summary"]["statuses"]) == (2, {"ok": 2})


def test_what_is_done_is_told_line_by_line(labelf: Labelf, config: Path) -> None:
    done = labelf("classify", "-", "-c", config, "-q", "-v", *JSON_LOG, stdin=TABLE)
    lines = lines_of(done.stderr)
    assert any(line["message"].startswith("m: loaded in") for line in lines)
    assert {line["level"] for line in lines} == {"info"}


def test_a_quiet_run_says_nothing(labelf: Labelf, config: Path) -> None:
    done = labelf("classify", "-", "-c", config, "-q", *JSON_LOG, stdin=TABLE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_error_is_an_object(labelf: Labelf, config: Path) -> None:
    done = labelf("classify", "none.csv", "-c", config, *JSON_LOG)
    assert done.returncode == 2
    assert lines_of(done.stderr) == [
        {"level": "error", "message": "none.csv: no such file. Check the path"}
    ]


def test_a_warning_is_an_object(labelf: Labelf, config: Path) -> None:
    options = ("--bad-rows", "reject", "--rejects", "rejects", "-q")
    done = labelf("classify", "-", "-c", config, *options, *JSON_LOG, stdin=b"id,text\n1;a\n")
    assert done.returncode == 3
    (line,) = lines_of(done.stderr)
    assert line["level"] == "warning"
    assert line["message"].startswith("not one row could be read, 1 were rejected: rejects says")
