"""What is learned: the same as scikit-learn's own classifiers, from labels of either kind."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from labelf_cli.choices import ClassWeight
from labelf_cli.training.task import OneLabel, SeveralLabels, Task

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(300, 6))
UNSEEN = RANDOM.normal(size=(50, 6))
LOGITS = FEATURES @ RANDOM.normal(size=(6, 4)) + [2.0, 0.0, -1.0, 0.0]
ONE = np.arange(4) == LOGITS.argmax(axis=1)[:, None]
SEVERAL = LOGITS > 0
WEIGHTS = {ClassWeight.NONE: None, ClassWeight.BALANCED: "balanced"}


@pytest.mark.parametrize("weight", ClassWeight)
@pytest.mark.parametrize("labels", [2, 4])
def test_one_label_is_learned_as_scikit_learn_learns_it(weight: ClassWeight, labels: int) -> None:
    places = ONE.argmax(axis=1) % labels
    gold = np.arange(labels) == places[:, None]
    task = OneLabel(3.0, weight)
    logits = task.fit(FEATURES, gold, 1e-7).logits(UNSEEN)
    expected = LogisticRegression(
        C=3.0, tol=1e-7, max_iter=10_000, class_weight=WEIGHTS[weight]
    ).fit(FEATURES, places)
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = e / e.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores, expected.predict_proba(UNSEEN), atol=1e-6)
    assert task.answers(logits).argmax(axis=1).tolist() == expected.predict(UNSEEN).tolist()


@pytest.mark.parametrize("weight", ClassWeight)
def test_several_labels_are_learned_one_against_the_rest(weight: ClassWeight) -> None:
    task = SeveralLabels(3.0, weight)
    logits = task.fit(FEATURES, SEVERAL, 1e-7).logits(UNSEEN)
    regression = LogisticRegression(C=3.0, tol=1e-7, max_iter=10_000, class_weight=WEIGHTS[weight])
    expected = OneVsRestClassifier(regression).fit(FEATURES, SEVERAL)
    scores = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(scores, expected.predict_proba(UNSEEN), atol=1e-6)
    assert task.answers(logits).tolist() == expected.predict(UNSEEN).astype(bool).tolist()


def test_balanced_weights_find_more_of_a_rare_label() -> None:
    gold = np.column_stack([LOGITS[:, 0] <= 5, LOGITS[:, 0] > 5]) ^ (RANDOM.random((300, 1)) < 0.05)
    found = []
    for weight in ClassWeight:
        task = OneLabel(1.0, weight)
        answers = task.answers(task.fit(FEATURES, gold, 1e-6).logits(FEATURES))
        found.append(int((answers & gold)[:, 1].sum()))
    assert found[0] < found[1]


@pytest.mark.parametrize("has", [True, False])
def test_a_label_that_all_texts_have_or_none_is_answered_always_or_never(has: bool) -> None:
    gold = SEVERAL.copy()
    gold[:, 2] = has
    task = SeveralLabels(1.0, ClassWeight.NONE)
    answers = task.answers(task.fit(FEATURES, gold, 1e-4).logits(UNSEEN))
    assert (answers[:, 2] == has).all()


def test_of_one_label_that_no_text_has_nothing_is_learned() -> None:
    gold = np.insert(ONE, 1, False, axis=1)
    task = OneLabel(1.0, ClassWeight.NONE)
    logits = task.fit(FEATURES, gold, 1e-7).logits(UNSEEN)
    without = task.fit(FEATURES, ONE, 1e-7).logits(UNSEEN)
    np.testing.assert_array_equal(np.delete(logits, 1, axis=1), without)
    assert not task.answers(logits)[:, 1].any()


@pytest.mark.parametrize("kind", [OneLabel, SeveralLabels])
def test_splits_hold_out_every_text_once_and_equal_ones_together(kind: type[Task]) -> None:
    texts = RANDOM.integers(0, 60, 300)
    gold = ONE if kind is OneLabel else SEVERAL
    held_out = []
    for seen, unseen in kind(1.0, ClassWeight.NONE).splits(gold, texts, 5):
        assert not set(texts[seen]) & set(texts[unseen])
        assert sorted([*seen, *unseen]) == list(range(300))
        held_out += unseen.tolist()
    assert sorted(held_out) == list(range(300))
