"""Summaries count every row, and add up."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.config import ModelConfig
from labelf_cli.predictions import Answers, Rules, Status, accept, rules
from labelf_cli.summary import Summary

Text = tuple[Status, list[float], list[float]]
"""Status of a text, and its scores by both models."""

NO_ANSWER = [float("nan")] * 2


def model(name: str, *labels: str, **keys: object) -> tuple[str, Rules]:
    config = ModelConfig.model_validate({"name": name, "path": name, "threshold": 0.5, **keys})
    return name, rules(config, labels, multi_label=False)


MODELS = [model("product", "TV", "Mobile"), model("topic", "bill", "signal", none_label="none")]


def summary(texts: list[Text], models: list[tuple[str, Rules]] = MODELS) -> Summary:
    scores = tuple(np.array([t[i] for t in texts], np.float32).reshape(-1, 2) for i in (1, 2))
    accepted = tuple(accept(s, its) for s, (_, its) in zip(scores, models, strict=True))
    status = np.array([text[0] for text in texts], np.uint8)
    return Summary.of(Answers(scores, accepted, status, pa.nulls(len(texts), pa.string())), models)


TEXTS: list[Text] = [
    (Status.OK, [0.9, 0.1], [0.2, 0.8]),
    (Status.OK, [0.8, 0.2], [0.3, 0.3]),
    (Status.TRUNCATED, [0.1, 0.9], [0.3, 0.3]),
    (Status.EMPTY, NO_ANSWER, NO_ANSWER),
    (Status.FAILED, [0.3, 0.3], NO_ANSWER),
]

scores_ = st.just(NO_ANSWER) | st.lists(st.sampled_from([0, 0.25, 0.75]), min_size=2, max_size=2)
texts_ = st.lists(st.tuples(st.sampled_from(Status), scores_, scores_), max_size=12)


def test_rows_are_counted_by_status_and_by_the_best_label_of_each_model() -> None:
    assert summary(TEXTS) == Summary(
        rows=5,
        statuses=Counter(ok=2, truncated=1, empty=1, failed=1),
        labels={
            "product": Counter({"TV": 2, "Mobile": 1, None: 2}),
            "topic": Counter({"signal": 1, "none": 2, None: 2}),
        },
    )


@given(texts_)
def test_every_row_is_counted_once_by_status_and_once_by_each_model(texts: list[Text]) -> None:
    found = summary(texts)
    by_model = [counts.total() for counts in found.labels.values()]
    assert [found.rows, found.statuses.total(), *by_model] == [len(texts)] * 4


def test_labels_of_one_name_are_counted_together() -> None:
    twins = [model("product", "TV", "TV"), MODELS[1]]
    assert summary(TEXTS, twins).labels["product"] == Counter({"TV": 3, None: 2})


@given(texts_, st.integers(0, 12))
def test_the_summaries_of_parts_add_up_to_that_of_the_whole(texts: list[Text], cut: int) -> None:
    assert summary(texts[:cut]) + summary(texts[cut:]) == summary(texts)


counts_ = st.dictionaries(st.sampled_from("abc"), st.integers(1, 9)).map(Counter)
labels_ = st.dictionaries(st.sampled_from(["product", "topic"]), counts_)
summaries = st.builds(
    Summary, st.integers(0, 99), counts_, labels_, seconds=st.integers(0, 99).map(float)
)


@given(summaries, summaries, summaries)
def test_the_order_in_which_summaries_are_added_does_not_matter(
    a: Summary, b: Summary, c: Summary
) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a


@given(summaries)
def test_an_empty_summary_adds_nothing(a: Summary) -> None:
    assert a + Summary() == Summary() + a == a


def test_a_sum_holds_the_models_and_the_seconds_of_both() -> None:
    ours, theirs = Counter[str | None]({"x": 1}), Counter[str | None]({"x": 2, "y": 3})
    both = Summary(labels={"a": ours, "b": ours}, seconds=1.5)
    both += Summary(labels={"b": theirs, "c": theirs}, seconds=2.0)
    assert both.labels == {"a": ours, "b": Counter({"x": 3, "y": 3}), "c": theirs}
    assert both.seconds == 3.5


def test_the_report_is_json_with_the_commonest_label_first() -> None:
    timed = summary(TEXTS) + Summary(seconds=1.5, rejected=2)
    report = json.loads(json.dumps(timed.as_json()))
    assert report.pop("spent")["distinct_texts"] == 0
    assert report.pop("loading_seconds") == 0
    assert report == {
        "rows": 5,
        "rejected": 2,
        "statuses": {"ok": 2, "truncated": 1, "empty": 1, "failed": 1},
        "seconds": 1.5,
        "models": {
            "product": {"labels": {"TV": 2, "Mobile": 1}, "unlabelled": 2},
            "topic": {"labels": {"none": 2, "signal": 1}, "unlabelled": 2},
        },
    }
    assert list(report["models"]["topic"]["labels"]) == ["none", "signal"]
