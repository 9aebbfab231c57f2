"""What a person sees on stderr, in process: the summary, and no bar off a terminal."""

from collections import Counter
from pathlib import Path

import pytest

from labelf_cli.cli.console import show_progress, show_summary, write_report
from labelf_cli.errors import WriteError
from labelf_cli.run import Progress
from labelf_cli.summary import Summary


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on stderr; stdout is for data."""
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    return [line.rstrip() for line in stderr.splitlines()]


def test_the_summary_counts_rows_and_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    show_summary(Summary(1200, Counter(empty=3, ok=1190, failed=7), {}, 2.0))
    assert said(capsys) == ["1,200 rows in 2.0 s (600/s): 1,190 ok, 7 failed, 3 empty"]


def test_the_summary_shows_each_labels_share(capsys: pytest.CaptureFixture[str]) -> None:
    labels: Counter[str | None] = Counter({"Technical": 1, "Billing": 2, None: 1})
    show_summary(Summary(4, Counter(ok=3, empty=1), {"issue": labels}, 1.0))
    _, title, *shares = said(capsys)
    assert title == "issue"
    assert [" ".join(line.replace("━", " ").replace("╸", " ").split()) for line in shares[:3]] == [
        "Billing 50.0% 2",
        "Technical 25.0% 1",
        "(no label) 25.0% 1",
    ]
    assert shares[0].count("━") == 2 * shares[1].count("━") == 12


def test_the_summary_counts_the_labels_that_it_does_not_show(
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels: Counter[str | None] = Counter({f"label {n}": 100 - n for n in range(15)})
    show_summary(Summary(15, Counter(ok=15), {"many": labels}, 1.0))
    lines = said(capsys)
    assert sum("label " in line for line in lines) == 12
    assert lines[-1] == "… and 3 more labels"


def test_names_with_brackets_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    labels: Counter[str | None] = Counter({"[/other]": 1})
    show_summary(Summary(1, Counter(ok=1), {"mood[v2]": labels}, 1.0))
    _, title, share, *_ = said(capsys)
    assert title == "mood[v2]"
    assert share.split()[0] == "[/other]"


def test_a_run_without_rows_has_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    show_summary(Summary(0, Counter(), {"m": Counter()}, 0.0))
    assert said(capsys)[0].startswith("0 rows in 0.0 s")


def test_off_a_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(hidden=False) as progress:
        progress(Progress(rows=10, expected=None))
        progress(Progress(rows=20, expected=40))
    assert said(capsys) == []


def test_a_report_that_cant_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "run.json"
    with pytest.raises(WriteError) as caught:
        write_report(path, Summary())
    assert str(caught.value).startswith(f"{path}: can't be written (No such file or directory)")
