"""Sequences of two texts, the second of which is the same for many."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from labelf_cli.tokens import Template, Tokenizer

Typed = npt.NDArray[np.int32]
"""Ids and the token type of each, [n × 2]."""


@dataclass(frozen=True)
class PairTemplate:
    """The special tokens around a text and a second one that follows it.

    Attributes:
        single: how sequences of one text are padded and cut.
        prefix, middle, suffix: ids before, between and behind them, with their types.
        type_ids: token type of the first and of the second text.
    """

    single: Template
    prefix: Typed
    middle: Typed
    suffix: Typed
    type_ids: tuple[int, int]

    @classmethod
    def of(cls, tokenizer: Tokenizer, single: Template) -> "PairTemplate":
        """Learn from a probe what the post-processor makes of two texts.

        Raises:
            ValueError: nothing tells the two apart.
        """
        probe = tokenizer.pair()
        if probe is None:
            raise ValueError("its post-processor does not keep two texts apart")
        which = np.array([-1 if number is None else number for number in probe.sequence_ids])
        first, second = np.flatnonzero(which == 0), np.flatnonzero(which == 1)
        typed = np.array([probe.ids, probe.type_ids], np.int32).T
        ends = [first[0], first[-1] + 1, second[0], second[-1] + 1]
        prefix, its, middle, others, suffix = np.split(typed, ends)
        return cls(single, prefix, middle, suffix, (int(its[0, 1]), int(others[0, 1])))

    def followed_by(self, second: npt.NDArray[np.int32]) -> Template:
        """The template of a text that these ids follow, [n] int32; only the text is ever cut."""
        typed = np.stack([second, np.full_like(second, self.type_ids[1])], axis=1)
        suffix = np.concatenate([self.middle, typed, self.suffix])
        before = int(self.prefix[0, 1]) if len(self.prefix) else 0
        types = (before, self.type_ids[0], *suffix[:, 1].tolist())
        return replace(self.single, prefix=self.prefix[:, 0], suffix=suffix[:, 0], type_ids=types)
