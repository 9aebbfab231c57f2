"""What one group says, kept for other runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labelf_cli.answers import GroupAnswers, answer_digests
from labelf_cli.cache import LogitsCache
from labelf_cli.classifiers.interface import Group, Service
from labelf_cli.spent import Spent
from labelf_cli.tokens import Ints


@dataclass(frozen=True)
class KeptAnswers:
    """The answers of a group in a cache.

    Attributes:
        cache: where they are.
        models: the numbers of the group's models there.
    """

    cache: LogitsCache
    models: tuple[int, ...]

    @classmethod
    def of(cls, group: Group, cache: LogitsCache) -> "KeptAnswers":
        """Those of a group.

        Raises:
            OutputError: the cache can't be used.
        """
        return cls(cache, tuple(map(cache.model, answer_digests(group))))

    def fill_in(
        self, answers: GroupAnswers, keys: Sequence[bytes], places: Ints
    ) -> tuple[Ints, Spent]:
        """Fill in what is known of some texts.

        Args:
            answers: of the group.
            keys: of all texts of the chunk.
            places: which of them, [n] int64.

        Returns:
            The places of those that a model has yet to answer, [n or fewer] int64; and how many
            answers were known.
        """
        asked = [keys[place] for place in places.tolist()]
        known = np.zeros(len(places), np.int64)
        for number, logits in zip(self.models, answers.logits, strict=True):
            found, lengths, its_logits = self.cache.get(number, asked, logits.shape[1])
            answers.lengths[places[found]], logits[places[found]] = lengths, its_logits
            known[found] += 1
        return places[known < len(self.models)], Spent(cached=int(known.sum()))

    def put(self, answers: GroupAnswers, keys: Sequence[bytes], places: Ints) -> None:
        """Keep what is said of some texts; see ``fill_in``."""
        if not len(places):
            return
        for member, number in enumerate(self.models):
            given = answers.given(member, places)
            its_keys = [keys[place] for place in given.tolist()]
            self.cache.put(number, its_keys, answers.lengths[given], answers.logits[member][given])
        if isinstance(answers.group, Service):
            self.cache.flush()  # they may have been paid for
