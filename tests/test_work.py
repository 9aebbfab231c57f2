"""Law 3: equal texts are classified once, over chunks, runs and models; and law 1 all the while."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from threading import Event, Semaphore, Thread
from time import sleep
from typing import Any

import pyarrow as pa
import pytest
from conftest import WORDS, WriteModel, write_encoder, write_head
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.interface import Batching, Because
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.config import Config, ModelConfig
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Floats, Status
from labelf_cli.spent import Spent
from labelf_cli.tokens import Ints, Template, TokenIds, Tokenizer

SHORT, LONG = "tv", "my bill is too high"


class HeldClassifier(OnnxClassifier):
    """Once loaded, it answers no call before it may; told so, it fails for texts of five words.

    Attributes:
        begun: released by each call as it begins.
        may: lets all calls go on.
        asked: how many texts each call is about.
    """

    def __init__(self, configs: Sequence[ModelConfig], tokenizers: dict[str, Tokenizer]) -> None:
        super().__init__(configs, tokenizers)
        self.begun, self.may = Semaphore(0), Event()
        self.asked: list[int] = []
        self.loaded = self.fails = False

    def load(self) -> Because[Batching]:
        found = super().load()
        self.loaded = True
        return found

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        if self.loaded:
            self.asked.append(len(rows))
            self.begun.release()
            assert self.may.wait(timeout=20)
            if self.fails and (ids.lengths[rows] == 5).any():
                raise RuntimeError("no five")
        return super().logits(ids, rows)


class HeldTokenizer(Tokenizer):
    """Works on texts of several words only when it may.

    Attributes:
        begun: released by each piece of work as it begins.
        may: lets it go on.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.begun, self.may = Semaphore(0), Event()

    def encode(self, texts: list[str]) -> TokenIds:
        self.begun.release()
        if any(" " in text for text in texts):
            assert self.may.wait(timeout=20)
        return super().encode(texts)


class BrokenTemplate(Template):
    """Breaks over texts of several tokens."""

    def lengths(self, ids: TokenIds, max_length: int | None) -> Ints:
        if ids.lengths.max() > 1:
            raise RuntimeError(f"can't measure {len(ids.lengths)} texts")
        return super().lengths(ids, max_length)


def ask(labeller: Labeller, *texts: str | None) -> "Future[Answers]":
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    return labeller.submit(Chunk(0, 0, batch))


def answer(labeller: Labeller, *texts: str | None) -> Answers:
    return ask(labeller, *texts).result(timeout=30)


def is_open(labeller: Labeller) -> bool:
    try:
        ask(labeller, None)
    except RuntimeError:
        return False
    return True


def bits(answers: Answers) -> list[bytes]:
    """All that is said of each row, but for the reasons of failures."""
    rows = zip(*answers.scores, answers.status, strict=True)
    return [b"".join(part.tobytes() for part in row) for row in rows]


def told(answers: Answers) -> list[tuple[bytes, str | None]]:
    """All that is said of each row."""
    return list(zip(bits(answers), answers.errors.to_pylist(), strict=True))


Open = Callable[..., Labeller]


@pytest.fixture
def opened(make_config: Callable[..., Config]) -> Iterator[Open]:
    """A function that loads a labeller of a config's entries; it is closed when the test ends."""
    labellers: list[Labeller] = []

    def open_(*models: dict[str, Any], cache: Path | None = None) -> Labeller:
        labellers.append(Labeller.open(make_config(*models), 2, cache))
        return labellers[-1].load()

    yield open_
    for labeller in labellers:
        labeller.close()


Held = tuple[Labeller, HeldClassifier]


@pytest.fixture
def held(make_config: Callable[..., Config], write_model: WriteModel) -> Iterator[Held]:
    """A labeller with two threads whose one model, one text a call, answers when it may."""
    model = HeldClassifier(
        make_config({"name": "m", "path": write_model(moves="batch")}).local_models, {}
    )
    with Labeller([model], threads=2) as labeller:
        labeller.load()
        yield labeller, model
        model.may.set()


