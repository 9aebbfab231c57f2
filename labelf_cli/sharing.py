"""Equal texts of several chunks: one chunk computes the answer, the others take it."""

from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np
import pyarrow as pa

from labelf_cli.answers import GroupAnswers
from labelf_cli.memo import Arrays, Memo, text_keys
from labelf_cli.tokens import Ints


class SharedTexts:
    """The distinct texts of a chunk among those of all chunks.

    They are of three kinds: those that the memo knows, those that an earlier chunk is at work on,
    and its own.

    Attributes:
        keys: of the texts.
        own: places of those that this chunk has to answer, [own] int64.
        computed: done when it has, so that later chunks may take from it.
    """

    def __init__(self, memo: "Memo[SharedTexts]") -> None:
        """Of a chunk that knows nothing of its texts yet."""
        self.keys: list[bytes] = []
        self.own: Ints = np.empty(0, np.int64)
        self.computed: Future[None] = Future()
        self._memo = memo
        self._answers: Sequence[GroupAnswers] = ()
        self._elsewhere: list[tuple[SharedTexts, Ints, Ints]] = []

    def claim(self, texts: pa.StringArray, answers: Sequence[GroupAnswers]) -> None:
        """Find out of which kind each text is; fill in the answers that the memo knows."""
        self.keys, self._answers = text_keys(texts), answers
        claim = self._memo.claim(self.keys, self, self._arrays)
        self.own, self._elsewhere = claim.own, claim.elsewhere

    @property
    def _arrays(self) -> Arrays:
        return [array for answers in self._answers for array in answers.arrays]

    def give(self) -> None:
        """The own texts are answered: keep that, and let later chunks take it."""
        broke = np.zeros(len(self.own), bool)
        for answers in self._answers:
            broke |= answers.broke(self.own)
        self._memo.keep(self.keys, self.own[~broke], self._arrays)
        self._memo.release(self.keys, self)
        self.computed.set_result(None)

    @property
    def awaited(self) -> list["Future[None]"]:
        """What has to be done before ``take``."""
        return [other.computed for other, _, _ in self._elsewhere]

    def take(self) -> None:
        """Fill in what earlier chunks have found out.

        Raises:
            BaseException: what one of them has failed with.
        """
        for other, here, there in self._elsewhere:
            other.computed.result()
            for mine, its in zip(self._answers, other._answers, strict=True):
                mine.borrow(its, here, there)
        self._elsewhere = []

    def fail(self, error: BaseException) -> None:
        """Let whoever waits know, and let the texts be claimed anew."""
        self._memo.release(self.keys, self)
        if not self.computed.done():
            self.computed.set_exception(error)
