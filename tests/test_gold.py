"""Labels that people gave, from cells."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.errors import InputError, UsageError
from labelf_cli.gold import (
    Labels,
    indicators,
    one_label,
    parse_gold,
    require_gold,
    several_labels,
    unknown,
)

NAMES = st.text(st.characters(codec="utf-8", exclude_characters=";[]\r\n"), min_size=1).filter(
    lambda name: name == name.strip()
)
SETS = st.lists(NAMES, min_size=1, max_size=4, unique=True).map(tuple)


@given(st.lists(st.none() | SETS))
def test_lists_arrays_and_separated_text_say_the_same(rows: list[Labels | None]) -> None:
    lists = pa.array([None if row is None else list(row) for row in rows], pa.list_(pa.string()))
    arrays = [None if row is None else json.dumps(row) for row in rows]
    joined = [None if row is None else " ; ".join(row) for row in rows]
    assert several_labels(lists) == rows
    assert several_labels(pa.array(arrays, pa.string())) == rows
    assert several_labels(pa.array(joined, pa.string())) == rows


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("", None),
        (" \t", None),
        ("[]", ()),
        ("a", ("a",)),
        ("a;b;a;", ("a", "b")),
        ('["a", "b", "a", ""]', ("a", "b")),
        (' ["a;b"]', ("a;b",)),
    ],
)
def test_a_cell_with_several_labels(cell: str, labels: Labels | None) -> None:
    assert several_labels(pa.array([cell])) == [labels]


def test_another_separator_leaves_the_usual_one_alone() -> None:
    assert several_labels(pa.array(["a;b|c"]), "|") == [("a;b", "c")]


def test_a_broken_array_is_named() -> None:
    with pytest.raises(InputError, match=r"'\[\"a\", ' is no JSON array of labels"):
        several_labels(pa.array(['["a", ']))


def test_one_label_is_taken_as_it_stands() -> None:
    assert one_label(pa.array(["a;b", " a", "", None])) == [("a;b",), (" a",), None, None]
    assert one_label(pa.array([7, None])) == [("7",), None]
    assert one_label(pa.array(["x", "y"]).dictionary_encode()) == [("x",), ("y",)]


def test_a_list_is_not_one_label() -> None:
    with pytest.raises(InputError, match="but the model gives one label"):
        one_label(pa.array([["a"]]))


def test_indicators_stand_in_the_order_of_the_names() -> None:
    found = indicators([("b", "a"), (), ("c",)], ("a", "b", "c"))
    assert found.tolist() == [[True, True, False], [False] * 3, [False, False, True]]


def test_unknown_labels_are_counted_by_rows() -> None:
    assert unknown([("a", "x"), ("x",), ("y",)], "ab") == {"x": 2, "y": 1}


def test_options_name_models_and_columns() -> None:
    assert parse_gold(["a=b", "c=d=e"]) == {"a": "b", "c": "d=e"}


@pytest.mark.parametrize("given_", [["a"], ["a="], ["=b"], ["a=b", "a=c"]])
def test_other_options_are_refused(given_: list[str]) -> None:
    with pytest.raises(UsageError, match="--gold"):
        parse_gold(given_)


def test_a_column_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError) as refusal:
        require_gold(["text", "product_gold"], ["product_glod"], "t.csv")
    assert str(refusal.value) == ("t.csv: no column 'product_glod'. Did you mean 'product_gold'?")