@pytest.fixture
def tokenizer(held: Held, tmp_path: Path) -> HeldTokenizer:
    """Of the held model, from now on."""
    _, model = held
    tokenizer = HeldTokenizer((tmp_path / "models/model/tokenizer.json").read_bytes())
    model.tokenizer = tokenizer
    return tokenizer


class TestChunks:
    def test_that_follow_know_the_answers(self, opened: Open, write_model: WriteModel) -> None:
        labeller = opened({"name": "m", "path": write_model()})
        first = answer(labeller, SHORT, LONG)
        second = answer(labeller, LONG, "no signal", None, SHORT)
        assert (first.spent.texts, first.spent.recalled, first.spent.calls) == (2, 0, 1)
        assert (second.spent.texts, second.spent.recalled, second.spent.calls) == (3, 2, 1)
        assert [bits(second)[row] for row in (3, 0)] == bits(first)

    def test_take_what_another_is_at_work_on(self, held: Held) -> None:
        labeller, model = held
        first = ask(labeller, SHORT)
        assert model.begun.acquire(timeout=20)
        second = ask(labeller, "signal", SHORT, SHORT)
        assert model.begun.acquire(timeout=20)  # so it has claimed its own text
        model.may.set()
        one, two = first.result(timeout=30), second.result(timeout=30)
        assert [its.spent.recalled for its in (one, two)] == [0, 1]
        assert [its.spent.calls for its in (one, two)] == [1, 1]
        assert model.asked == [1, 1]
        assert bits(two)[1:] == bits(one) * 2

    def test_take_from_several(self, held: Held) -> None:
        labeller, model = held
        first = ask(labeller, SHORT)
        assert model.begun.acquire(timeout=20)
        others = [ask(labeller, SHORT, "my", "no"), ask(labeller, "no", SHORT, "is", "my")]
        model.may.set()
        told = [future.result(timeout=30) for future in (first, *others)]
        assert sum(model.asked) == 4
        assert sum(its.spent.recalled for its in told) == 4
        by_text = {SHORT: bits(told[0])[0]}
        by_text |= zip(["my", "no"], bits(told[1])[1:], strict=True)
        assert bits(told[1])[0] == by_text[SHORT]
        last = bits(told[2])
        assert [last[0], last[1], last[3]] == [by_text["no"], by_text[SHORT], by_text["my"]]

    def test_take_its_failures_too(self, held: Held) -> None:
        labeller, model = held
        model.fails = True
        first = ask(labeller, LONG)
        assert model.begun.acquire(timeout=20)
        second = ask(labeller, SHORT, LONG)
        assert model.begun.acquire(timeout=20)
        model.may.set()
        one, two = first.result(timeout=30), second.result(timeout=30)
        assert one.errors.to_pylist() == ["m: no five"]
        assert two.errors.to_pylist() == [None, "m: no five"]
        assert two.status.tolist() == [Status.OK, Status.FAILED]
        assert sum(model.asked) == 2

    def test_ask_again_for_what_failed(self, held: Held) -> None:
        labeller, model = held
        model.fails = True
        model.may.set()
        assert answer(labeller, LONG).status.tolist() == [Status.FAILED]
        model.fails = False
        again = answer(labeller, LONG)
        assert (again.status.tolist(), again.spent.recalled) == ([Status.OK], 0)

    def test_fail_with_the_one_that_they_wait_for(
        self, held: Held, tokenizer: HeldTokenizer
    ) -> None:
        labeller, model = held
        model.may.set()
        whole, model.template = model.template, BrokenTemplate(*astuple(model.template))
        first = ask(labeller, LONG)
        assert tokenizer.begun.acquire(timeout=20)
        second = ask(labeller, SHORT, LONG)
        assert tokenizer.begun.acquire(timeout=20)  # so it has claimed its own text
        tokenizer.may.set()
        for future in (first, second):
            with pytest.raises(RuntimeError, match="can't measure 1 texts"):
                future.result(timeout=30)
        model.template = whole
        again = answer(labeller, LONG, SHORT)
        assert (again.status.tolist(), again.spent.recalled) == ([Status.OK] * 2, 1)

    @staticmethod
    def close(labeller: Labeller, model: HeldClassifier) -> None:
        """Close it while calls are held, and let them go once nothing can be submitted."""
        closing = Thread(target=labeller.close, daemon=True)
        closing.start()
        while is_open(labeller):
            sleep(0.01)
        model.may.set()
        closing.join(timeout=20)
        assert not closing.is_alive()

    def test_that_wait_for_a_call_that_has_begun_are_answered_when_it_is_closed(
        self, held: Held
    ) -> None:
        labeller, model = held
        first = ask(labeller, SHORT)
        assert model.begun.acquire(timeout=20)
        second, third = ask(labeller, "my", SHORT), ask(labeller, "no")
        assert model.begun.acquire(timeout=20)
        self.close(labeller, model)
        assert first.result(timeout=1).status.tolist() == [Status.OK]
        assert second.result(timeout=1).status.tolist() == [Status.OK] * 2
        with pytest.raises(CancelledError):
            third.result(timeout=1)

    def test_that_wait_for_a_call_that_is_dropped_are_dropped_too(
        self, held: Held, tokenizer: HeldTokenizer
    ) -> None:
        labeller, model = held
        first = ask(labeller, LONG, "my", "no", "is")
        assert tokenizer.begun.acquire(timeout=20)
        second = ask(labeller, SHORT, "is")
        assert model.begun.acquire(timeout=20)
        tokenizer.may.set()
        assert model.begun.acquire(timeout=20)  # that of LONG; the others wait for a thread
        self.close(labeller, model)
        for future in (first, second):
            with pytest.raises(CancelledError):
                future.result(timeout=1)


