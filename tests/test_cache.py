"""Logits that are kept: the memo against a plain dict, the file against crashes and strangers."""

import hashlib
import multiprocessing
import random
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from labelf_cli.cache import LogitsCache, Memo, text_keys
from labelf_cli.errors import OutputError
from labelf_cli.predictions import Floats
from labelf_cli.tokens import Ints

# A child that is forked has the threads' locks, but not the threads.
PROCESSES = multiprocessing.get_context("spawn")
WIDTH = 3


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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.sqlite"


Known = dict[bytes, tuple[int, bytes]]


def put(path: Path, model: str, answers: dict[bytes, tuple[int, npt.ArrayLike]]) -> None:
    """Open a cache, put answers into it, close it."""
    lengths = np.array([length for length, _ in answers.values()], np.int64)
    logits = np.array([its for _, its in answers.values()], np.float32).reshape(-1, WIDTH)
    with closing(LogitsCache(path)) as cache:
        cache.put(cache.model(model), list(answers), lengths, logits)


def get(path: Path, model: str, *keys: bytes) -> Known:
    """Open a cache and ask it: length and the bytes of the logits, by key."""
    with closing(LogitsCache(path)) as cache:
        places, lengths, logits = cache.get(cache.model(model), keys, WIDTH)
    assert [its.dtype for its in (places, lengths, logits)] == ["int64", "int64", "float32"]
    assert len(set(places.tolist())) == len(places) == len(lengths) == len(logits)
    rows = zip(places.tolist(), lengths.tolist(), logits, strict=True)
    return {keys[place]: (length, row.tobytes()) for place, length, row in rows}


A, B, C = keys_of("a", "b", "c")
ONE = np.ones(WIDTH, np.float32)


def put_one(cache: LogitsCache, key: bytes) -> None:
    cache.put(cache.model("m"), [key], np.array([5]), ONE[None])


class TestAnswers:
    bits: st.SearchStrategy[list[int]] = st.lists(
        st.integers(0, 2**32 - 1) | st.sampled_from([0x7F800000, 0xFF800000, 0x7FC00001, 1 << 31]),
        min_size=WIDTH,
        max_size=WIDTH,
    )

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        answers=st.dictionaries(
            st.binary(min_size=16, max_size=16), st.tuples(st.integers(0, 2**62), bits)
        ),
        others=st.lists(st.binary(min_size=16, max_size=16)),
        order=st.randoms(use_true_random=False),
    )
    def test_come_back_bit_for_bit(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        answers: dict[bytes, tuple[int, list[int]]],
        others: list[bytes],
        order: random.Random,
    ) -> None:
        path = tmp_path_factory.mktemp("cache") / "cache.sqlite"
        rows = {key: np.array(its, np.uint32).view(np.float32) for key, (_, its) in answers.items()}
        put(path, "m", {key: (answers[key][0], row) for key, row in rows.items()})
        asked = list({*answers, *others})
        order.shuffle(asked)
        expected = {key: (answers[key][0], row.tobytes()) for key, row in rows.items()}
        assert get(path, "m", *asked) == expected

    def test_may_be_many(self, path: Path) -> None:
        keys = keys_of(*map(str, range(2500)))
        put(path, "m", {key: (n, (n, -n, 0.5)) for n, key in enumerate(keys)})
        found = get(path, "m", *reversed(keys))
        assert [found[key][0] for key in keys] == list(range(2500))
        assert found[keys[1234]][1] == np.array([1234, -1234, 0.5], np.float32).tobytes()

    def test_to_no_question_are_none(self, path: Path) -> None:
        assert get(path, "m") == {}

    def test_of_one_model_are_not_those_of_another(self, path: Path) -> None:
        put(path, "m", {A: (1, (1, 2, 3)), B: (2, (4, 5, 6))})
        put(path, "n", {A: (1, (7, 8, 9))})
        assert get(path, "m", A, B, C) == {
            A: (1, np.array([1, 2, 3], np.float32).tobytes()),
            B: (2, np.array([4, 5, 6], np.float32).tobytes()),
        }
        assert get(path, "n", A, B) == {A: (1, np.array([7, 8, 9], np.float32).tobytes())}
        assert get(path, "o", A, B) == {}

    def test_stay_as_they_were_first_given(self, path: Path) -> None:
        # As those of a remote service do (law 1); one's own are the same every time.
        put(path, "m", {A: (1, (1, 2, 3))})
        put(path, "m", {A: (9, (9, 9, 9)), B: (2, (4, 5, 6))})
        assert {key: length for key, (length, _) in get(path, "m", A, B).items()} == {A: 1, B: 2}

    def test_are_on_disk_about_a_second_later(self, path: Path) -> None:
        with closing(LogitsCache(path)) as cache:
            put_one(cache, A)
            time.sleep(1.1)
            put_one(cache, B)
            assert set(get(path, "m", A, B, C)) == {A, B}


def write_when_all_are_ready(path: Path, worker: int, ready: Barrier) -> None:
    ready.wait(30)
    with closing(LogitsCache(path)) as cache:
        model = cache.model("m")
        for batch in range(20):
            keys = keys_of(*(f"{worker} {batch} {n}" for n in range(50)), f"all {batch}")
            logits = np.full((len(keys), WIDTH), 0.5, np.float32)
            cache.put(model, keys, np.full(len(keys), worker), logits)
            cache.get(model, keys, WIDTH)


