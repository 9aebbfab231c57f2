"""How far two models agree."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import WriteModel

from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.interface import Group
from labelf_cli.compare import Agreement, agreement
from labelf_cli.config import Config

WORDS = ("the", "my", "bill", "is", "too", "high", "no", "signal", "tv")
RANDOM = np.random.default_rng(0)
TEXTS = [" ".join(RANDOM.choice(WORDS, 1 + n % 9)) for n in range(2500)]


@pytest.fixture
def opened(make_config: Callable[..., Config]) -> Callable[[Path], Group]:
    def open_(path: Path) -> Group:
        (group,) = open_groups(make_config({"name": "m", "path": path}).models)
        return group

    return open_


def compared(one: Group, other: Group, texts: list[str] = TEXTS) -> Agreement:
    return agreement(one, other, texts, 2, lambda _: None)


def scores(group: Group, texts: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Softmax of the logits, text by text."""
    ids = group.tokenizer.encode(texts)
    logits = np.vstack([group.logits(ids, np.array([row]))[0] for row in range(len(texts))])
    e = np.exp(logits.astype(np.float64))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def test_a_model_agrees_with_itself(
    write_model: WriteModel, opened: Callable[[Path], Group]
) -> None:
    path = write_model()
    assert compared(opened(path), opened(path)) == Agreement(2500, 1.0, 0.0)


def test_the_share_and_the_change_are_those_of_the_scores(
    write_model: WriteModel, opened: Callable[[Path], Group]
) -> None:
    one, other = opened(write_model("a")), opened(write_model("b", seed=1))
    found = compared(one, other)
    its, others = scores(one, TEXTS), scores(other, TEXTS)
    share = (its.argmax(axis=1) == others.argmax(axis=1)).mean()
    assert 0 < share < 1
    assert found.share == pytest.approx(share)
    assert found.largest_change == pytest.approx(np.abs(its - others).max(), abs=1e-6)


def test_a_text_that_only_one_can_answer_is_not_agreed_on(
    write_model: WriteModel, opened: Callable[[Path], Group]
) -> None:
    whole, broken = opened(write_model("a")), opened(write_model("b", nan_word="bill"))
    texts = ["my bill", "no signal", "too high", "bill"]
    assert compared(whole, broken, texts) == Agreement(4, 0.5, 0.0)
    assert compared(broken, whole, texts) == Agreement(2, 1.0, 0.0)


def test_where_several_labels_may_hold_all_must_be_the_same(
    write_model: WriteModel, opened: Callable[[Path], Group]
) -> None:
    several = {"problem_type": "multi_label_classification"}
    one = opened(write_model("a", config=several))
    other = opened(write_model("b", config=several, seed=1))
    ids = one.tokenizer.encode(TEXTS)
    its, others = (
        np.vstack([group.logits(ids, np.array([row]))[0] for row in range(len(TEXTS))]) >= 0
        for group in (one, other)
    )
    share = (its == others).all(axis=1).mean()
    assert 0 < share < 1
    assert compared(one, other).share == pytest.approx(share)
