"""Every figure is scikit-learn's on the same arrays; whatever the arrays."""

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from judged_cases import NAMES, SCORED, several, single
from sklearn import metrics as sk

from labelf_cli.evaluation.intervals import resampled
from labelf_cli.evaluation.judged import Judged
from labelf_cli.evaluation.metrics import figures, mistakes


def names_of(chosen: np.ndarray) -> list[str]:
    """The label of each row by name; an answer of none is a name of its own."""
    return [NAMES[row.argmax()] if row.any() else "~" for row in chosen]


def same(found: float | None, expected: float) -> bool:
    return found is not None and math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9)


@settings(max_examples=60)
@given(single())
def test_figures_of_one_label_are_those_of_scikit_learn(judged: Judged) -> None:
    found = figures(judged, resamples=0)
    gold, answers = names_of(judged.gold), names_of(judged.answers)
    present = sorted({*gold, *answers} - {"~"})
    options: dict[str, Any] = {"labels": present, "zero_division": 0}
    assert same(found.accuracy, sk.accuracy_score(gold, answers))
    assert same(found.macro_f1, sk.f1_score(gold, answers, average="macro", **options))
    assert same(found.micro_f1, sk.f1_score(gold, answers, average="micro", **options))
    assert same(found.precision, sk.precision_score(gold, answers, average="micro", **options))
    columns = sk.precision_recall_fscore_support(gold, answers, **options)
    for its, name, *values in zip(found.per_label, present, *columns, strict=True):
        assert its.label == name
        assert [its.precision, its.recall, its.f1, its.support] == pytest.approx(values)
        assert its.answered == answers.count(name)
    matrix = sk.confusion_matrix(gold, answers, labels=[*present, "~"])[:-1]
    np.testing.assert_array_equal(found.confusion, matrix)
    assert found.coverage == judged.covered.mean()
    if judged.covered.any():
        right = [g == a for g, a, c in zip(gold, answers, judged.covered, strict=True) if c]
        assert same(found.covered_accuracy, float(np.mean(right)))
    else:
        assert found.covered_accuracy is None


@settings(max_examples=60)
@given(single())
def test_a_model_that_always_answers_needs_no_labels_named(judged: Judged) -> None:
    gold, answers = names_of(judged.gold), names_of(judged.answers)
    assume("~" not in answers)
    found = figures(judged, resamples=0)
    assert same(found.macro_f1, sk.f1_score(gold, answers, average="macro", zero_division=0))
    assert same(found.accuracy, found.micro_f1)


@settings(max_examples=60)
@given(several())
def test_figures_of_several_labels_are_those_of_scikit_learn(judged: Judged) -> None:
    found = figures(judged, resamples=0)
    present = np.flatnonzero((judged.gold | judged.answers).any(axis=0))
    gold, answers = judged.gold.astype(int), judged.answers.astype(int)
    assert same(found.accuracy, ((gold == answers).all(axis=1) & judged.answered).mean())
    if not len(present):
        assert (found.macro_f1, found.micro_f1, found.per_label) == (0, 0, ())
        return
    options: dict[str, Any] = {"labels": present, "zero_division": 0}
    assert same(found.macro_f1, sk.f1_score(gold, answers, average="macro", **options))
    assert same(found.micro_f1, sk.f1_score(gold, answers, average="micro", **options))
    assert same(found.precision, sk.precision_score(gold, answers, average="micro", **options))
    columns = sk.precision_recall_fscore_support(gold, answers, **options)
    for its, place, *values in zip(found.per_label, present, *columns, strict=True):
        assert its.label == NAMES[place]
        assert [its.precision, its.recall, its.f1, its.support] == pytest.approx(values)
    matrices = sk.multilabel_confusion_matrix(gold, answers, labels=present)
    np.testing.assert_array_equal(found.confusion, matrices)


@settings(max_examples=60)
@given(single())
def test_log_loss_of_one_label_is_scikit_learn_s(judged: Judged) -> None:
    assert judged.scores is not None
    rows = ~np.isnan(judged.scores).any(axis=1) & ~judged.gold[:, SCORED]
    found = figures(judged, resamples=0).log_loss
    if not rows.any():
        assert found is None
        return
    gold = [name for name, its in zip(names_of(judged.gold), rows, strict=True) if its]
    assert same(found, sk.log_loss(gold, judged.scores[rows], labels=list(NAMES[:SCORED])))


@settings(max_examples=60)
@given(several())
def test_log_loss_of_several_labels_is_the_mean_of_scikit_learn_s(judged: Judged) -> None:
    assert judged.scores is not None
    rows = ~np.isnan(judged.scores).any(axis=1)
    found = figures(judged, resamples=0).log_loss
    if not rows.any():
        assert found is None
        return
    each = [
        sk.log_loss(judged.gold[rows, label], judged.scores[rows, label], labels=[False, True])
        for label in range(SCORED)
    ]
    assert same(found, float(np.mean(each)))


def test_a_single_label_that_may_hold_or_not_is_measured() -> None:
    gold, answers = np.array([[True], [True], [False]]), np.array([[True], [False], [False]])
    scores = np.array([[0.9], [0.4], [0.1]], np.float32)
    found = figures(
        Judged(("a",), gold, answers, answers[:, 0], np.ones(3, bool), scores, True), 10
    )
    assert (found.accuracy, found.macro_f1) == (2 / 3, 2 / 3)
    assert found.confusion.tolist() == [[[1, 0], [1, 1]]]
    assert same(found.log_loss, sk.log_loss(gold[:, 0], scores[:, 0]))


def test_no_answer_is_wrong_even_where_no_label_holds() -> None:
    gold, answers = np.array([[False], [False], [True]]), np.array([[False], [False], [True]])
    answered = np.array([True, False, True])
    judged = Judged(("a",), gold, answers, answers[:, 0], answered, None, True)
    found = figures(judged, 10)
    assert (found.accuracy, found.macro_f1, found.covered_accuracy) == (2 / 3, 1, 1)
    assert resampled(judged, np.ones((1, 3), np.int64))["accuracy"].tolist() == [2 / 3]


@settings(max_examples=40)
@given(single())
def test_mistakes_are_the_commonest_wrong_pairs(judged: Judged) -> None:
    pairs = zip(names_of(judged.gold), names_of(judged.answers), strict=True)
    wrong = Counter((gold, answer) for gold, answer in pairs if gold != answer)
    found = mistakes(figures(judged, 0), 100)
    assert {(one.gold, one.answer or "~"): one.rows for one in found} == wrong
    assert [one.rows for one in found] == sorted(wrong.values(), reverse=True)
    assert mistakes(figures(judged, 0), 2) == found[:2]


def test_json_is_plain() -> None:
    gold = np.array([[True, False], [False, True]])
    judged = Judged(("a", "b"), gold, gold[::-1], np.ones(2, bool), np.ones(2, bool), None, False)
    told = json.loads(json.dumps(figures(judged, 5).as_json()))
    assert told["accuracy"] == 0
    assert told["per_label"]["a"] == {
        "precision": 0,
        "recall": 0,
        "f1": 0,
        "support": 1,
        "answered": 1,
    }
    assert told["confusion"] == {"labels": ["a", "b"], "counts": [[0, 1, 0], [1, 0, 0]]}
    assert told["intervals"]["accuracy"] == [0, 0]
