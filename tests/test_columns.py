"""The columns of the three layouts, as the table of the design has them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.chunk import JSON_OBJECT
from labelf_cli.columns import ColumnGroup, Columns
from labelf_cli.config import ModelConfig
from labelf_cli.errors import InputError
from labelf_cli.formats import Layout
from labelf_cli.predictions import Answers, Status, accept, rules

Cells = list[tuple[object, ...]]

LABELS = ("TV", "Mobile", "Billing")
SCORES = [0.25, 0.5, 0.125]
NO_ANSWER = [float("nan")] * 3

LABEL, SCORE = "dictionary of string", "float"
BEST = {"product.label": LABEL, "product.score": SCORE}
EACH = {f"product.score.{label}": SCORE for label in LABELS}
STATUS = {"labelf.status": LABEL, "labelf.error": "string"}


def model(name: str = "product", *, multi_label: bool = False, **keys: object) -> ColumnGroup:
    """A model with three labels."""
    config = ModelConfig.model_validate({"name": name, "path": name, **keys})
    return ColumnGroup(name, rules(config, config.labels or LABELS, multi_label=multi_label))


def table(rows: int) -> pa.RecordBatch:
    """Columns that pass through."""
    ids = pa.array([f"00{i}" for i in range(rows)], pa.string())
    return pa.record_batch([ids], schema=pa.schema([("id", pa.string())], metadata={"kept": "yes"}))


def build(
    columns: Columns,
    *scores: list[list[float]],
    first_row: int = 0,
    status: Sequence[Status] = (),
    errors: Sequence[str | None] = (),
) -> pa.RecordBatch:
    """The output rows for the scores of each model."""
    arrays = tuple(np.array(rows, np.float32).reshape(-1, len(LABELS)) for rows in scores)
    texts = len(arrays[0])
    accepted = (accept(a, group.rules) for a, group in zip(arrays, columns.groups, strict=True))
    answers = Answers(
        arrays,
        tuple(accepted),
        np.array(status or [Status.OK] * texts, np.uint8),
        pa.array(errors or [None] * texts, pa.string()),
    )
    return columns.build(first_row, table(texts), answers)


def wide(group: ColumnGroup, *rows: list[float]) -> pa.RecordBatch:
    return build(Columns((group,)), list(rows))


def nested(group: ColumnGroup, *rows: list[float]) -> pa.RecordBatch:
    return build(Columns((group,), Layout.NESTED), list(rows))


def long(group: ColumnGroup, *rows: list[float]) -> pa.RecordBatch:
    return build(Columns((group,), Layout.LONG), list(rows))


def kinds(fields: pa.Schema | pa.StructType) -> list[tuple[str, str]]:
    """Names and types in words, however wide the indices of a dictionary are."""

    def kind(type_: pa.DataType) -> str:
        encoded = pa.types.is_dictionary(type_)
        return f"dictionary of {type_.value_type}" if encoded else str(type_)

    return [(field.name, kind(field.type)) for field in fields]


def added(batch: pa.RecordBatch) -> list[tuple[str, str]]:
    """Names and types of the columns behind those of the input."""
    return kinds(batch.schema)[1:]


def cells(batch: pa.RecordBatch, *names: str) -> Cells:
    """The values of some columns, row by row."""
    return list(zip(*(batch.column(name).to_pylist() for name in names), strict=True))


def test_one_prediction_gives_a_label_and_a_score() -> None:
    batch = wide(model(max_predictions=1), SCORES)
    assert added(batch) == [*BEST.items(), *STATUS.items()]
    assert cells(batch, *BEST) == [("Mobile", 0.5)]


def test_several_predictions_give_numbered_columns() -> None:
    batch = wide(model(max_predictions=2, threshold=0.25), SCORES, [0.125, 0.5, 0.125])
    second = {"product.label_2": LABEL, "product.score_2": SCORE}
    assert added(batch) == [*BEST.items(), *second.items(), *STATUS.items()]
    assert cells(batch, *BEST) == [("Mobile", 0.5), ("Mobile", 0.5)]
    assert cells(batch, *second) == [("TV", 0.25), (None, None)]


def test_without_a_cap_every_label_has_its_score_threshold_or_not() -> None:
    batch = wide(model(threshold=0.75), SCORES)
    assert added(batch) == [*BEST.items(), *EACH.items(), *STATUS.items()]
    assert cells(batch, *BEST, *EACH) == [(None, None, *SCORES)]


def test_only_the_labels_that_pass_the_filter_have_a_score_in_the_model_s_order() -> None:
    batch = wide(model(label_filter=["Billing", "TV"]), SCORES)
    names = ["product.score.TV", "product.score.Billing"]
    assert batch.schema.names == ["id", *BEST, *names, *STATUS]
    assert cells(batch, *names) == [(0.25, 0.125)]


def test_a_none_label_is_an_answer_without_a_score_or_a_column_of_its_own() -> None:
    batch = wide(model(threshold=0.75, none_label="none"), SCORES)
    assert batch.schema.names == ["id", *BEST, *EACH, *STATUS]
    assert cells(batch, *BEST) == [("none", None)]


def test_a_multi_label_model_also_lists_its_labels_best_first() -> None:
    batch = wide(model(multi_label=True), [0.5, 0.25, 0.75], SCORES, [0.25] * 3, NO_ANSWER)
    labels = ("product.labels", "list<item: string>")
    assert added(batch) == [*BEST.items(), *EACH.items(), labels, *STATUS.items()]
    assert batch.column("product.labels").to_pylist() == [["Billing", "TV"], ["Mobile"], [], None]


def test_a_capped_multi_label_model_lists_the_labels_within_the_cap() -> None:
    batch = wide(model(multi_label=True, max_predictions=2), [0.5, 0.625, 0.75])
    assert batch.schema.names[5:] == ["product.labels", *STATUS]
    assert batch.column("product.labels").to_pylist() == [["Billing", "Mobile"]]


def test_a_text_without_an_answer_has_nulls_in_all_columns() -> None:
    batch = wide(model(multi_label=True, none_label="none"), NO_ANSWER)
    assert cells(batch, *BEST, *EACH, "product.labels") == [(None,) * 6]


def test_the_groups_stand_in_the_order_of_the_models_with_the_separator_in_their_names() -> None:
    models = (model("b", max_predictions=1), model("a", label_filter=["TV"]))
    batch = build(Columns(models, separator="_"), [SCORES], [SCORES])
    names = ["b_label", "b_score", "a_label", "a_score", "a_score_TV"]
    assert batch.schema.names == ["id", *names, "labelf_status", "labelf_error"]
    assert cells(batch, *names) == [("Mobile", 0.5, "TV", 0.25, 0.25)]


@pytest.mark.parametrize("layout", [Layout.WIDE, Layout.NESTED])
def test_the_columns_of_the_input_come_first_and_unchanged(layout: Layout) -> None:
    batch = build(Columns((model(),), layout), [SCORES] * 3)
    assert batch.select([0]).equals(table(3), check_metadata=True)


def test_the_status_is_told_in_words_and_the_error_of_failed_rows() -> None:
    errors = [None, None, None, "product: too long"]
    batch = build(Columns((model(),)), [SCORES] * 4, status=list(Status), errors=errors)
    words = ["ok", "empty", "truncated", "failed"]
    assert cells(batch, *STATUS) == list(zip(words, errors, strict=True))


def test_nested_gives_one_struct_a_model() -> None:
    batch = nested(model(max_predictions=2), SCORES)
    assert batch.schema.names == ["id", "product", *STATUS]
    struct = batch.schema.field("product").type
    listed = struct.field("predictions").type
    assert kinds(struct)[:2] == [("label", LABEL), ("score", SCORE)]
    assert pa.types.is_list(listed)
    assert kinds(listed.value_type) == [("label", "string"), ("score", SCORE)]
    predictions = [{"label": "Mobile", "score": 0.5}, {"label": "TV", "score": 0.25}]
    assert batch.column("product").to_pylist() == [
        {"label": "Mobile", "score": 0.5, "predictions": predictions}
    ]


def test_nested_tells_nothing_accepted_from_no_answer() -> None:
    batch = nested(model(threshold=0.75), SCORES, NO_ANSWER)
    assert batch.column("product").to_pylist() == [
        {"label": None, "score": None, "predictions": []},
        {"label": None, "score": None, "predictions": None},
    ]


LONG = ("row", "model", "rank", "label", "score")


def test_long_gives_one_row_per_text_model_and_rank() -> None:
    models = (model("b", max_predictions=2), model("a", label_filter=["Billing"]))
    batch = build(Columns(models, Layout.LONG), [SCORES, [0.5, 0.25, 0.125]], [SCORES] * 2)
    assert batch.schema.names == ["id", *LONG, *STATUS]
    assert added(batch)[3:5] == [("label", LABEL), ("score", SCORE)]
    assert cells(batch, "id", *LONG) == [
        ("000", 1, "b", 1, "Mobile", 0.5),
        ("000", 1, "b", 2, "TV", 0.25),
        ("000", 1, "a", 1, "Billing", 0.125),
        ("001", 2, "b", 1, "TV", 0.5),
        ("001", 2, "b", 2, "Mobile", 0.25),
        ("001", 2, "a", 1, "Billing", 0.125),
    ]


def test_long_keeps_a_row_with_nulls_where_there_is_no_prediction() -> None:
    batch = long(model(max_predictions=1, threshold=0.5), NO_ANSWER, SCORES, [0.25] * 3)
    found = [(1, None, None, None), (2, 1, "Mobile", 0.5), (3, None, None, None)]
    assert cells(batch, "row", "rank", "label", "score") == found


def test_long_numbers_the_rows_of_the_run_and_repeats_their_status() -> None:
    columns = Columns((model(max_predictions=2),), Layout.LONG)
    status, errors = [Status.TRUNCATED, Status.FAILED], [None, "product: no"]
    batch = build(columns, [SCORES, NO_ANSWER], first_row=4096, status=status, errors=errors)
    first = (4097, "truncated", None)
    assert cells(batch, "row", *STATUS) == [first, first, (4098, "failed", "product: no")]


row_ = st.lists(st.sampled_from([0, 0.25, 0.5, 1]), min_size=3, max_size=3)
texts_ = st.lists(st.just(NO_ANSWER) | row_, max_size=6)
models_ = st.sampled_from(
    [
        model(),
        model(max_predictions=5, threshold=0.5),
        model(threshold=0.75, none_label="none"),
        model(multi_label=True, max_predictions=2, label_filter=["Billing", "TV"]),
    ]
)


@given(models_, texts_)
def test_all_layouts_tell_the_same(group: ColumnGroup, texts: list[list[float]]) -> None:
    best = cells(wide(group, *texts), *BEST)
    structs = nested(group, *texts).column("product").to_pylist()
    assert [(struct["label"], struct["score"]) for struct in structs] == best
    listed = [
        (row, rank, *prediction.values())
        for row, struct in enumerate(structs, start=1)
        for rank, prediction in enumerate(struct["predictions"] or [], start=1)
    ]
    ranked = cells(long(group, *texts), "row", "rank", "label", "score")
    assert [cell for cell in ranked if cell[1]] == listed
    assert [cell[2:] for cell in ranked if cell[1] in {None, 1}] == best


@given(models_, texts_, st.sampled_from(Layout))
def test_the_schema_is_known_before_the_answers(
    group: ColumnGroup, texts: list[list[float]], layout: Layout
) -> None:
    columns = Columns((group,), layout)
    schema = columns.schema(table(0).schema, ["id"])
    assert build(columns, texts).schema.equals(schema, check_metadata=True)


@pytest.mark.parametrize(
    ("layout", "separator", "name"),
    [
        (Layout.WIDE, ".", "product.label"),
        (Layout.WIDE, ".", "product.score.TV"),
        (Layout.WIDE, "_", "labelf_error"),
        (Layout.NESTED, ".", "product"),
        (Layout.LONG, ".", "row"),
    ],
)
def test_a_column_of_the_input_with_a_name_of_the_output_is_refused(
    layout: Layout, separator: str, name: str
) -> None:
    columns = Columns((model(),), layout, separator)
    with pytest.raises(InputError) as caught:
        columns.schema(pa.schema([(name, pa.string())]), [name])
    assert str(caught.value) == (
        f"the output would have two columns named '{name}'. "
        "Rename the input's column or the model, or choose another --separator"
    )


@pytest.mark.parametrize(
    ("names", "models", "twice"),
    [
        (["id"], (model("a", labels=["x", "y", "label"]), model("a.score")), "a.score.label"),
        (["id", "id"], (model(),), "id"),
        (["id", "product.label"], (model(),), "product.label"),
    ],
    ids=["two models", "two columns of the input", "a key of the input's JSON objects"],
)
def test_other_columns_of_one_name_are_refused_too(
    names: list[str], models: tuple[ColumnGroup, ...], twice: str
) -> None:
    objects = pa.schema([(JSON_OBJECT, pa.string())])
    with pytest.raises(InputError) as caught:
        Columns(models).schema(objects, names)
    assert str(caught.value).startswith(f"the output would have two columns named '{twice}'. ")
