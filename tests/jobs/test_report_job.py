"""The report job: every figure against plain Python over the same rows, whatever the format."""

import csv
import gzip
import json
import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats.contingency import association

from labelf_cli.errors import InputError
from labelf_cli.jobs.report import ReportSettings, report
from labelf_cli.outputs.rows import OutputTable
from labelf_cli.pages.report import report_page
from labelf_cli.reported import ModelReport, Report
from labelf_cli.tallies.answers import SHARE_EDGES
from labelf_cli.tallies.chosen import SHOWN_CHARACTERS, ChosenRow

Row = dict[str, Any]
ROWS = 2500
"""More than two batches."""

SHOWN = 30
PRODUCTS = ("TV", "Mobile", "Fixed")
TOPICS = ("bill", "fault", "other")
LONG = "long " * 1000


def made_up(seed: int, rows: int = ROWS) -> list[Row]:
    """Rows of a model of one label with all scores, a capped one, and one of several labels."""
    random = np.random.default_rng(seed)
    return [made_up_row(random, number) for number in range(rows)]


def made_up_row(random: np.random.Generator, number: int) -> Row:
    scores = random.dirichlet([2.0, 1.0, 0.5]).astype(np.float32).round(2).tolist()
    topics = random.random(3).astype(np.float32).round(2).tolist()
    accepted = sorted((-score, name) for score, name in zip(topics, TOPICS, strict=True))
    labels = [name for score, name in accepted if -score >= 0.5]
    has_failed = random.random() < 0.02
    best = max(range(3), key=lambda at: scores[at])
    mood = None if has_failed else str(random.choice(["calm", "angry"], p=[0.8, 0.2]))
    return {
        "id": f"{number:05}",
        "text": None if number % 50 == 0 else LONG if number % 49 == 0 else f"text {number}",
        "product.label": None if has_failed else PRODUCTS[best],
        "product.score": None if has_failed else scores[best],
        **{
            f"product.score.{name}": None if has_failed else score
            for name, score in zip(PRODUCTS, scores, strict=True)
        },
        "mood.label": mood,
        "mood.score": None if mood is None else round(float(random.random()), 2),
        "topics.label": None if has_failed else labels[0] if labels else "none",
        "topics.score": None if has_failed or not labels else -accepted[0][0],
        **{
            f"topics.score.{name}": None if has_failed else score
            for name, score in zip(TOPICS, topics, strict=True)
        },
        "topics.labels": None if has_failed else labels or ["none"],
        "gold": str(random.choice([PRODUCTS[best], "TV", "Radio"])) if number % 3 else None,
        "topics_gold": None if number % 4 == 0 else labels if number % 5 else ["bill", "fault"],
        "labelf.status": "failed" if has_failed else "ok",
        "labelf.error": f"product: {number} tokens, more than 512" if has_failed else None,
    }


NUMBERS = ("score", *(f"score.{name}" for name in (*PRODUCTS, *TOPICS)))
LISTS = ("topics.labels", "topics_gold")


