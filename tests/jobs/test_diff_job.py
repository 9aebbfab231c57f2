"""The diff job: what two outputs say of the same rows, against plain Python."""

import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelf_cli.errors import AgreementError, InputError
from labelf_cli.jobs.diff import Diff, DiffSettings, diff
from labelf_cli.outputs.pair import by_key

Row = dict[str, Any]

LABELS = st.none() | st.sampled_from(["a", "b", "c"])
SCORES = st.floats(0, 1, width=32).map(lambda score: round(score, 3))
ROWS = st.lists(
    st.tuples(st.integers(0, 40), LABELS, SCORES), max_size=30, unique_by=lambda row: row[0]
)


def write(path: Path, rows: list[Row]) -> str:
    """A table in the format of the suffix; lists are JSON text where the format has none."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return str(path)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        if ".jsonl" in path.suffixes:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            for row in rows:
                cells = {k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()}
                writer.writerow(cells)
    return str(path)


def compared(before: str, after: str, *keys: str, **settings_: Any) -> Diff:  # noqa: ANN401
    return diff(DiffSettings(before, after, keys, **settings_))


def rows_of(found: list[tuple[int, str | None, float]]) -> list[Row]:
    return [
        {"id": key, "m.label": label, "m.score": None if label is None else score}
        for key, label, score in found
    ]


EMPTY = {"id": None, "m.label": None, "m.score": None}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=ROWS, second=ROWS)
def test_rows_are_matched_and_counted_as_plain_python_does(
    tmp_path: Path, first: list[tuple[Any, ...]], second: list[tuple[Any, ...]]
) -> None:
    schema = pa.schema([("id", pa.int64()), ("m.label", pa.string()), ("m.score", pa.float32())])
    for name, rows in (("a", first), ("b", second)):
        pq.write_table(pa.Table.from_pylist(rows_of(rows), schema), tmp_path / f"{name}.parquet")
    found = compared(str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), "id", shown=50)
    one, other = ({row[0]: row for row in rows} for rows in (first, second))
    both = [key for key in other if key in one]
    moved = [key for key in both if one[key][1] != other[key][1]]
    (model,) = found.models
    assert (found.rows, model.changed) == (len(both), len(moved))
    assert model.share == (len(moved) / len(both) if both else 0)
    expected = Counter((one[key][1], other[key][1]) for key in moved)
    assert {(its.before, its.after): its.rows for its in model.moves} == expected
    assert [its.rows for its in model.moves] == sorted(expected.values(), reverse=True)
    assert [key for (key,) in found.keys_only_before] == [str(k) for k in one if k not in other]
    assert [key for (key,) in found.keys_only_after] == [str(k) for k in other if k not in one]
    assert {row.key for row in model.examples} == {(str(key),) for key in moved}
    known = [key for key in both if one[key][1] and other[key][1]]
    changes = [abs(one[key][2] - other[key][2]) for key in known]
    assert model.largest_change == pytest.approx(max(changes, default=0), abs=1e-6)
    for row in model.examples:
        key = int(row.key[0])
        assert list(other)[row.row - 1] == key
        assert (row.before, row.after) == (one[key][1], other[key][1])


BEFORE = [
    {"id": "1", "text": "one", "m.label": "a", "m.score": 0.9, "m.score.a": 0.9, "m.score.b": 0.1},
    {"id": "2", "text": "two", "m.label": "b", "m.score": 0.6, "m.score.a": 0.4, "m.score.b": 0.6},
    {
        "id": "3",
        "text": "three",
        "m.label": "b",
        "m.score": 0.7,
        "m.score.a": 0.3,
        "m.score.b": 0.7,
    },
]
AFTER = [
    {
        "id": "3",
        "text": "three",
        "m.label": "b",
        "m.score": 0.8,
        "m.score.a": 0.1,
        "m.score.b": 0.8,
    },
    {"id": "1", "text": "one", "m.label": "b", "m.score": 0.7, "m.score.a": 0.3, "m.score.b": 0.7},
    {"id": "2", "text": "two", "m.label": "b", "m.score": 0.6, "m.score.a": 0.4, "m.score.b": 0.6},
]


@pytest.mark.parametrize("first", ["a.csv", "a.jsonl", "a.parquet", "a.csv.gz"])
@pytest.mark.parametrize("second", ["b.tsv.jsonl", "b.parquet"])
def test_outputs_of_any_format_are_compared(first: str, second: str, tmp_path: Path) -> None:
    names = write(tmp_path / first, BEFORE), write(tmp_path / second, AFTER)
    found = compared(*names, "id", text_column="text")
    (model,) = found.models
    assert (found.rows, model.changed) == (3, 1)
    (row,) = model.examples
    assert (row.row, row.key, row.before, row.after) == (2, ("1",), "a", "b")
    assert (row.label, row.text) == ("a", "one")
    assert (row.score_before, row.score_after) == pytest.approx((0.9, 0.3))
    assert [row.key for row in model.largest] == [("1",), ("3",)]
    assert (model.largest_change, model.mean_change) == pytest.approx((0.6, 0.8 / 3))


def test_each_model_has_rows_of_its_own_with_their_texts(tmp_path: Path) -> None:
    def row(text: str, m: str, n: str) -> Row:
        return {"text": text, "m.label": m, "m.score": 0.5, "n.label": n, "n.score": 0.5}

    before = write(tmp_path / "a.csv", [row("one", "a", "a"), row("two", "a", "a")])
    after = write(tmp_path / "b.csv", [row("one", "b", "a"), row("two", "a", "b")])
    models = compared(before, after, text_column="text").models
    assert [[(its.row, its.text) for its in one.examples] for one in models] == [
        [(1, "one")],
        [(2, "two")],
    ]


def test_without_a_key_the_position_tells(tmp_path: Path) -> None:
    names = write(tmp_path / "a.csv", BEFORE), write(tmp_path / "b.csv", AFTER)
    (model,) = compared(*names).models
    assert ([row.row for row in model.examples], model.changed) == ([1], 1)
    (model,) = compared(names[0], names[0]).models
    assert (model.changed, model.largest_change, model.moves, model.largest) == (0, 0, (), ())
    short = write(tmp_path / "c.csv", AFTER[:2])
    with pytest.raises(InputError, match=r"c\.csv: 2 rows, but .*a\.csv has 3\. .* with --key"):
        compared(names[0], short)


def test_of_several_labels_the_sets_are_compared(tmp_path: Path) -> None:
    def rows(*labels: list[str] | None) -> list[Row]:
        return [
            {"m.label": its[0] if its else None, "m.score": 0.5, "m.labels": its} for its in labels
        ]

    before = write(tmp_path / "a.parquet", rows(["x", "y"], ["x"], [], None, ["y"]))
    after = write(tmp_path / "b.jsonl", rows(["y", "x"], ["x", "y"], ["x"], None, None))
    (model,) = compared(before, after).models
    assert model.changed == 3
    assert {(its.before, its.after) for its in model.moves} == {
        ("x", "x; y"),
        (None, "x"),
        ("y", None),
    }


def test_several_keys_together_tell_a_row(tmp_path: Path) -> None:
    rows = [{"day": d, "n": n, "m.label": "a", "m.score": 0.5} for d in "ab" for n in (1, 2)]
    names = write(tmp_path / "a.csv", rows), write(tmp_path / "b.jsonl", rows[::-1])
    assert compared(*names, "day", "n").rows == 4
    with pytest.raises(InputError, match=r"a\.csv, day: 2 keys stand more than once, such as a"):
        compared(*names, "day")


def test_only_models_of_both_are_compared(tmp_path: Path) -> None:
    row = {f"{name}.{part}": "1" for name in ("m", "n") for part in ("label", "score")}
    names = write(tmp_path / "a.csv", [row]), write(tmp_path / "b.csv", [row | EMPTY])
    assert [its.name for its in compared(*names).models] == ["m", "n"]
    assert [its.name for its in compared(*names, models=("n",)).models] == ["n"]
    less = write(tmp_path / "c.csv", [{"m.label": "1", "m.score": "1"}])
    assert compared(names[0], less).models_in_one == ("n",)
    with pytest.raises(InputError, match="no model 'n' in both"):
        compared(names[0], less, models=("n",))
    none = write(tmp_path / "d.csv", [{"text": "1"}])
    with pytest.raises(InputError, match=r"d\.csv: there is no model whose columns"):
        compared(names[0], none)


@pytest.mark.parametrize(
    ("keys", "text_column", "message"),
    [
        (("no",), None, "no column 'no'.*choose with --key"),
        (("empty",), None, "a row has no value in empty"),
        ((), "words", "no column 'words'"),
    ],
)
def test_columns_that_are_not_there_are_refused(
    keys: tuple[str, ...], text_column: str | None, message: str, tmp_path: Path
) -> None:
    name = write(tmp_path / "a.csv", [{"empty": None, "m.label": "1", "m.score": "1"}])
    with pytest.raises(InputError, match=message):
        compared(name, name, *keys, text_column=text_column)


def test_stdin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is read twice"):
        compared("-", write(tmp_path / "a.csv", BEFORE))


def test_more_changes_than_allowed_are_an_error(tmp_path: Path) -> None:
    found = compared(write(tmp_path / "a.csv", BEFORE), write(tmp_path / "b.csv", AFTER), "id")
    found.require(0.34)
    with pytest.raises(AgreementError, match=r"model 'm': 0\.3333 of the labels changed"):
        found.require(0.33)


def test_keys_of_other_types_are_the_same_if_they_read_the_same() -> None:
    numbers, text = pa.table({"k": [3, 1, 2]}), pa.table({"k": ["2", "3"]})
    pairs = by_key(("a", numbers), ("b", text))
    assert (pairs.before.tolist(), pairs.after.tolist()) == ([2, 0], [0, 1])
    assert (pairs.only_before.tolist(), pairs.only_after.tolist()) == ([1], [])
