"""A temperature that makes scores as sure as they are right (Guo et al. 2017, section 4.2)."""

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from labelf_cli.evaluation.judged import Booleans, Floats
from labelf_cli.model_keys import Activation
from labelf_cli.predictions import activate

LEAST, MOST = 0.05, 20.0
"""Between these a temperature is looked for; at them, none is the best."""

_SMALLEST = float(np.finfo(np.float32).smallest_subnormal)


def logits_of(scores: Floats, activation: Activation) -> Floats:
    """Logits that give these scores, [texts × labels] float32; of softmax, up to a constant.

    A score that float32 can't tell from 0 or 1 counts as the nearest that it can.
    """
    p = scores.astype(np.float64)
    if activation == "softmax":
        return np.asarray(np.log(np.maximum(p, _SMALLEST)), np.float32)
    p = np.clip(p, _SMALLEST, 1 - np.finfo(np.float32).epsneg)
    return np.asarray(np.log(p) - np.log1p(-p), np.float32)


def heated(scores: Floats, activation: Activation, temperature: float) -> Floats:
    """What scores become if their logits are divided by a temperature."""
    if temperature == 1:
        return scores
    return activate(logits_of(scores, activation), activation, temperature)


def loss(scores: Floats, gold: Booleans, activation: Activation) -> float:
    """Log loss of the texts with an answer and, of softmax, a label among those of the scores.

    Args:
        scores: [texts × labels] float32, NaN where there is no answer.
        gold: [texts × labels].
        activation: softmax or sigmoid.

    Returns:
        NaN where there is no such text.
    """
    known = _known(scores, gold, activation)
    return _loss(scores[known], gold[known], activation) if known.any() else np.nan


def fit_temperature(scores: Floats, gold: Booleans, activation: Activation) -> float:
    """The temperature with the least ``loss``, from 0.05 to 20; 1 where nothing tells."""
    known = _known(scores, gold, activation)
    if not known.any():
        return 1.0
    logits, right = logits_of(scores[known], activation), gold[known]
    found = minimize_scalar(
        lambda log: _loss(activate(logits, activation, float(np.exp(log))), right, activation),
        bounds=(np.log(LEAST), np.log(MOST)),
        method="bounded",
    )
    return float(f"{np.exp(found.x):.4g}")


def _known(scores: Floats, gold: Booleans, activation: Activation) -> Booleans:
    known = ~np.isnan(scores).any(axis=1)
    return np.asarray(known & gold.any(axis=1) if activation == "softmax" else known)


def _loss(scores: Floats, gold: Booleans, activation: Activation) -> float:
    if activation == "softmax":
        return float(log_loss(gold.argmax(axis=1), scores, labels=list(range(scores.shape[1]))))
    return float(log_loss(gold.ravel(), scores.ravel(), labels=[False, True]))
