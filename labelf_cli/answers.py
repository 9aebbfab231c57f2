"""What one group of models says about the distinct texts of a chunk, while it is filled in."""

import numpy as np
import numpy.typing as npt

from labelf_cli.classifiers.interface import Group
from labelf_cli.memo import Arrays
from labelf_cli.predictions import Floats, Status, Statuses, activate
from labelf_cli.tokens import Ints, TokenIds


class GroupAnswers:
    """Logits and lengths of texts by one group.

    Attributes:
        group: who answers.
        lengths: of each text in tokens, special ones included and nothing cut, [texts + 1] int64.
        logits: one array per model, [texts + 1 × labels] float32; the last row, NaN like all that
            is not answered, is the answer to no text.
    """

    def __init__(self, group: Group, texts: int) -> None:
        """Make room for so many texts."""
        self.group = group
        self.lengths = np.zeros(texts + 1, np.int64)
        self.logits = tuple(
            np.full((texts + 1, len(model.labels.value)), np.nan, np.float32)
            for model in group.models
        )
        self._broken: dict[int, str] = {}

    @property
    def arrays(self) -> Arrays:
        """All that a memo keeps of a text."""
        return (self.lengths, *self.logits)

    @property
    def is_long(self) -> npt.NDArray[np.bool_]:
        """Which texts exceed the maximum length, [texts + 1]."""
        limit = self.group.max_length.value
        return np.zeros(len(self.lengths), bool) if limit is None else self.lengths > limit

    def to_ask(self, places: Ints) -> Ints:
        """Those of some texts whose lengths are known that are asked at all."""
        places = places[~self.broke(places)]
        if all(model.fails_long for model in self.group.models):
            return places[~self.is_long[places]]
        return places

    def fail(self, failures: dict[int, str]) -> None:
        """Let texts fail that can't be asked, for these reasons."""
        self._broken |= failures

    def ask(self, ids: TokenIds, rows: Ints, places: Ints) -> Ints:
        """Answer some texts in one call; where it fails, one by one, to spare the others.

        Args:
            ids: token ids of some texts.
            rows: which of them are asked about, [n] int64.
            places: their places among the texts of the chunk, [n] int64.

        Returns:
            The places that were answered, [n or fewer] int64.
        """
        try:
            answers = self.group.answer(ids, rows)
        except Exception as error:  # onnxruntime's errors have no common base but this
            if len(rows) > 1:
                alone = zip(np.split(rows, len(rows)), np.split(places, len(rows)), strict=True)
                return np.concatenate([self.ask(ids, *one) for one in alone])
            self._broken[int(places[0])] = " ".join(str(error).split())
            return places[:0]
        for kept, logits in zip(self.logits, answers, strict=True):
            kept[places] = logits
        return places

    def borrow(self, other: "GroupAnswers", here: Ints, there: Ints) -> None:
        """Take over what was found out about the same texts elsewhere."""
        for mine, its in zip(self.arrays, other.arrays, strict=True):
            mine[here] = its[there]
        for mine_at, its_at in zip(here.tolist(), there.tolist(), strict=True):
            if its_at in other._broken:
                self._broken[mine_at] = other._broken[its_at]

    def broke(self, places: Ints) -> npt.NDArray[np.bool_]:
        """For which of some texts a call failed, [places]."""
        return np.isin(places, list(self._broken))

    def of_model(self, number: int) -> tuple[Floats, Statuses, dict[int, str]]:
        """Scores and statuses of the texts by one member, and why the failed ones failed."""
        model = self.group.models[number]
        scores = activate(self.logits[number], model.activation.value)
        status = np.zeros(len(scores), np.uint8)
        status[self.is_long] = Status.FAILED if model.fails_long else Status.TRUNCATED
        failures = dict(self._broken)
        limit = self.group.max_length.value
        for place in np.flatnonzero(status == Status.FAILED).tolist():
            failures[place] = f"{self.lengths[place]} tokens, more than max_length {limit}"
        for place in np.flatnonzero(~np.isfinite(scores[:-1]).all(axis=1)).tolist():
            failures.setdefault(place, "the model's answer is not a number")
        failed = list(failures)
        scores[failed], status[failed] = np.nan, Status.FAILED
        return scores, status, failures
