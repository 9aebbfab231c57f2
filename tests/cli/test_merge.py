"""``labelf classify --shard`` and ``labelf merge``, as commands."""

import json
from pathlib import Path

from conftest import ROOT, Labelf

CONFIG = ROOT / "configs" / "models.toml"
CALLS = ROOT / "sample_data" / "calls.csv"


def test_shards_and_their_merge(labelf: Labelf, tmp_path: Path) -> None:
    common = ("classify", CALLS, "-c", CONFIG, "--model", "product", "-q", "-o")
    work = tmp_path / "work"
    for arguments in (("whole.csv",), *((f"s{k}.csv", "--shard", f"{k}/2") for k in (1, 2))):
        assert labelf(*common, *arguments).returncode == 0
    assert (work / "s2.csv").read_text().count("\n") == 1  # a shard may have no row
    done = labelf("merge", "s*.csv", "-o", "joined.csv", "--report", "report.json")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.startswith(b"80 rows in ")
    assert (work / "joined.csv").read_bytes() == (work / "whole.csv").read_bytes()
    assert json.loads((work / "report.json").read_text())["rows"] == 80
    lacking = labelf("merge", "s1.csv", "-o", "joined.csv", "-q")
    assert (lacking.returncode, lacking.stdout, lacking.stderr) == (
        2,
        b"",
        b"error: shard 2/2 is missing. Give the outputs of all 2 shards, each once\n",
    )
