"""``labelf classify --shard`` and ``labelf merge``, as commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, Labelf
from s3_server import S3Server

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


def test_shards_in_a_bucket_one_of_them_killed(
    s3: S3Server, labelf: Labelf, tmp_path: Path
) -> None:
    table, bucket = tmp_path / "calls.csv", s3.bucket()
    with table.open("w") as file:
        file.write("id,text\n")
        file.writelines(f"{n:06},bill {n} for my broadband is too high\n" for n in range(20_000))
    env = {**os.environ, **s3.env, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    common = ("classify", str(table), "-c", str(CONFIG), "--model", "product", "-q", "-o")
    first = (*common, f"s3://{bucket}/s1.parquet", "--shard", "1/2")
    assert labelf(*common, "whole.parquet").returncode == 0
    with subprocess.Popen([sys.executable, "-m", "labelf_cli", *first], env=env) as process:
        while not any(key.endswith(".arrow") for key in s3.sizes(bucket)):
            assert process.poll() is None
        process.kill()
    merge = ("merge", f"s3://{bucket}/s?.parquet", "-o", f"s3://{bucket}/whole.parquet", "-q")
    second = (*common, f"s3://{bucket}/s2.parquet", "--shard", "2/2")
    assert labelf(*second, env=env).returncode == 0
    lacking = labelf(*merge, env=env)
    assert (lacking.returncode, lacking.stdout, lacking.stderr) == (
        2,
        b"",
        b"error: shard 1/2 is missing. Give the outputs of all 2 shards, each once\n",
    )
    assert labelf(*first, env=env).returncode == 0
    done = labelf(*merge, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    whole = (tmp_path / "work" / "whole.parquet").read_bytes()
    assert s3.get(f"{bucket}/whole.parquet") == whole
    names = [name for k in (1, 2) for name in (f"s{k}.parquet", f"s{k}.parquet.shard.json")]
    assert list(s3.sizes(bucket)) == [*names, "whole.parquet"]