texts = st.lists(
    st.sampled_from([*WORDS[4:], "my bill", "bill my", "unheard of", "", None]), max_size=30
)


class TestScores:
    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(chunks=st.lists(texts, max_size=6), memo_bytes=st.sampled_from([0, 1000, 1 << 20]))
    def test_do_not_depend_on_what_was_kept(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        make_config: Callable[..., Config],
        models: list[dict[str, Any]],
        chunks: list[list[str | None]],
        memo_bytes: int,
    ) -> None:
        config = make_config(*models)
        cache = tmp_path_factory.mktemp("cache") / "cache.sqlite"
        said = []
        for threads, room, its_cache in (
            (1, 0, None),
            (3, memo_bytes, None),
            (2, memo_bytes, cache),
            (2, memo_bytes, cache),
        ):
            groups = open_groups(config.models)
            with Labeller(groups, threads, cache=its_cache, memo_bytes=room) as labeller:
                labeller.load()
                futures = [ask(labeller, *chunk) for chunk in chunks]
                said.append([told(future.result(timeout=30)) for future in futures])
        assert said[1:] == said[:1] * 3

    @pytest.fixture
    def models(self, write_model: WriteModel, tmp_path: Path) -> list[dict[str, Any]]:
        """Models of all ways of sharing a call, that cut and fail texts, and heads."""
        encoder = write_encoder(tmp_path / "encoder")
        heads = [write_head(tmp_path / name, encoder, seed=seed) for seed, name in enumerate("de")]
        return [
            {"name": "a", "path": write_model("a", seed=1), "max_length": 4},
            {"name": "d", "path": heads[0], "encoder": encoder},
            {"name": "b", "path": write_model("b", moves="batch", seed=2)},
            {"name": "c", "path": write_model("c", moves="padding", nan_word="tv", seed=3)},
            {"name": "e", "path": heads[1], "encoder": encoder},
            {"name": "f", "path": tmp_path / "models/b", "max_length": 3, "on_long": "error"},
        ]


