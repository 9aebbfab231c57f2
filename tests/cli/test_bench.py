"""``labelf bench`` as a user runs it."""

import re
from pathlib import Path

from conftest import ROOT, Labelf

CONFIG = ROOT / "configs" / "models.toml"


def test_the_figures_go_to_stdout(labelf: Labelf) -> None:
    done = labelf("bench", "-c", CONFIG, "--seconds", "0.1", "--threads", "1")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert re.match(r"[\d,]+ rows in \d+\.\d\d s on 1 threads, loading aside", text)
    for line in ("rows/s", "tokens/s", "was padding", "% tokenising", "% models"):
        assert line in text
    assert "speed with another --threads\n           1 1.00 times" in text
    assert "speed with another token_budget\n         256 " in text


def test_own_texts_are_read_as_classify_reads_them(labelf: Labelf, tmp_path: Path) -> None:
    (tmp_path / "calls.tsv").write_text("id\tbody\n1\tno signal\n2\tthe bill\n")
    arguments = ("-c", CONFIG, "--input", tmp_path / "calls.tsv", "--seconds", "0.1")
    refused = labelf("bench", *arguments)
    assert refused.returncode == 2
    assert b"no column 'text'" in refused.stderr
    done = labelf("bench", *arguments, "--text-column", "body")
    assert done.returncode == 0
    assert done.stdout.startswith(b"2 rows in ")
