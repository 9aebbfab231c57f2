"""JSON Lines: one object a row; objects that came as JSON keep their text."""

import io
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.chunk import JSON_OBJECT
from labelf_cli.formats import Format
from labelf_cli.sinks.open import open_sink


def written(table: pa.Table, *batches: pa.RecordBatch) -> str:
    """The file that the batches make, or else the table as a whole."""
    stream = io.BytesIO()
    sink = open_sink(stream, Format.JSONL, table.schema)
    for batch in batches or table.to_batches():
        sink.write(batch)
    sink.finish()
    return stream.getvalue().decode()


def test_a_row_is_an_object_with_typed_values() -> None:
    table = pa.table(
        {
            "text": ["007 é\n", None],
            "label": pa.array([None, "a"]).dictionary_encode(),
            "score": pa.array([0.1, float("nan")], pa.float32()),
            "labels": pa.array([["a", "b"], []]),
            "ok": [True, None],
        }
    )
    assert written(table) == (
        '{"text": "007 é\\n", "label": null, "score": 0.1, "labels": ["a", "b"], "ok": true}\n'
        '{"text": null, "label": "a", "score": null, "labels": [], "ok": null}\n'
    )


def test_a_table_without_rows_is_an_empty_file() -> None:
    table = pa.table({"text": pa.array([], pa.string())})
    assert written(table, *table.schema.empty_table().to_batches()) == ""


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        ('{"a":1.10}', '{"a":1.10, "label": "x"}'),
        ('{ "b" : {"c": [ ]} , "a":\t1e400 }', '{ "b" : {"c": [ ]} , "a":\t1e400, "label": "x"}'),
        ('{"a": 1, "a": 2}', '{"a": 1, "a": 2, "label": "x"}'),
        ('{"a": "\\ud800 \\u00e9 é 😀"}', '{"a": "\\ud800 \\u00e9 é 😀", "label": "x"}'),
        ('{"a": "}"}', '{"a": "}", "label": "x"}'),
        ('{"a": {}}', '{"a": {}, "label": "x"}'),
        ("{}", '{"label": "x"}'),
        ("{ \t}", '{"label": "x"}'),
    ],
)
def test_an_object_keeps_its_text_and_gets_more_members(came: str, goes: str) -> None:
    assert written(pa.table({JSON_OBJECT: [came], "label": ["x"]})) == goes + "\n"


@pytest.mark.parametrize("space", [" ", "\t", "\r", " \r\t "])
def test_space_in_an_empty_object_makes_no_member(space: str) -> None:
    line = written(pa.table({JSON_OBJECT: [f"{{{space}}}"], "label": ["x"]}))
    assert json.loads(line) == {"label": "x"}


@given(st.lists(st.fixed_dictionaries({"text": st.none() | st.text(), "n": st.integers(-9, 9)})))
def test_lines_are_the_rows(rows: list[dict[str, object]]) -> None:
    schema = pa.schema({"text": pa.string(), "n": pa.int64()})
    lines = written(pa.Table.from_pylist(rows, schema)).split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == rows
