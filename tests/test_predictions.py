"""From logits to accepted predictions: the same as plain Python makes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from labelf_cli.config import ModelConfig
from labelf_cli.errors import ConfigError
from labelf_cli.model_keys import Activation
from labelf_cli.predictions import NO_LABEL, Floats, Rules, Status, accept, activate, rules

LABELS = ("TV", "Mobile", "Billing", "Fibre")

Prediction = tuple[str, float | None]

activations: list[Activation] = ["softmax", "sigmoid", "none"]
shapes = array_shapes(min_dims=2, max_dims=2, max_side=9)
logits_ = arrays(np.float32, shapes, elements=st.floats(-300, 300, width=32))


def float32(*rows: list[float]) -> Floats:
    return np.array(rows, np.float32)


def naive_softmax(row: list[float]) -> list[float]:
    return [math.exp(x) / math.fsum(map(math.exp, row)) for x in row]


def naive_sigmoid(row: list[float]) -> list[float]:
    return [1 / (1 + math.exp(-x)) for x in row]


@pytest.mark.parametrize(
    ("activation", "naive"),
    [("softmax", naive_softmax), ("sigmoid", naive_sigmoid), ("none", list[float])],
)
@given(logits=logits_)
def test_scores_are_those_of_float64_to_the_last_bit_but_one(
    activation: Activation, naive: Callable[[list[float]], list[float]], logits: Floats
) -> None:
    scores = activate(logits, activation)
    expected = np.array([naive(row) for row in logits.tolist()], np.float32)
    assert scores.dtype == np.float32
    np.testing.assert_array_max_ulp(scores, expected, maxulp=1)


@given(logits=logits_, temperature=st.floats(0.1, 10))
def test_a_temperature_divides_the_logits(logits: Floats, temperature: float) -> None:
    both: dict[Activation, Callable[[list[float]], list[float]]]
    both = {"softmax": naive_softmax, "sigmoid": naive_sigmoid}
    for activation, naive in both.items():
        hot = np.clip(logits, -30, 30)
        expected = [naive([x / temperature for x in row]) for row in hot.tolist()]
        scores = activate(hot, activation, temperature)
        np.testing.assert_array_max_ulp(scores, np.array(expected, np.float32), maxulp=1)


@pytest.mark.parametrize("activation", activations)
@given(logits=logits_)
def test_a_score_has_the_same_bits_wherever_its_row_stands(
    activation: Activation, logits: Floats
) -> None:
    scores = activate(logits, activation)
    assert activate(logits[::-1], activation).tobytes() == scores[::-1].tobytes()
    assert activate(logits.repeat(3, axis=0), activation)[::3].tobytes() == scores.tobytes()


@pytest.mark.parametrize("labels", [1, 2, 7, 77, 1000])
@pytest.mark.parametrize("activation", activations)
def test_a_score_has_the_same_bits_among_many_rows_as_alone(
    activation: Activation, labels: int
) -> None:
    logits = np.random.default_rng(0).normal(0, 5, (3001, labels)).astype(np.float32)
    together = activate(logits, activation)
    for row in range(0, len(logits), 97):
        assert activate(logits[row : row + 1], activation).tobytes() == together[row].tobytes()


@pytest.mark.parametrize(
    ("activation", "scores"), [("softmax", [1, 0, 0]), ("sigmoid", [1, 0.5, 0])]
)
def test_huge_logits_do_not_overflow(activation: Activation, scores: list[float]) -> None:
    assert activate(float32([3e38, 0, -3e38]), activation).tolist() == [scores]


@pytest.mark.parametrize("activation", activations)
@pytest.mark.parametrize("broken", [[math.nan, math.nan], [math.inf, 0]])
def test_a_broken_row_disturbs_no_other(activation: Activation, broken: list[float]) -> None:
    scores = activate(float32(broken, [1, 2]), activation)
    assert scores[1].tobytes() == activate(float32([1, 2]), activation).tobytes()


def make_rules(*, multi_label: bool = False, **keys: object) -> Rules:
    config = ModelConfig.model_validate({"name": "product", "path": "product", **keys})
    return rules(config, LABELS, multi_label=multi_label)


def test_a_filter_keeps_the_model_s_label_order() -> None:
    settled = make_rules(label_filter=["Fibre", "TV"])
    assert (settled.labels, settled.kept.tolist()) == (("TV", "Fibre"), [0, 3])


def test_a_none_label_of_the_model_s_own_is_not_added_again() -> None:
    settled = make_rules(none_label="Mobile")
    assert (settled.labels, settled.score_labels, settled.none_label) == (LABELS, LABELS, 1)


@pytest.mark.parametrize("none_label", ["none", "Mobile"])
def test_a_none_label_that_is_not_kept_comes_last_and_has_no_score(none_label: str) -> None:
    settled = make_rules(none_label=none_label, label_filter=["TV", "Fibre"])
    assert settled.labels == ("TV", "Fibre", none_label)
    assert settled.score_labels == ("TV", "Fibre")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"label_filter": ["TV", "Mobil"]}, "no label 'Mobil'. Did you mean 'Mobile'?"),
        ({"label_filter": ["tv"]}, "no label 'tv'. There are: TV, Mobile, Billing, Fibre"),
        ({"thresholds": {"zzz": 0.5}}, "no label 'zzz'. There are: TV, Mobile, Billing, Fibre"),
    ],
)
def test_a_label_that_the_model_lacks_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_rules(**keys)
    assert str(caught.value) == f"model 'product', {next(iter(keys))}: the model has {message}"


@dataclass(frozen=True)
class Case:
    """A model's config and the scores of some texts."""

    keys: dict[str, Any]
    multi_label: bool
    scores: Floats

    @property
    def rules(self) -> Rules:
        return make_rules(multi_label=self.multi_label, **self.keys)