def open_when_all_are_ready(paths: Sequence[Path], ready: Barrier) -> None:
    for path in paths:
        ready.wait(30)
        LogitsCache(path).close()


def write_and_hang(path: Path, has_written: Event) -> None:
    cache = LogitsCache(path)
    put_one(cache, A)
    time.sleep(1.1)
    put_one(cache, B)
    put_one(cache, C)
    has_written.set()
    time.sleep(60)


class TestProcesses:
    def test_may_make_a_file_at_once(self, tmp_path: Path) -> None:
        ready = PROCESSES.Barrier(3)
        files = [tmp_path / f"{n}.sqlite" for n in range(20)]
        openers = [
            PROCESSES.Process(target=open_when_all_are_ready, args=(files, ready)) for _ in range(3)
        ]
        for opener in openers:
            opener.start()
        for opener in openers:
            opener.join(60)
        assert [opener.exitcode for opener in openers] == [0, 0, 0]

    def test_may_share_a_file_that_none_has_made(self, path: Path) -> None:
        ready = PROCESSES.Barrier(3)
        workers = [
            PROCESSES.Process(target=write_when_all_are_ready, args=(path, worker, ready))
            for worker in range(3)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        texts = [f"{w} {batch} {n}" for w in range(3) for batch in range(20) for n in range(50)]
        texts += [f"all {batch}" for batch in range(20)]
        assert len(get(path, "m", *keys_of(*texts))) == len(texts)

    def test_that_are_killed_lose_only_what_was_not_written(self, path: Path) -> None:
        has_written = PROCESSES.Event()
        process = PROCESSES.Process(target=write_and_hang, args=(path, has_written))
        process.start()
        assert has_written.wait(30)
        process.kill()
        process.join(30)
        assert set(get(path, "m", A, B, C)) == {A, B}
        put(path, "m", {C: (1, (1, 2, 3))})
        assert set(get(path, "m", A, B, C)) == {A, B, C}


def refusal(path: Path) -> str:
    with pytest.raises(OutputError) as refused:
        LogitsCache(path)
    return str(refused.value)


class TestRefusals:
    def test_of_what_is_no_database(self, path: Path) -> None:
        path.write_text("id,text\n" * 1000)
        assert refusal(path) == (
            f"{path}: can't be used as a cache (file is not a database). Name another --cache"
        )
        assert path.read_text() == "id,text\n" * 1000

    @pytest.mark.parametrize(
        "statement", ["CREATE TABLE mine (id)", "PRAGMA user_version = 7"], ids=["mine", "newer"]
    )
    def test_of_another_programs_or_versions_leave_it_as_it_was(
        self, path: Path, statement: str
    ) -> None:
        with closing(sqlite3.connect(path)) as theirs:
            theirs.execute(statement)
            theirs.commit()
        before = path.read_bytes()
        assert refusal(path) == (
            f"{path}: can't be used as a cache (not a cache of this version of labelf). "
            "Name another --cache"
        )
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        with closing(sqlite3.connect(path, timeout=0)) as theirs:  # no lock was left on it
            theirs.execute("BEGIN EXCLUSIVE")

    def test_of_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        path = tmp_path / "no/such/cache.sqlite"
        assert refusal(path) == (
            f"{path}: can't be used as a cache (unable to open database file). Name another --cache"
        )

    def test_of_a_file_that_breaks_before_the_first_text(self, path: Path) -> None:
        with closing(LogitsCache(path)) as cache:
            drop(path, "model")
            with pytest.raises(OutputError) as refused:
                cache.model("m")
        assert str(refused.value) == (
            f"{path}: can't be used as a cache (no such table: model). Name another --cache"
        )

    def test_do_not_meet_an_empty_file(self, path: Path) -> None:
        path.touch()
        put(path, "m", {A: (1, (1, 2, 3))})
        assert set(get(path, "m", A)) == {A}


def drop(path: Path, table: str) -> None:
    """Break a cache that is in use."""
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"DROP TABLE {table}")
        other.commit()


class TestFailures:
    def test_are_told_once_and_survived(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with closing(LogitsCache(path)) as cache:
            put_one(cache, A)
            model = cache.model("m")
            drop(path, "answer")
            for _ in range(3):
                places, lengths, logits = cache.get(model, [A, B], WIDTH)
                assert (len(places), len(lengths), logits.shape) == (0, 0, (0, WIDTH))
            time.sleep(1.1)
            put_one(cache, B)  # writes
        said = [(record.levelname, record.getMessage()) for record in caplog.records]
        assert said == [
            ("WARNING", f"{path}: the cache fails (no such table: answer); going on without it")
        ]

    def test_leave_what_can_be_written_later(self, path: Path) -> None:
        # A write that fails must not leave a transaction open.
        with closing(LogitsCache(path)) as cache:
            put_one(cache, A)
            with closing(sqlite3.connect(path)) as other:
                other.execute("ALTER TABLE answer RENAME TO elsewhere")
                time.sleep(1.1)
                put_one(cache, B)
                other.execute("ALTER TABLE elsewhere RENAME TO answer")
            put_one(cache, C)
        assert set(get(path, "m", A, B, C)) == {C}

    def test_are_not_made_of_closing_twice(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache = LogitsCache(path)
        put_one(cache, A)
        cache.close()
        cache.close()
        assert caplog.record_tuples == []
        assert set(get(path, "m", A)) == {A}
