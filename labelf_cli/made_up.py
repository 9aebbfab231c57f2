"""Texts to measure speed on where the user has none at hand."""

import random

# Words in a text: a log-normal distribution, as that of calls and chats is.
_MEAN_LOG, _SIGMA_LOG, _MOST_WORDS = 3.8, 0.9, 440


def made_up_texts(words: list[str], rows: int) -> list[str]:
    """Texts of random words, most of them short, the same ones every time."""
    chance = random.Random(0)
    lengths = (chance.lognormvariate(_MEAN_LOG, _SIGMA_LOG) for _ in range(rows))
    return [" ".join(chance.choices(words, k=1 + min(int(n), _MOST_WORDS))) for n in lengths]
