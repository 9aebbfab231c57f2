"""Groups that wait for a service: a pool of their own, failures by model, answers kept at once."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Barrier, Lock

import numpy as np
import pyarrow as pa
import pytest
from conftest import WriteModel

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.interface import Because, Model, Reply, Service
from labelf_cli.columns import ColumnGroup, Columns
from labelf_cli.config import Config, LlmConfig
from labelf_cli.errors import ServiceError
from labelf_cli.formats import Layout
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status
from labelf_cli.spent import Spent
from labelf_cli.tokens import Ints, TokenIds

NOT_GIVEN = -np.inf
TOPICS = ("space", "science", "sport")


def question(name: str, **keys: object) -> Model:
    config = LlmConfig.model_validate(
        {
            "kind": "llm",
            "name": name,
            "base_url": "http://127.0.0.1:1/v1",
            "model": "oracle",
            "labels": TOPICS,
            "none_label": "none",
            "multi_label": True,
            **keys,
        }
    )
    assert config.labels is not None
    labels = Because(config.labels, "labels in the config")
    return Model.of(config, labels, Because("none", "a service ranks its labels"))


class Oracle(Service):
    """Gives the topics that a text names, in their order there; to the second model one more.

    The second has no answer where a text says "doubt"; where one says "refuse", it is of no use
    to go on. Where one says "break", something breaks.

    Attributes:
        asked: the texts of each call.
    """

    def __init__(self, *models: Model, texts_per_call: int = 1, together: int = 1) -> None:
        self.models = models or (question("first"), question("second"))
        self.max_length = Because(40, "so it was made")
        self.concurrency, self.texts_per_call = 4, texts_per_call
        self.asked: list[list[str]] = []
        self._barrier, self._lock = Barrier(together), Lock()

    @property
    def digests(self) -> tuple[str, ...]:
        return tuple(f"oracle {model.name}" for model in self.models)

    def ask(self, ids: TokenIds, rows: Ints) -> Reply:
        texts = self.texts(ids, rows)
        with self._lock:
            self.asked.append(texts)
        self._barrier.wait(timeout=20)
        if any("refuse" in text for text in texts):
            raise ServiceError("refuses", where="oracle")
        if any("break" in text for text in texts):
            raise RuntimeError("broke")
        logits = np.full((len(texts), len(TOPICS)), NOT_GIVEN, np.float32)
        for row, text in enumerate(texts):
            named = [TOPICS.index(word) for word in text.split() if word in TOPICS]
            logits[row, named] = -np.arange(len(named))
        doubts = {at: "is in doubt" for at, text in enumerate(texts) if "doubt" in text}
        failures = ({}, doubts)[: len(self.models)]
        return Reply((logits,) * len(self.models), failures, Spent(requests=1, prompt_tokens=7))

    def stop(self) -> None:
        self._barrier.abort()


class Fickle(Oracle):
    """Has no doubts, and ranks the topics the other way round."""

    def ask(self, ids: TokenIds, rows: Ints) -> Reply:
        (logits, _) = super().ask(ids, rows).logits
        return Reply((np.where(logits == NOT_GIVEN, NOT_GIVEN, -1 - logits),) * 2)


def answers_of(labeller: Labeller, *texts: str | None) -> Answers:
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    return labeller.submit(Chunk(0, 0, batch)).result()


def told(labeller: Labeller, answers: Answers, name: str = "first") -> list[list[str]]:
    """The accepted labels of each text by one model, best first."""
    number = [model.name for model in labeller.models].index(name)
    labels = labeller.models[number].rules.labels
    return [[labels[at] for at in row if at >= 0] for row in answers.accepted[number].labels]


def test_the_labels_that_are_given_are_the_answer_in_their_order() -> None:
    with Labeller([oracle := Oracle()], threads=1).load() as labeller:
        answers = answers_of(labeller, "sport and space", "weather", " ", None, "science")
        assert told(labeller, answers) == [["sport", "space"], ["none"], [], [], ["science"]]
    assert answers.status.tolist() == [Status.OK, Status.OK, Status.EMPTY, Status.EMPTY, Status.OK]
    assert sorted(oracle.asked) == [["science"], ["sport and space"], ["weather"]]
    assert (answers.spent.requests, answers.spent.prompt_tokens) == (3, 21)
    assert (answers.spent.tokens, answers.spent.padding) == (0, 0)


@pytest.mark.parametrize("layout", Layout)
def test_there_are_no_scores(layout: Layout) -> None:
    with Labeller([Oracle()], threads=1).load() as labeller:
        answers = answers_of(labeller, "sport and space", "weather")
        groups = tuple(ColumnGroup(model.name, model.rules) for model in labeller.models)
    rows = pa.record_batch({"id": pa.array([1, 2])})
    table = Columns(groups, layout).build(0, rows, answers).to_pylist()
    if layout is Layout.WIDE:
        assert [row["first.labels"] for row in table] == [["sport", "space"], ["none"]]
        assert not [name for name in table[0] if ".score." in name]
        assert [row["first.score"] for row in table] == [None, None]
    if layout is Layout.NESTED:
        scores = [[p["score"] for p in row["first"]["predictions"]] for row in table]
        assert scores == [[None, None], [None]]
    if layout is Layout.LONG:
        assert [row["score"] for row in table] == [None] * 6


def test_an_answer_that_one_model_lacks_fails_its_row_and_leaves_those_of_others() -> None:
    with Labeller([Oracle()], threads=1).load() as labeller:
        answers = answers_of(labeller, "doubt sport", "space")
        assert told(labeller, answers, "first") == [["sport"], ["space"]]
        assert told(labeller, answers, "second") == [[], ["space"]]
    assert answers.status.tolist() == [Status.FAILED, Status.OK]
    assert answers.errors.to_pylist() == ["second: is in doubt", None]


def test_what_breaks_is_not_asked_again() -> None:
    with Labeller([oracle := Oracle(texts_per_call=8)], threads=1).load() as labeller:
        answers = answers_of(labeller, "break", "space")
    assert answers.errors.to_pylist() == ["first: broke; second: broke"] * 2
    assert oracle.asked == [["break", "space"]]


def test_a_service_that_refuses_ends_the_run() -> None:
    with (
        Labeller([Oracle()], threads=1).load() as labeller,
        pytest.raises(ServiceError, match="oracle: refuses"),
    ):
        answers_of(labeller, "refuse")


def test_requests_are_made_at_once_though_there_is_one_core() -> None:
    with Labeller([Oracle(together=4)], threads=1).load() as labeller:
        answers = answers_of(labeller, "space 1", "space 2", "space 3", "space 4")
    assert answers.status.tolist() == [Status.OK] * 4


def test_a_call_has_as_many_texts_as_the_service_takes_of_similar_length() -> None:
    with Labeller([oracle := Oracle(texts_per_call=2)], threads=1).load() as labeller:
        answers_of(labeller, "a", "bbb", "cc", "a", "d", "e")
    assert sorted(oracle.asked) == [["a", "d"], ["bbb", "cc"], ["e"]]


@pytest.mark.parametrize(
    ("on_long", "asked", "status"),
    [("truncate", [["x" * 40]], Status.TRUNCATED), ("error", [], Status.FAILED)],
)
def test_long_texts_are_counted_in_characters(
    on_long: str, asked: list[list[str]], status: Status
) -> None:
    oracle = Oracle(question("first", on_long=on_long))
    with Labeller([oracle], threads=1).load() as labeller:
        answers = answers_of(labeller, "x" * 41)
    assert answers.status.tolist() == [status]
    assert oracle.asked == asked


def test_local_models_and_services_answer_in_one_run(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    config = make_config({"name": "local", "path": write_model(), "max_predictions": 1})
    groups = (*open_groups(config.models), Oracle())
    with Labeller(groups, threads=1, order=["first", "local", "second"]).load() as labeller:
        answers = answers_of(labeller, "my bill space", "no signal")
        assert told(labeller, answers, "first") == [["space"], ["none"]]
        assert all(told(labeller, answers, "local"))
    assert answers.spent.tokens > 0


class TestWhatServicesSayIsKept:
    def test_so_that_no_run_asks_again(self, tmp_path: Path) -> None:
        asked = []
        for _ in range(2):
            oracle = Oracle()
            labeller = Labeller([oracle], threads=1)
            labeller.keep_what_services_say(tmp_path / "answers.sqlite")
            with labeller.load():
                answers = answers_of(labeller, "sport", "doubt space")
                assert told(labeller, answers) == [["sport"], ["space"]]
            asked.append(sorted(text for texts in oracle.asked for text in texts))
        assert asked == [["doubt space", "sport"], ["doubt space"]]

    def test_as_soon_as_they_are_there(self, tmp_path: Path) -> None:
        labeller = Labeller([Oracle()], threads=1)
        labeller.keep_what_services_say(tmp_path / "answers.sqlite")
        with labeller.load():
            answers_of(labeller, "sport", "doubt")
            with closing(sqlite3.connect(tmp_path / "answers.sqlite")) as file:
                assert file.execute("SELECT count(*) FROM answer").fetchone() == (3,)

    def test_though_another_model_has_to_be_asked(self, tmp_path: Path) -> None:
        for oracle in (Oracle(), Fickle()):
            labeller = Labeller([oracle], threads=1)
            labeller.keep_what_services_say(tmp_path / "answers.sqlite")
            with labeller.load():
                answers = answers_of(labeller, "doubt space sport")
                said = [told(labeller, answers, name) for name in ("first", "second")]
        assert said == [[["space", "sport"]], [["sport", "space"]]]
        assert answers.status.tolist() == [Status.OK]

    def test_and_nothing_else_is(
        self, write_model: WriteModel, make_config: Callable[..., Config], tmp_path: Path
    ) -> None:
        config = make_config({"name": "local", "path": write_model()})
        labeller = Labeller((*open_groups(config.models), Oracle()), threads=1)
        labeller.keep_what_services_say(tmp_path / "answers.sqlite")
        with labeller.load():
            answers_of(labeller, "sport")
        with closing(sqlite3.connect(tmp_path / "answers.sqlite")) as file:
            names = [name for (name,) in file.execute("SELECT digest FROM model")]
        assert names == ["oracle first", "oracle second"]

    def test_without_a_service_there_is_no_file(
        self, write_model: WriteModel, make_config: Callable[..., Config], tmp_path: Path
    ) -> None:
        config = make_config({"name": "local", "path": write_model()})
        labeller = Labeller(open_groups(config.models), threads=1)
        labeller.keep_what_services_say(tmp_path / "answers.sqlite")
        with labeller.load():
            answers_of(labeller, "sport")
        assert not (tmp_path / "answers.sqlite").exists()
