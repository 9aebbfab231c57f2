"""Law 3: equal texts are classified once, over chunks, runs and models; and law 1 all the while."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pytest
from conftest import WORDS, WriteModel
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
from labelf_cli.tokens import Ints, TokenIds, Tokenizer

SHORT, LONG = "tv", "my bill is too high"


class HeldClassifier(OnnxClassifier):
    """Once loaded, it answers no call before it may; told so, it fails for texts of five words."""

    def __init__(self, configs: Sequence[ModelConfig], tokenizers: dict[str, Tokenizer]) -> None:
        super().__init__(configs, tokenizers)
        self.begun, self.may = Event(), Event()
        self.loaded = self.fails = False

    def load(self) -> Because[Batching]:
        found = super().load()
        self.loaded = True
        return found

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        if self.loaded:
            self.begun.set()
            assert self.may.wait(timeout=20)
            if self.fails and (ids.lengths[rows] == 5).any():
                raise RuntimeError("no five")
        return super().logits(ids, rows)


class FailingTokenizer(Tokenizer):
    """Waits, then breaks: the chunk that it works for is lost."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.begun, self.may = Event(), Event()

    def encode(self, texts: list[str]) -> TokenIds:
        self.begun.set()
        assert self.may.wait(timeout=20)
        raise RuntimeError(f"can't tokenise {texts}")


def ask(labeller: Labeller, *texts: str | None) -> "Future[Answers]":
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    return labeller.submit(Chunk(0, 0, batch))


def answer(labeller: Labeller, *texts: str | None) -> Answers:
    return ask(labeller, *texts).result(timeout=30)


def bits(answers: Answers) -> list[bytes]:
    """All that is said of each row, but for the reasons of failures."""
    rows = zip(*answers.scores, answers.status, strict=True)
    return [b"".join(part.tobytes() for part in row) for row in rows]


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


@pytest.fixture
def held(
    make_config: Callable[..., Config], write_model: WriteModel
) -> Iterator[tuple[Labeller, HeldClassifier]]:
    """A labeller whose one model answers when it may."""
    model = HeldClassifier(make_config({"name": "m", "path": write_model()}).models, {})
    with Labeller([model], threads=2) as labeller:
        labeller.load()
        yield labeller, model
        model.may.set()


class TestChunks:
    def test_that_follow_know_the_answers(self, opened: Open, write_model: WriteModel) -> None:
        labeller = opened({"name": "m", "path": write_model()})
        first = answer(labeller, SHORT, LONG)
        second = answer(labeller, LONG, "no signal", None, SHORT)
        assert (first.spent.texts, first.spent.recalled, first.spent.calls) == (2, 0, 1)
        assert (second.spent.texts, second.spent.recalled, second.spent.calls) == (3, 2, 1)
        assert [bits(second)[row] for row in (3, 0)] == bits(first)

    def test_take_what_another_is_at_work_on(self, held: tuple[Labeller, HeldClassifier]) -> None:
        labeller, model = held
        first = ask(labeller, SHORT, LONG)
        assert model.begun.wait(timeout=20)
        second, third = ask(labeller, LONG, LONG), ask(labeller, SHORT, "no signal")
        assert not second.done()
        model.may.set()
        one, two, three = (future.result(timeout=30) for future in (first, second, third))
        assert [its.spent.recalled for its in (one, two, three)] == [0, 1, 1]
        assert bits(two) == [bits(one)[1]] * 2
        assert bits(three)[0] == bits(one)[0]
        assert [its.spent.calls for its in (one, two, three)] == [1, 0, 1]

    def test_take_its_failures_too(self, held: tuple[Labeller, HeldClassifier]) -> None:
        labeller, model = held
        model.fails = True
        first = ask(labeller, SHORT, LONG)
        assert model.begun.wait(timeout=20)
        second = ask(labeller, LONG, SHORT)
        model.may.set()
        one, two = first.result(timeout=30), second.result(timeout=30)
        assert one.errors.to_pylist() == [None, "m: no five"]
        assert two.errors.to_pylist() == ["m: no five", None]
        assert two.status.tolist() == [Status.FAILED, Status.OK]

    def test_ask_again_for_what_failed(self, held: tuple[Labeller, HeldClassifier]) -> None:
        labeller, model = held
        model.fails = True
        model.may.set()
        assert answer(labeller, LONG).status.tolist() == [Status.FAILED]
        model.fails = False
        again = answer(labeller, LONG)
        assert (again.status.tolist(), again.spent.recalled) == ([Status.OK], 0)

    def test_fail_with_the_one_that_they_wait_for_and_no_others(
        self, make_config: Callable[..., Config], write_model: WriteModel
    ) -> None:
        folder = write_model()
        tokenizer = FailingTokenizer((folder / "tokenizer.json").read_bytes())
        model = OnnxClassifier(make_config({"name": "m", "path": folder}).models, {})
        healthy, model.tokenizer = model.tokenizer, tokenizer
        with Labeller([model], threads=2) as labeller:
            labeller.load()
            first = ask(labeller, LONG)
            assert tokenizer.begun.wait(timeout=20)
            second = ask(labeller, LONG)
            tokenizer.may.set()
            for future in (first, second):
                with pytest.raises(RuntimeError, match="can't tokenise"):
                    future.result(timeout=30)
            model.tokenizer = healthy
            assert answer(labeller, LONG).status.tolist() == [Status.OK]

    def test_are_not_waited_for_once_it_is_closed(
        self, held: tuple[Labeller, HeldClassifier]
    ) -> None:
        labeller, model = held
        futures = [ask(labeller, f"{LONG} {n}", LONG) for n in range(20)]
        assert model.begun.wait(timeout=20)
        model.may.set()
        labeller.close()
        for future in futures:
            assert future.done() or future.exception(timeout=30) is not None


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
                said.append([bits(future.result(timeout=30)) for future in futures])
        assert said[1:] == said[:1] * 3

    @pytest.fixture
    def models(self, write_model: WriteModel) -> list[dict[str, Any]]:
        return [
            {"name": "a", "path": write_model("a", seed=1), "max_length": 4},
            {"name": "b", "path": write_model("b", moves="batch", seed=2)},
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
        entry = {"name": "m", "path": write_model(), "max_length": 5}
        first = opened(entry, cache=cache)
        told = answer(first, SHORT, LONG, None)
        first.close()
        again = answer(opened(entry, cache=cache), LONG, None, SHORT)
        assert (told.spent.cached, told.spent.calls) == (0, 1)
        assert (again.spent.cached, again.spent.calls, again.spent.tokenising) == (2, 0, 0)
        assert [bits(again)[row] for row in (2, 0, 1)] == bits(told)
        assert again.status.tolist() == [Status.TRUNCATED, Status.EMPTY, Status.OK]

    @pytest.mark.parametrize(
        "change",
        [
            {"threshold": 0.9},
            {"label_filter": ["no"]},
            {"activation": "sigmoid"},
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

    def test_lets_a_new_model_pay_for_itself_alone(
        self, opened: Open, write_model: WriteModel, cache: Path
    ) -> None:
        old = [{"name": name, "path": write_model(name, seed=n)} for n, name in enumerate("ab")]
        self.spent(opened, *old, cache=cache)
        new = {"name": "new", "path": write_model("new", seed=5)}
        spent = self.spent(opened, *old, new, cache=cache)
        assert (spent.cached, spent.calls) == (6, 1)


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
