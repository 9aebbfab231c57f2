"""Answers of models laid beside gold, where scores are missing or only rank."""

import numpy as np
import pytest

from labelf_cli.classifiers.interface import Because, Model
from labelf_cli.evaluation.metrics import figures
from labelf_cli.evaluation.scoring import Scored, judged
from labelf_cli.predictions import Floats, Rules

LABELS = ("a", "b")


def scored(scores: Floats, *gold: tuple[str, ...], **rules: object) -> Scored:
    keys: dict[str, object] = {
        "kept": np.arange(2),
        "labels": LABELS,
        "thresholds": np.full(2, -np.inf, np.float32),
    }
    its = Rules(**(keys | rules))  # type: ignore[arg-type]
    model = Model("m", None, Because(LABELS, ""), Because("none", ""), its)
    return Scored(model, False, scores, gold, 0)


RANKS = np.array([[0, -np.inf], [-np.inf, -np.inf], [-1, 0]], np.float32)


def test_a_model_without_scores_covers_what_it_answers() -> None:
    found = judged(scored(RANKS, ("a",), ("b",), ("b",), gives_scores=False))
    its = figures(found.judged, 0)
    assert (its.accuracy, its.coverage, its.covered_accuracy) == (2 / 3, 2 / 3, 1)
    assert (its.log_loss, its.calibration_error, found.unanswered) == (None, None, 0)


def test_a_fallback_is_an_answer_but_covers_nothing() -> None:
    labels = (*LABELS, "none")
    for gold, accuracy in (("none", 1), ("b", 2 / 3)):
        found = judged(
            scored(RANKS, ("a",), (gold,), ("b",), labels=labels, none_label=2, gives_scores=False)
        )
        its = figures(found.judged, 0)
        assert its.accuracy == pytest.approx(accuracy)
        assert its.coverage == 2 / 3
        # It is a label only where gold has it, and costs no precision elsewhere.
        assert [one.label for one in its.per_label] == ["a", "b", "none"][
            : 3 if gold == "none" else 2
        ]
        assert its.precision == 1


def test_of_several_labels_a_fallback_says_that_none_holds() -> None:
    keys = {"labels": (*LABELS, "none"), "none_label": 2, "multi_label": True}
    thresholds = np.full(2, 0.5, np.float32)
    scores = np.array([[0.1, 0.2], [0.1, 0.2], [0.9, 0.9]], np.float32)
    gold = ((), ("none",), ("a", "b"))
    found = judged(scored(scores, *gold, thresholds=thresholds, **keys))
    assert figures(found.judged, 0).accuracy == 1
    assert not found.unknown


def test_logits_that_are_no_probabilities_make_no_log_loss() -> None:
    scores = np.array([[3.0, -1.0]], np.float32)
    its = figures(judged(scored(scores, ("a",))).judged, 0)
    assert (its.accuracy, its.log_loss, its.calibration_error) == (1, None, None)