class TestCache:
    @pytest.fixture
    def cache(self, tmp_path: Path) -> Path:
        return tmp_path / "cache.sqlite"

    def spent(self, opened: Open, *models: dict[str, Any], cache: Path) -> Spent:
        labeller = opened(*models, cache=cache)
        answers = answer(labeller, SHORT, LONG, "my", None)
        labeller.close()
        return answers.spent

    def test_answers_for_the_models_of_an_earlier_run(
        self, opened: Open, write_model: WriteModel, cache: Path
    ) -> None:
        entry = {"name": "m", "path": write_model(nan_word="no"), "max_length": 5}
        first = opened(entry, cache=cache)
        before = answer(first, SHORT, LONG, None, "no")
        first.close()
        again = answer(opened(entry, cache=cache), LONG, None, "no", SHORT)
        assert (before.spent.cached, before.spent.calls) == (0, 1)
        assert (again.spent.cached, again.spent.calls, again.spent.tokenising) == (3, 0, 0)
        assert [told(again)[row] for row in (3, 0, 1, 2)] == told(before)
        assert again.status.tolist() == [Status.TRUNCATED, Status.EMPTY, Status.FAILED, Status.OK]

    def test_leaves_the_texts_that_are_new(
        self, opened: Open, write_model: WriteModel, cache: Path
    ) -> None:
        entry = {"name": "m", "path": write_model()}
        self.spent(opened, entry, cache=cache)
        spent = answer(opened(entry, cache=cache), "no signal", SHORT, LONG, SHORT).spent
        assert (spent.texts, spent.cached, spent.calls, spent.tokens) == (3, 2, 1, 4)

    def test_keeps_no_answer_of_a_call_that_failed(
        self, opened: Open, make_config: Callable[..., Config], write_model: WriteModel, cache: Path
    ) -> None:
        entry = {"name": "m", "path": write_model()}
        model = HeldClassifier(make_config(entry).local_models, {})
        model.fails = True
        model.may.set()
        with Labeller([model], threads=2, cache=cache) as labeller:
            labeller.load()
            assert answer(labeller, LONG, SHORT).status.tolist() == [Status.FAILED, Status.OK]
        again = answer(opened(entry, cache=cache), LONG, SHORT)
        assert told(again) == told(answer(opened(entry), LONG, SHORT))
        assert (again.spent.cached, again.spent.calls) == (1, 1)

    def test_that_breaks_costs_no_answer(
        self, opened: Open, write_model: WriteModel, cache: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        entry = {"name": "m", "path": write_model()}
        labeller = opened(entry, cache=cache)
        with closing(sqlite3.connect(cache)) as other:
            other.execute("DROP TABLE answer")
            other.commit()
        found = [answer(labeller, text) for text in (SHORT, LONG, "my")]
        labeller.close()
        whole = opened(entry)
        assert [told(its) for its in found] == [told(answer(whole, t)) for t in (SHORT, LONG, "my")]
        assert [record.levelname for record in caplog.records] == ["WARNING"]

    @pytest.mark.parametrize(
        "change",
        [
            {"threshold": 0.9},
            {"label_filter": ["no"]},
            {"activation": "sigmoid"},
            {"calibration_temperature": 2.0},
            {"labels": ["x", "y", "z"]},
            {"on_long": "error"},
            {"token_budget": 7},
            {"max_predictions": 1},
            {"name": "other"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_outlives_what_comes_after_the_logits(
        self, opened: Open, write_model: WriteModel, cache: Path, change: dict[str, Any]
    ) -> None:
        entry = {"name": "m", "path": write_model()}
        self.spent(opened, entry, cache=cache)
        assert self.spent(opened, entry | change, cache=cache).calls == 0

    def test_does_not_outlive_what_decides_the_logits(
        self, opened: Open, write_model: WriteModel, cache: Path
    ) -> None:
        folder = write_model()
        entry = {"name": "m", "path": folder}
        self.spent(opened, entry, cache=cache)
        assert self.spent(opened, entry | {"max_length": 5}, cache=cache).cached == 0
        assert self.spent(opened, entry, cache=cache).cached == 3
        tokenizer = (folder / "tokenizer.json").read_bytes()
        for name, content in (
            ("labelf.json", b'{"disabled_optimizers": []}'),
            ("model.onnx", (write_model("other", seed=7) / "model.onnx").read_bytes()),
            ("tokenizer.json", tokenizer.replace(b"angry", b"happy")),
        ):
            (folder / name).write_bytes(content)
            assert self.spent(opened, entry, cache=cache).cached == 0
            assert self.spent(opened, entry, cache=cache).cached == 3

    def test_lets_a_new_head_pay_for_the_encoder_alone(
        self, opened: Open, write_model: WriteModel, cache: Path, tmp_path: Path
    ) -> None:
        encoder = write_encoder(tmp_path / "encoder")
        heads = [write_head(tmp_path / name, encoder, seed=seed) for seed, name in enumerate("ab")]
        a, b = ({"name": head.name, "path": head, "encoder": encoder} for head in heads)
        other = {"name": "other", "path": write_model()}
        self.spent(opened, a, other, cache=cache)
        spent = self.spent(opened, a, b, other, cache=cache)
        assert (spent.cached, spent.calls) == (6, 1)
        assert self.spent(opened, b, a, cache=cache).calls == 0

    def test_lets_a_new_model_pay_for_itself_alone(
        self, opened: Open, write_model: WriteModel, cache: Path
    ) -> None:
        old = [{"name": name, "path": write_model(name, seed=n)} for n, name in enumerate("ab")]
        self.spent(opened, *old, cache=cache)
        new = {"name": "new", "path": write_model("new", seed=5)}
        spent = self.spent(opened, *old, new, cache=cache)
        assert (spent.cached, spent.calls) == (6, 1)
        assert spent.tokens == self.spent(opened, new, cache=cache.with_name("other")).tokens


class TestGroups:
    def test_of_equal_graphs_run_once(self, opened: Open, write_model: WriteModel) -> None:
        path, other = write_model("a"), write_model("b", seed=3)
        labeller = opened(
            {"name": "all", "path": path},
            {"name": "b", "path": other},
            {"name": "few", "path": path, "label_filter": ["no"], "activation": "sigmoid"},
        )
        assert [[model.name for model in group.models] for group in labeller.groups] == [
            ["all", "few"],
            ["b"],
        ]
        assert [model.name for model in labeller.models] == ["all", "b", "few"]
        answers = answer(labeller, SHORT)
        assert answers.spent.calls == 2
        alone = [
            answer(opened({"name": "m", "path": path}), SHORT).scores[0],
            answer(opened({"name": "m", "path": other}), SHORT).scores[0],
            answer(opened({"name": "m", "path": path, "activation": "sigmoid"}), SHORT).scores[0],
        ]
        assert [its.tobytes() for its in answers.scores] == [its.tobytes() for its in alone]

    def test_of_another_length_run_apart(self, opened: Open, write_model: WriteModel) -> None:
        path = write_model()
        labeller = opened(
            {"name": "all", "path": path}, {"name": "few", "path": path, "max_length": 4}
        )
        answers = answer(labeller, LONG)
        assert len(labeller.groups) == answers.spent.calls == 2
        assert answers.scores[0].tobytes() != answers.scores[1].tobytes()
        assert answers.status.tolist() == [Status.TRUNCATED]


def test_tokens_and_padding_are_counted(opened: Open, write_model: WriteModel) -> None:
    answers = answer(opened({"name": "m", "path": write_model()}), SHORT, LONG, None)
    # [CLS] and [SEP] around one word and around five.
    assert (answers.spent.tokens, answers.spent.padding) == (3 + 7, 4)