def write(path: Path, rows: list[Row], group: int = 700) -> Path:
    """A table in the format of the suffix; lists are JSON text where the format has none."""
    if path.suffix == ".parquet":
        fields = [(name, kind(name)) for name in rows[0]]
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(fields)), path, row_group_size=group)
    elif ".jsonl" in path.suffixes:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with gzip.open(path, "wt", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            for row in rows:
                cells = {k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()}
                writer.writerow(cells)
    return path


def kind(name: str) -> pa.DataType:
    if name in LISTS:
        return pa.list_(pa.string())
    if name.partition(".")[2] in NUMBERS:
        return pa.float32()
    return pa.dictionary(pa.int32(), pa.string()) if name.endswith("label") else pa.string()


GOLD = {"product": "gold", "topics": "topics_gold"}


def reported(path: Path, **settings: Any) -> Report:  # noqa: ANN401
    table = OutputTable((str(path),))
    return report(ReportSettings(table, keys=("id",), shown=SHOWN, **settings), lambda _: None)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return made_up(1)


@pytest.fixture(scope="module")
def before() -> list[Row]:
    earlier = made_up(2, 900)
    for row in earlier:
        if row["product.label"] == "TV":
            row["product.label"] = "Telegraph"
    return earlier


@pytest.fixture(scope="module")
def found(rows: list[Row], before: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("report")
    earlier = OutputTable((str(write(folder / "before.jsonl", before)),))
    return reported(write(folder / "now.parquet", rows), gold=GOLD, baseline=earlier)


def model(found: Report, name: str) -> ModelReport:
    (its,) = (one for one in found.models if one.name == name)
    return its


def test_rows_and_statuses_are_counted(found: Report, rows: list[Row]) -> None:
    assert (found.rows, found.has_text, found.keys) == (ROWS, True, ("id",))
    assert [one.name for one in found.models] == ["product", "mood", "topics"]
    assert [one.multi_label for one in found.models] == [False, False, True]
    assert found.statuses == Counter(row["labelf.status"] for row in rows)
    assert found.reasons == {"product: N tokens, more than N": found.statuses["failed"]}
    failed = [row["id"] for row in rows if row["labelf.status"] == "failed"][:SHOWN]
    assert [row.keys for row in found.failed] == [(key,) for key in failed]
    assert found.failed[0].error is not None


@pytest.mark.parametrize("name", ["product", "mood"])
def test_labels_are_counted(name: str, found: Report, rows: list[Row]) -> None:
    its, expected = model(found, name), Counter(row[f"{name}.label"] for row in rows)
    assert its.unlabelled == expected.pop(None)
    assert its.labels == expected
    assert list(its.labels.values()) == sorted(expected.values(), reverse=True)


def test_several_labels_are_counted_each(found: Report, rows: list[Row]) -> None:
    its, lists = model(found, "topics"), [row["topics.labels"] or () for row in rows]
    assert its.labels == Counter(label for labels in lists for label in labels)
    assert its.unlabelled == sum(not labels for labels in lists)


@pytest.mark.parametrize("name", ["product", "mood", "topics"])
def test_scores_are_binned(name: str, found: Report, rows: list[Row]) -> None:
    its = model(found, name)
    scores = [np.float32(s) for row in rows if (s := row[f"{name}.score"]) is not None]
    assert its.scored == len(scores)
    assert its.mean_score == pytest.approx(math.fsum(scores) / len(scores), abs=1e-6)
    edges = SHARE_EDGES.tolist()
    expected = [
        sum(low <= s < high or s == high == 1 for s in scores) for low, high in pairwise(edges)
    ]
    assert its.histogram.tolist() == expected


def shown(rows: tuple[ChosenRow, ...]) -> list[tuple[int, float | None]]:
    return [(row.row, row.score) for row in rows]


def lowest(ranks: list[float | None]) -> list[int]:
    """Numbers of the rows with the lowest ranks, the earlier of equals first."""
    ranked = sorted((rank, at) for at, rank in enumerate(ranks) if rank is not None)
    return [at + 1 for _, at in ranked[:SHOWN]]


def test_the_least_certain_rows_are_those_of_the_smallest_margin(
    found: Report, rows: list[Row]
) -> None:
    def margin(row: Row) -> float | None:
        scores = [row[f"product.score.{name}"] for name in PRODUCTS]
        if None in scores:
            return None
        least, most = sorted(map(np.float32, scores))[-2:]
        return float(most - least)

    its = model(found, "product")
    assert its.has_margins
    margins = [margin(row) for row in rows]
    assert [row.row for row in its.least_certain] == lowest(margins)
    assert [row.rank for row in its.least_certain] == [
        margins[row.row - 1] for row in its.least_certain
    ]
    for row in its.least_certain:
        assert row.labels == (rows[row.row - 1]["product.label"],)
        assert row.keys == (rows[row.row - 1]["id"],)
        assert (row.text or "") == (rows[row.row - 1]["text"] or "")[:SHOWN_CHARACTERS]
        assert row.characters == len(rows[row.row - 1]["text"] or "")


def test_where_scores_are_missing_it_is_the_score(found: Report, rows: list[Row]) -> None:
    its = model(found, "mood")
    assert not its.has_margins
    assert [row.row for row in its.least_certain] == lowest([row["mood.score"] for row in rows])


def test_of_several_labels_it_is_how_near_one_is_to_a_half(found: Report, rows: list[Row]) -> None:
    def nearest(row: Row) -> float | None:
        scores = [row[f"topics.score.{name}"] for name in TOPICS]
        if None in scores:
            return None
        return min(float(abs(np.float32(score) - np.float32(0.5))) for score in scores)

    its = model(found, "topics")
    assert [row.row for row in its.least_certain] == lowest([nearest(row) for row in rows])


def test_rows_that_are_not_as_gold_are_found(found: Report, rows: list[Row]) -> None:
    its = model(found, "product").gold
    assert its is not None
    gold = [row for row in rows if row["gold"] is not None]
    assert (its.rows, its.right) == (
        len(gold),
        sum(row["gold"] == row["product.label"] for row in gold),
    )
    expected = Counter((row["gold"], row["product.label"]) for row in gold)
    assert counted(its.labels, its.labels, its.counts) == expected
    is_wrong = [row["gold"] is not None and row["gold"] != row["product.label"] for row in rows]
    ranks = [
        -float(np.float32(row["product.score"] or 0)) if wrong else None
        for row, wrong in zip(rows, is_wrong, strict=True)
    ]
    assert [row.row for row in its.wrong] == lowest(ranks)
    for row in its.wrong:
        assert row.gold == (rows[row.row - 1]["gold"],)


def test_several_gold_labels_are_compared_as_sets(found: Report, rows: list[Row]) -> None:
    its = model(found, "topics").gold
    assert its is not None
    gold = [row for row in rows if row["topics_gold"] is not None]
    right = [
        row
        for row in gold
        if row["topics.labels"] is not None
        and set(row["topics_gold"]) == {name for name in row["topics.labels"] if name != "none"}
    ]
    assert (its.rows, its.right) == (len(gold), len(right))
    assert not its.counts.any()
    assert 0 < len(right) < len(gold)


def counted(
    first: tuple[str | None, ...], second: tuple[str | None, ...], counts: np.ndarray
) -> Counter[tuple[str | None, str | None]]:
    cells = ((i, j, int(n)) for (i, j), n in np.ndenumerate(counts) if n)
    return Counter({(first[i], second[j]): n for i, j, n in cells})


def test_labels_together_are_counted(found: Report, rows: list[Row]) -> None:
    pairs = {(pair.first, pair.second): pair for pair in found.pairs}
    assert set(pairs) == {("product", "mood"), ("product", "topics"), ("mood", "topics")}
    pair = pairs["product", "mood"]
    expected = Counter((row["product.label"], row["mood.label"]) for row in rows)
    assert counted(pair.first_labels, pair.second_labels, pair.counts) == expected
    moods = ("calm", "angry")
    table = np.array([[expected[product, mood] for mood in moods] for product in PRODUCTS])
    assert pair.cramers_v == pytest.approx(association(table, method="cramer"))
    several = pairs["mood", "topics"]
    expected = Counter(
        (row["mood.label"], topic) for row in rows for topic in row["topics.labels"] or [None]
    )
    assert counted(several.first_labels, several.second_labels, several.counts) == expected
    assert several.cramers_v is None


def test_drift_is_that_of_the_shares(found: Report, rows: list[Row], before: list[Row]) -> None:
    its = model(found, "product").drift
    assert its is not None
    shares = [
        {label: n / len(table) for label, n in Counter(r["product.label"] for r in table).items()}
        for table in (before, rows)
    ]
    labels = {*shares[0], *shares[1]}
    changes = {label: shares[1].get(label, 0) - shares[0].get(label, 0) for label in labels}
    assert {one.label: one.change for one in its.labels} == pytest.approx(changes)
    assert its.distance == pytest.approx(sum(c for c in changes.values() if c > 0))
    assert (its.new, its.gone, its.rows_before) == (("TV",), ("Telegraph",), len(before))
    means = [
        np.mean([s for r in t if (s := r["product.score"]) is not None]) for t in (before, rows)
    ]
    assert its.score_change == pytest.approx(means[1] - means[0], abs=1e-6)
    several = model(found, "topics").drift
    assert several is not None
    assert several.distance is None


@pytest.mark.parametrize("name", ["other.parquet", "now.csv.gz", "now.jsonl"])
def test_the_page_is_the_same_from_any_format(name: str, rows: list[Row], tmp_path: Path) -> None:
    expected = reported(write(tmp_path / "now.parquet", rows), gold=GOLD)
    found = reported(write(tmp_path / name, rows, group=5000), gold=GOLD)
    assert report_page(replace(found, source="it")) == report_page(replace(expected, source="it"))


def test_nested_models_are_read_from_parquet(rows: list[Row], tmp_path: Path) -> None:
    wide = pq.read_table(write(tmp_path / "wide.parquet", rows))
    label, score = (wide[f"mood.{part}"].combine_chunks() for part in ("label", "score"))
    none = pa.nulls(len(wide), pa.list_(pa.struct({"label": pa.string(), "score": pa.float32()})))
    struct = pa.StructArray.from_arrays([label, score, none], ["label", "score", "predictions"])
    pq.write_table(pa.table({"text": wide["text"], "mood": struct}), tmp_path / "nested.parquet")
    found, expected = (
        report(ReportSettings(OutputTable((str(tmp_path / name),), ("mood",))), lambda _: None)
        for name in ("nested.parquet", "wide.parquet")
    )
    assert found.models[0].labels == expected.models[0].labels
    assert shown(found.models[0].least_certain) == shown(expected.models[0].least_certain)


def test_scores_that_are_no_shares_have_bins_of_their_own(tmp_path: Path) -> None:
    scores = [-30.0, -0.5, 0.5, 1.0, 19.5, 25.0]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps({"m.label": "a", "m.score": s}) + "\n" for s in scores))
    (its,) = report(ReportSettings(OutputTable((str(path),))), lambda _: None).models
    bins = {
        (float(low), int(n)) for low, n in zip(its.edges, its.histogram.tolist(), strict=False) if n
    }
    assert bins == {(-20, 1), (-1, 1), (0, 1), (1, 1), (19, 2)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"table": {"models": ("mod",)}}, "t.csv: no model 'mod'. There are: m"),
        ({"table": {"separator": "_"}}, "no model's labels and scores stand in it"),
        ({"table": {"text_columns": ("body",)}}, "no column 'body'"),
        ({"gold": {"m": "glod"}}, "no column 'glod'. Did you mean 'gold'?"),
        ({"gold": {"x": "gold"}}, "--gold: no model 'x'"),
        ({"keys": ("no",)}, "no column 'no'"),
        ({"run": "t.csv"}, "no summary of a run"),
        ({"run": "absent"}, "can't be read"),
    ],
)
def test_what_cant_be_reported_is_refused(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("m.label,m.score,gold\na,0.5,b\n")
    table = OutputTable((str(path),), **settings.pop("table", {}))
    if "run" in settings:
        settings["run"] = tmp_path / settings["run"]
    with pytest.raises(InputError) as error:
        report(ReportSettings(table, **settings), lambda _: None)
    assert message in str(error.value)


def test_what_is_no_score_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("m.label,m.score\na,high\n")
    with pytest.raises(InputError, match=r"column 'm.score': not a score"):
        report(ReportSettings(OutputTable((str(path),))), lambda _: None)


@pytest.mark.parametrize(
    ("content", "says"),
    [("m.label,m.score\n", "No row has an answer."), ("m.label,m.score\n,\n", "(no label)")],
)
def test_a_table_without_answers_has_a_page(content: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    found = report(ReportSettings(OutputTable((str(path),))), lambda _: None)
    page = report_page(found)
    assert says in page
    assert "nothing failed, and no model gives a score" in page
