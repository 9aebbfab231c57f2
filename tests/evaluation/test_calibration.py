"""The temperature: found again where scores were made with one, and never worse than none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from labelf_cli.evaluation.calibration import fit_temperature, heated, logits_of, loss
from labelf_cli.evaluation.judged import Booleans, Floats
from labelf_cli.model_keys import Activation
from labelf_cli.predictions import activate

ACTIVATIONS: tuple[Activation, ...] = ("softmax", "sigmoid")


def drawn(activation: Activation, rows: int = 20_000) -> tuple[Floats, Booleans]:
    """Logits of a model that is exactly as sure as it is right, and gold drawn by its scores."""
    random = np.random.default_rng(0)
    logits = (random.normal(size=(rows, 4)) * 2).astype(np.float32)
    scores = activate(logits, activation)
    if activation == "sigmoid":
        return logits, random.random(scores.shape) < scores
    chosen = (random.random(rows)[:, None] > np.cumsum(scores, axis=1)).sum(axis=1)
    return logits, np.eye(4, dtype=bool)[np.minimum(chosen, 3)]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("made", [0.4, 1.0, 3.0])
def test_a_temperature_is_found_again(activation: Activation, made: float) -> None:
    logits, gold = drawn(activation)
    scores = activate(logits / np.float32(made), activation)  # as if by a hotter model
    assert fit_temperature(scores, gold, activation) == pytest.approx(1 / made, rel=0.05)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@settings(max_examples=30)
@given(data=st.data())
def test_the_loss_is_never_larger_with_it(activation: Activation, data: st.DataObject) -> None:
    rows = data.draw(st.integers(2, 20))
    logits = data.draw(hnp.arrays(np.float32, (rows, 3), elements=st.floats(-20, 20, width=32)))
    places = data.draw(hnp.arrays(np.int64, rows, elements=st.integers(0, 2)))
    gold, scores = np.eye(3, dtype=bool)[places], activate(logits, activation)
    temperature = fit_temperature(scores, gold, activation)
    assert 0.05 <= temperature <= 20
    hot = heated(scores, activation, temperature)
    assert loss(hot, gold, activation) <= loss(scores, gold, activation) * (1 + 1e-3) + 1e-6


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_heat_does_what_the_config_s_key_does(activation: Activation) -> None:
    logits, _ = drawn(activation, 500)
    expected = activate(logits, activation, 2.5)
    np.testing.assert_allclose(
        heated(activate(logits, activation), activation, 2.5), expected, atol=2e-6
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_surest_scores_have_logits(activation: Activation) -> None:
    logits = logits_of(np.array([[0, 1], [1, 0]], np.float32), activation)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rows_without_an_answer_stay_so_and_count_for_nothing(activation: Activation) -> None:
    logits, gold = drawn(activation, 300)
    scores = activate(logits, activation)
    expected = fit_temperature(scores[::2], gold[::2], activation)
    scores[1::2] = np.nan
    assert fit_temperature(scores, gold, activation) == expected
    assert np.isnan(heated(scores, activation, 2.0)[1::2]).all()
    assert fit_temperature(np.full_like(scores, np.nan), gold, activation) == 1
    assert np.isnan(loss(np.full_like(scores, np.nan), gold, activation))


def test_gold_that_no_score_stands_for_counts_for_nothing() -> None:
    logits, gold = drawn("softmax", 300)
    scores = activate(logits, "softmax")
    expected = fit_temperature(scores[100:], gold[100:], "softmax")
    gold[:100] = False
    assert fit_temperature(scores, gold, "softmax") == expected
