"""Answers that are kept in memory: the memo against a plain dict."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from labelf_cli.memo import Memo, text_keys
from labelf_cli.predictions import Floats
from labelf_cli.tokens import Ints


def keys_of(*texts: str) -> list[bytes]:
    return text_keys(pa.array(texts, pa.string()))


class TestTextKeys:
    @given(texts=st.lists(st.text()), start=st.integers(0, 10), length=st.integers(0, 10))
    def test_are_blake2b_of_the_bytes(self, texts: list[str], start: int, length: int) -> None:
        array = pa.array(texts, pa.string()).slice(start, length)
        expected = [
            hashlib.blake2b(text.encode(), digest_size=16).digest()
            for text in texts[start : start + length]
        ]
        assert text_keys(array) == expected

    @given(st.text(min_size=1))
    def test_tell_a_text_from_its_beginnings(self, text: str) -> None:
        beginnings = [text[:end] for end in range(len(text) + 1)]
        assert len(set(keys_of(*beginnings))) == len(beginnings)

    def test_of_empty_texts_are_equal(self) -> None:
        first, second, other = keys_of("", "", " ")
        assert first == second != other

    def test_of_a_dictionary_are_those_of_its_texts(self) -> None:
        encoded = pa.array(["ö", "a", "ö", None, ""]).slice(1).dictionary_encode()
        assert text_keys(encoded.dictionary) == keys_of("a", "ö", "")


class Asker:
    """Someone who asks a memo about texts, which are numbers here.

    The answer to a text is the number itself, next to what float64 could not tell from it, and
    some bits of a NaN.
    """

    def __init__(self, texts: Sequence[int]) -> None:
        self.texts = list(texts)
        self.keys = keys_of(*map(str, texts))
        self.arrays = (np.zeros(len(texts), np.int64), np.zeros((len(texts), 2), np.float32))

    def answer(self, places: Ints) -> None:
        self.arrays[0][places], self.arrays[1][places] = self.answers(places)

    def answers(self, places: Ints) -> tuple[Ints, Floats]:
        numbers = np.array(self.texts, np.int64)[places]
        bits = np.stack([numbers, numbers + 0x7FC00000], axis=1).astype(np.uint32)
        return numbers + 2**60, bits.view(np.float32)

    def has(self, places: Ints) -> bool:
        """Whether it has the answers to its texts at these places, to the bit."""
        found = (self.arrays[0][places], self.arrays[1][places])
        return [its.tobytes() for its in found] == [its.tobytes() for its in self.answers(places)]


def memo_of(max_bytes: int) -> Memo[Asker]:
    return Memo(Asker([0]).arrays, max_bytes)


def teach(memo: Memo[Asker], *texts: int) -> None:
    """Ask about texts, answer them and keep the answers."""
    asker = Asker(texts)
    memo.claim(asker.keys, asker, asker.arrays)
    places = np.arange(len(texts))
    asker.answer(places)
    memo.keep(asker.keys, places, asker.arrays)
    memo.release(asker.keys, asker)


def known(memo: Memo[Asker], *texts: int) -> list[int]:
    """Which of these texts the memo knows; those that it does not stay free to claim."""
    asker = Asker(texts)
    places = memo.claim(asker.keys, asker, asker.arrays).known
    memo.release(asker.keys, asker)
    assert asker.has(places)
    return [texts[place] for place in places]


def room_in(memo: Memo[Asker]) -> int:
    """How many answers a memo holds, found out by giving it too many."""
    many = range(1000, 5000)
    teach(memo, *many)
    return len(known(memo, *many))


class MemoAgainstADict(RuleBasedStateMachine):
    """Askers come, get answers and go; a dict and a list say what the memo has to say."""

    askers = Bundle("askers")

    @initialize(max_bytes=st.sampled_from([1, 500, 800, 2000]))
    def make(self, max_bytes: int) -> None:
        self.memo = memo_of(max_bytes)
        self.room = room_in(memo_of(max_bytes))
        self.kept: list[int] = []  # the oldest first
        self.owners: dict[int, Asker] = {}

    @rule(target=askers, texts=st.lists(st.integers(0, 12), unique=True, max_size=12))
    def ask(self, texts: list[int]) -> Asker:
        asker = Asker(texts)
        claim = self.memo.claim(asker.keys, asker, asker.arrays)
        known = [place for place, text in enumerate(texts) if text in self.kept]
        elsewhere = {
            (id(owner), here, owner.texts.index(text))
            for here, text in enumerate(texts)
            if text not in self.kept and (owner := self.owners.get(text)) is not None
        }
        own = sorted(set(range(len(texts))) - set(known) - {here for _, here, _ in elsewhere})
        assert claim.known.tolist() == known
        assert claim.own.tolist() == own
        assert {
            (id(owner), here, there)
            for owner, heres, theres in claim.elsewhere
            for here, there in zip(heres.tolist(), theres.tolist(), strict=True)
        } == elsewhere
        assert asker.has(claim.known)
        rest = np.setdiff1d(np.arange(len(texts)), claim.known)
        assert not asker.arrays[0][rest].any()
        self.owners |= dict.fromkeys((texts[place] for place in own), asker)
        return asker

    @rule(asker=consumes(askers), broken=st.sets(st.integers(0, 12)))
    def answer(self, asker: Asker, broken: set[int]) -> None:
        own = [text for text, owner in self.owners.items() if owner is asker]
        answered = [text for text in asker.texts if text in own and text not in broken]
        places = np.array([asker.texts.index(text) for text in answered], np.int64)
        asker.answer(places)
        self.memo.keep(asker.keys, places, asker.arrays)
        self.memo.release(asker.keys, asker)
        self.kept = [*self.kept, *answered][-self.room :]
        for text in own:
            del self.owners[text]

    @rule()
    def wrap(self) -> None:
        """Go round and round, a prime number of times."""
        for text in range(100, 137):
            teach(self.memo, text)
        self.kept = [*self.kept, *range(100, 137)][-self.room :]


TestMemoAgainstADict = MemoAgainstADict.TestCase
TestMemoAgainstADict.settings = settings(max_examples=60, stateful_step_count=25)


class TestMemo:
    def test_forgets_the_oldest_first(self) -> None:
        memo = memo_of(2000)
        room = room_in(memo)
        assert room > 3
        teach(memo, *range(room))
        teach(memo, 101, 102)
        assert known(memo, *range(room), 101, 102) == [*range(2, room), 101, 102]

    def test_keeps_the_last_of_more_answers_than_it_has_room_for(self) -> None:
        memo = memo_of(2000)
        room = room_in(memo)
        texts = range(3 * room + 1)
        teach(memo, 500)
        teach(memo, *texts)
        assert known(memo, 500, *texts) == [*texts][-room:]

    @pytest.mark.parametrize("width", [2, 1000])
    def test_takes_about_the_bytes_that_it_may(self, width: int) -> None:
        row = np.zeros((1, width), np.float32)
        memo: Memo[object] = Memo([row], 1 << 20)
        keys = keys_of(*map(str, range(20_000)))
        places = np.arange(len(keys))
        memo.keep(keys, places, [np.broadcast_to(row, (len(keys), width))])
        room = len(memo.claim(keys, self, [np.empty((len(keys), width), np.float32)]).known)
        # A key takes some 100 to 200 bytes of Python's.
        assert 0.9 * (1 << 20) < room * (row.nbytes + 200) < 1.1 * (1 << 20)

    def test_has_room_for_one_answer_at_least(self) -> None:
        assert room_in(memo_of(0)) == 1

    def test_lets_nobody_release_the_texts_of_another(self) -> None:
        memo = memo_of(2000)
        first, second, third = (Asker([7]) for _ in range(3))
        memo.claim(first.keys, first, first.arrays)
        memo.release(second.keys, second)
        ((owner, _, _),) = memo.claim(third.keys, third, third.arrays).elsewhere
        assert owner is first
