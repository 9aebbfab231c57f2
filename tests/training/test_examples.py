"""Labelled texts: what is read of a table, and what is refused before anything is computed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelf_cli.errors import BadRowError, InputError
from labelf_cli.training.examples import Examples, ReadSettings, read_examples

ROWS = [("a", "x;y"), ("b", '["y"]'), ("c", ""), ("d", "[]"), (" ", "x"), ("a", "x")]


def read(path: Path, **settings: Any) -> tuple[list[str], Examples]:  # noqa: ANN401
    its = ReadSettings((str(path),), ("l",), **({"min_examples": 1} | settings))
    texts, examples = read_examples(its)
    return texts, examples["l"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.parquet"
    texts, labels = zip(*ROWS, strict=True)
    pq.write_table(pa.table({"text": texts, "l": labels}), path)
    return path


def test_delimiter_and_encoding_are_heeded(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("text;l\nräkning;x\nså;y\n".encode("latin-1"))
    with pytest.raises(InputError, match="say --delimiter ';'"):
        read(path, encoding="latin-1")
    with pytest.raises(BadRowError, match=r"line 2: .* encoding with --encoding$"):
        read(path, delimiter=";")  # and nothing of --bad-rows, which is not for train
    assert read(path, delimiter=";", encoding="latin-1")[0] == ["räkning", "så"]


def test_several_labels_a_cell(table: Path) -> None:
    texts, examples = read(table, multi_label=True)
    assert texts == ["a", "b", "c", "d", "a"]
    assert examples.labels == ("x", "y")
    assert examples.rows.tolist() == [0, 1, 3, 4]
    assert examples.gold.tolist() == [[True, True], [False, True], [False, False], [True, False]]
    assert (examples.counts, examples.distinct) == ({"x": 2, "y": 2}, {"x": 1, "y": 2})


def test_lists_of_parquet_are_several_labels(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["a", "b", "c"], "l": [["x", "y"], [], None]}), path)
    assert read(path, multi_label=True)[1].gold.tolist() == [[True, True], [False, False]]
    with pytest.raises(
        InputError, match=r"column 'l': its cells are lists of labels\. Add --multi"
    ):
        read(path)


def test_arrays_are_not_taken_for_odd_names(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "l": ['["x"]', '["x", "y"]']}), path)
    with pytest.raises(InputError, match="--multi-label"):
        read(path)


def test_the_digest_is_of_texts_and_labels_alone(table: Path) -> None:
    lines = [["a", "x", "y"], ["b", "y"], ["d"], ["a", "x"]]
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    expected = hashlib.sha256(content.encode()).hexdigest()
    assert read(table, multi_label=True)[1].digest == expected


def test_labels_with_too_few_texts_are_refused_with_their_numbers(table: Path) -> None:
    with pytest.raises(InputError) as refusal:
        read(table, multi_label=True, min_examples=3)
    assert str(refusal.value) == (
        f"{table}: column 'l' has labels with fewer than 3 different texts (1: x; 2: y). "
        "Label more texts, empty those cells, or ask for fewer with --min-examples"
    )
