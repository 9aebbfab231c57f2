"""What a page consists of: its policy, its bytes, how numbers are told."""

import base64
import hashlib
import re

import numpy as np
import pytest

from labelf_cli.pages.heat import MOST_COLUMNS, NO_LABEL, heat_table, square_table
from labelf_cli.pages.plots import score_histogram
from labelf_cli.pages.render import percent, points, render
from labelf_cli.tallies.answers import SHARE_EDGES


def test_the_policy_lets_its_own_script_and_style_run_and_nothing_be_fetched() -> None:
    page = render("evaluation.html", title="<t>", source="s", cards=[])
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules) == {
        *("default-src", "img-src", "base-uri", "form-action", "script-src", "style-src")
    }
    assert (rules["img-src"], rules["form-action"]) == ("data:", "'none'")
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert "<title>&lt;t&gt;</title>" in page
    assert not re.findall(r"(?:src|href|srcset)=\"(?!data:|#)", page)


def test_a_plot_is_the_same_every_time_and_says_no_date() -> None:
    shares = np.linspace(0, 0.1, 20)
    plot, again = (score_histogram(SHARE_EDGES, shares, shares[::-1]) for _ in range(2))
    assert plot == again
    assert plot.light != plot.dark
    svg = base64.b64decode(plot.light.partition("base64,")[2]).decode()
    assert "date" not in svg.lower()


@pytest.mark.parametrize(
    ("share", "told"),
    [
        *((0, "0.0%"), (1e-9, "<0.1%"), (0.0006, "0.1%"), (0.5, "50.0%")),
        *((0.9994, "99.9%"), (0.99951, ">99.9%"), (1, "100.0%")),
    ],
)
def test_what_is_not_nothing_nor_all_does_not_look_so(share: float, told: str) -> None:
    assert percent(share) == told


@pytest.mark.parametrize(
    ("change", "told"), [(0.125, "+12.5"), (-0.031, "−3.1"), (-0.0001, "0.0"), (0, "0.0")]
)
def test_a_change_has_a_sign(change: float, told: str) -> None:
    assert points(change) == told


def test_rare_labels_share_a_column_and_nothing_is_lost() -> None:
    names = [None, *(f"l{n}" for n in range(30))]
    counts = np.arange(2 * 31).reshape(2, 31)
    table = heat_table(["a", "b"], names, counts)
    assert len(table.columns) == MOST_COLUMNS + 1
    assert table.columns[0] == "l29"
    assert table.columns[-2:] == ("19 others", NO_LABEL)
    assert table.is_pooled
    assert [(row.name, row.total) for row in table.rows] == [
        ("b", counts[1].sum()),
        ("a", counts[0].sum()),
    ]
    for row in table.rows:
        assert sum(cell.count for cell in row.cells) == row.total
        assert sum(cell.share for cell in row.cells) == pytest.approx(1)


def test_gold_and_answers_stand_in_the_same_order() -> None:
    names = [f"l{n}" for n in range(20)]
    counts = np.eye(20, dtype=np.int64) * 5
    counts[0, 1] = 9
    table = square_table([*names, None], counts)
    assert table.columns == tuple(row.name for row in table.rows)
    assert table.columns[:2] == ("l0", "l1")
    assert [row.cells[at].count for at, row in enumerate(table.rows)] == [5] * 11 + [45]
    assert table.rows[0].cells[1].count == 9
    assert square_table(["a", "b", None], np.array([[2, 0, 1], [0, 0, 4]])).columns == (
        *("a", NO_LABEL),
    )