grid = st.sampled_from([0.0, 0.1, 0.49, 0.5, 0.7, 1.0])
"""Few values, so that scores tie and meet the thresholds."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    options: dict[str, st.SearchStrategy[Any]] = {
        "label_filter": st.lists(st.sampled_from(LABELS), min_size=1, unique=True),
        "threshold": grid,
        "thresholds": st.dictionaries(st.sampled_from(LABELS), grid),
        "max_predictions": st.integers(1, 6),
        "none_label": st.sampled_from(["none", *LABELS]),
    }
    keys = draw(st.fixed_dictionaries({}, optional=options))
    score = grid | st.floats(-2, 2, width=32) | st.just(-math.inf)
    row = st.lists(score, min_size=4, max_size=4) | st.just([math.nan] * 4)
    rows = draw(st.lists(row, max_size=5))
    return Case(keys, draw(st.booleans()), np.array(rows, np.float32).reshape(-1, 4))


def naive(case: Case, row: list[float]) -> list[Prediction]:
    """The accepted predictions of one text by the words of the design, one step a line."""
    if math.isnan(row[0]):
        return []
    keys, found = case.keys, dict(zip(LABELS, row, strict=True))
    default = keys.get("threshold", 0.5 if case.multi_label else -math.inf)
    least = {label: np.float32(keys.get("thresholds", {}).get(label, default)) for label in LABELS}
    passed = [label for label in LABELS if label in keys.get("label_filter", LABELS)]
    passed = [
        label for label in passed if found[label] >= least[label] and found[label] > -math.inf
    ]
    passed.sort(key=lambda label: (-found[label], LABELS.index(label)))
    passed = passed[: keys.get("max_predictions")]
    if not passed and "none_label" in keys:
        return [(keys["none_label"], None)]
    return [(label, found[label]) for label in passed]


def read(scores: Floats, settled: Rules) -> list[list[Prediction]]:
    """The accepted predictions of each text."""
    accepted = accept(scores, settled)
    pairs = zip(accepted.labels.tolist(), accepted.scores.tolist(), strict=True)
    return [
        [
            (settled.labels[label], None if math.isnan(score) else score)
            for label, score in zip(*row, strict=True)
            if label != NO_LABEL
        ]
        for row in pairs
    ]


@given(cases())
def test_what_is_accepted_equals_what_plain_python_accepts(case: Case) -> None:
    assert read(case.scores, case.rules) == [naive(case, row) for row in case.scores.tolist()]


@given(cases())
def test_empty_places_come_last_and_have_no_score(case: Case) -> None:
    accepted = accept(case.scores, case.rules)
    empty = accepted.labels == NO_LABEL
    assert empty.tolist() == [[i >= n for i in range(case.rules.ranks)] for n in accepted.counts]
    assert np.isnan(accepted.scores[empty]).all()
    assert (accepted.labels.dtype.name, accepted.scores.dtype.name) == ("int32", "float32")


@given(cases())
def test_a_text_is_answered_unless_its_scores_are_not_numbers(case: Case) -> None:
    answered = accept(case.scores, case.rules).answered
    assert answered.tolist() == (~np.isnan(case.scores).any(axis=1)).tolist()


@given(cases())
def test_rows_are_taken_in_the_order_that_is_given(case: Case) -> None:
    taken = accept(case.scores, case.rules).take(np.arange(len(case.scores))[::-1])
    again = accept(case.scores[::-1], case.rules)
    for ours, theirs in zip(vars(taken).values(), vars(again).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("threshold", [0.1, 0.4, 0.7])
def test_a_score_that_shows_as_the_threshold_passes_it(threshold: float) -> None:
    settled = make_rules(threshold=threshold)
    assert [label for label, _ in read(float32([threshold, 0, 0, 0]), settled)[0]] == ["TV"]


def test_the_worst_status_is_the_greatest() -> None:
    assert sorted(Status) == [Status.OK, Status.EMPTY, Status.TRUNCATED, Status.FAILED]
