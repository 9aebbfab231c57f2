"""Logits that are kept in a file: bit for bit, against crashes and strangers."""

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

from labelf_cli.cache import LogitsCache
from labelf_cli.errors import OutputError
from labelf_cli.memo import text_keys

# A child that is forked has the threads' locks, but not the threads.
PROCESSES = multiprocessing.get_context("spawn")
WIDTH = 3


def keys_of(*texts: str) -> list[bytes]:
    return text_keys(pa.array(texts, pa.string()))


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
