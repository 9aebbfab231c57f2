"""Micro-batches: which texts share a call of a model, and in which order the calls run."""

from collections.abc import Iterator

import numpy as np

from labelf_cli.classifiers.interface import Batching
from labelf_cli.tokens import Ints

TOKEN_BUDGET = 1024
"""Tokens in one call, padding included. More makes long texts no faster and short ones little."""


def micro_batches(lengths: Ints, batching: Batching, budget: int = TOKEN_BUDGET) -> Iterator[Ints]:
    """Cut texts into calls, the longest texts first, so that no worker is left with a long one.

    Args:
        lengths: sequence length of each text, [texts] int64.
        batching: how the model's texts may share a call.
        budget: tokens in one call, padding included; a longer text makes a call of its own.

    Yields:
        Positions of the texts of one call, [n] int64.
    """
    order = np.argsort(-lengths, kind="stable")
    ordered = lengths[order]
    start = 0
    while start < len(order):
        length = int(ordered[start])
        count = 1 if batching is Batching.ONE_TEXT else max(1, budget // max(length, 1))
        if batching is Batching.EQUAL_LENGTH:
            count = min(count, int(np.searchsorted(-ordered, -length, side="right")) - start)
        yield order[start : start + count]
        start += count
