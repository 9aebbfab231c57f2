"""The kernel: laws 1 to 3, and what becomes of texts that can't be classified.

A score depends on its text and its model alone; rows are conserved; nothing is computed twice.
"""

import itertools
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pytest
from conftest import WORDS, Moves, WriteModel, write_endless_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Regex
from tokenizers import Tokenizer as HfTokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Sequence as Sequence_
from tokenizers.pre_tokenizers import Split, WhitespaceSplit

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.interface import Batching, Because, Stopped
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.columns import ColumnGroup, Columns
from labelf_cli.config import Config, ModelConfig
from labelf_cli.formats import Layout
from labelf_cli.labeller import CHUNKS_IN_FLIGHT, Labeller
from labelf_cli.predictions import NO_LABEL, Answers, Floats, Status
from labelf_cli.tokens import Ints, Template, TokenIds, Tokenizer

Text = str | None
OK, EMPTY, TRUNCATED, FAILED = Status.OK, Status.EMPTY, Status.TRUNCATED, Status.FAILED
NOT_A_NUMBER = "the model's answer is not a number"

MOVES: dict[Batching, Moves | None] = {
    Batching.PADDED: None,
    Batching.EQUAL_LENGTH: "padding",
    Batching.ONE_TEXT: "batch",
}
"""What a model's logits depend on beside their text, where its batching must not let them."""


def chunks_of(texts: Sequence[Text], rows: int) -> Iterator[Chunk]:
    """Chunks of so many rows each; a row is its position and its text."""
    for number, start in enumerate(range(0, len(texts), rows)):
        its = pa.array(texts[start : start + rows], pa.string())
        places = pa.array(range(start, start + len(its)), pa.int64())
        yield Chunk(number, start, pa.record_batch({"row": places, TEXT: its}))


def classify(labeller: Labeller, *texts: Text) -> Answers:
    """The answers to one chunk."""
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    return labeller.submit(Chunk(0, 0, batch)).result(timeout=30)


def bits(answers: Answers) -> list[bytes]:
    """For each row, the bytes of its scores by all models."""
    rows = zip(*answers.scores, strict=True)
    return [b"".join(scores.tobytes() for scores in row) for row in rows]


def statuses(answers: Answers) -> list[Status]:
    return [Status(status) for status in answers.status]


class CountingTokenizer(Tokenizer):
    """Remembers what it is asked."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.asked: list[str] = []

    def encode(self, texts: list[str]) -> TokenIds:
        self.asked += texts
        return super().encode(texts)


class BrokenTemplate(Template):
    def lengths(self, ids: TokenIds, max_length: int | None) -> Ints:
        raise RuntimeError(f"can't measure {len(ids.lengths)} texts up to {max_length}")


class LoadedClassifier(OnnxClassifier):
    """Knows whether it is probed or used."""

    loaded = False

    def load(self) -> Because[Batching]:
        batching = super().load()
        self.loaded = True
        return batching


class CountingClassifier(LoadedClassifier):
    """Remembers the sizes of its calls."""

    def __init__(self, configs: Sequence[ModelConfig], tokenizers: dict[str, Tokenizer]) -> None:
        super().__init__(configs, tokenizers)
        self.calls: list[int] = []

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        self.calls += [len(rows)] * self.loaded
        return super().logits(ids, rows)


class InfiniteClassifier(LoadedClassifier):
    """Gives infinite logits to texts of one word."""

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        (logits,) = super().logits(ids, rows)
        logits[self.loaded & (ids.lengths[rows] == 1)] = np.inf
        return (logits,)


class AnnouncingClassifier(LoadedClassifier):
    """Says when its first call begins."""

    def __init__(self, configs: Sequence[ModelConfig], tokenizers: dict[str, Tokenizer]) -> None:
        super().__init__(configs, tokenizers)
        self.begun = Event()

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        if self.loaded:
            self.begun.set()
        return super().logits(ids, rows)


class WaitingClassifier(LoadedClassifier):
    """Answers a text of one word only when it may, or after it was asked about a longer text."""

    def __init__(self, configs: Sequence[ModelConfig], tokenizers: dict[str, Tokenizer]) -> None:
        super().__init__(configs, tokenizers)
        self.begun, self.may = Event(), Event()

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        if self.loaded and ids.lengths[rows].max() > 1:
            self.may.set()
        elif self.loaded:
            self.begun.set()
            if not self.may.wait(timeout=20):
                raise TimeoutError("nobody lets it")
        return super().logits(ids, rows)


Classifier = TypeVar("Classifier", bound=OnnxClassifier)
Open = Callable[..., Labeller]


def only_group(labeller: Labeller, kind: type[Classifier]) -> Classifier:
    (group,) = labeller.groups
    assert isinstance(group, kind)
    return group


@pytest.fixture
def opened(make_config: Callable[..., Config], write_model: WriteModel) -> Iterator[Open]:
    """A function that makes models and loads their labeller, which is closed when the test ends.

    Keywords are names of models; their values are keys of the config, and arguments of
    ``write_model`` under ``made``.
    """
    labellers = []

    def open_(
        threads: int = 2, kind: type[OnnxClassifier] | None = None, **models: dict[str, Any]
    ) -> Labeller:
        entries = []
        for seed, (name, keys) in enumerate(models.items()):
            arguments = {"seed": seed, **keys.pop("made", {})}
            path = keys.pop("path", None) or write_model(name, **arguments)
            entries.append({"name": name, "path": path, **keys})
        config = make_config(*entries)
        labellers.append(
            Labeller.open(config, threads)
            if kind is None
            else Labeller([kind((model,), {}) for model in config.local_models], threads)
        )
        return labellers[-1].load()

    yield open_
    for labeller in labellers:
        labeller.close()


tables = st.lists(
    st.lists(st.sampled_from([*WORDS[4:], "unheard"]), min_size=1, max_size=30).map(" ".join)
    | st.sampled_from(["tv", "", " \n", None]),
    max_size=40,
)
property_test = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class TestScores:
    """Law 1, to the bit, for models of all three ways of sharing a call."""

    @pytest.fixture(params=MOVES, ids=lambda batching: batching.name)
    def labellers(
        self, request: pytest.FixtureRequest, write_model: WriteModel, opened: Open
    ) -> dict[int, Labeller]:
        """The same two models of one kind in pools of 1, 2 and 8 threads."""
        moves = MOVES[request.param]
        paths = [write_model(name, moves=moves, seed=seed) for seed, name in enumerate("ab")]
        labellers = {
            threads: opened(threads, a={"path": paths[0]}, b={"path": paths[1]})
            for threads in (1, 2, 8)
        }
        assert [found.value for found in labellers[1].batching] == [request.param] * 2
        return labellers

    @staticmethod
    def alone(labellers: dict[int, Labeller], texts: Sequence[Text]) -> list[bytes]:
        """What each text scores with nothing beside it, on one thread."""
        return [bits(classify(labellers[1], text))[0] for text in texts]

    @property_test
    @given(texts=tables, rows=st.integers(1, 50), threads=st.sampled_from([1, 2, 8]))
    def test_do_not_depend_on_chunks_and_threads(
        self, labellers: dict[int, Labeller], texts: list[Text], rows: int, threads: int
    ) -> None:
        labelled = labellers[threads].label(chunks_of(texts, rows))
        scores = [row for _, answers in labelled for row in bits(answers)]
        assert scores == self.alone(labellers, texts)

    @property_test
    @given(texts=tables, order=st.randoms(use_true_random=False))
    def test_do_not_depend_on_the_order_of_rows(
        self, labellers: dict[int, Labeller], texts: list[Text], order: Random
    ) -> None:
        places = order.sample(range(len(texts)), len(texts))
        as_given = bits(classify(labellers[2], *texts))
        shuffled = bits(classify(labellers[2], *(texts[place] for place in places)))
        assert shuffled == [as_given[place] for place in places]

    @property_test
    @given(text=tables.filter(bool).map(lambda texts: texts[0]), others=tables)
    def test_do_not_depend_on_the_company(
        self, labellers: dict[int, Labeller], text: Text, others: list[Text]
    ) -> None:
        among_others = bits(classify(labellers[2], text, *others))[0]
        assert among_others == self.alone(labellers, [text])[0]

    def test_do_not_depend_on_the_size_of_a_call(self, labellers: dict[int, Labeller]) -> None:
        # Enough distinct short texts to fill calls of the largest size.
        many = [" ".join(words) for words in itertools.permutations(WORDS[4:], 3)]
        assert bits(classify(labellers[2], *many)) == self.alone(labellers, many)

    def test_do_not_depend_on_what_others_ask_meanwhile(
        self, labellers: dict[int, Labeller]
    ) -> None:
        many = [" ".join(words) for words in itertools.permutations(WORDS[4:], 2)]
        with ThreadPoolExecutor(4) as callers:
            asked = callers.map(lambda text: bits(classify(labellers[2], text))[0], many)
            assert list(asked) == self.alone(labellers, many)


class TestRows:
    """Law 2."""

    @pytest.fixture
    def labeller(self, opened: Open) -> Labeller:
        return opened(m={})

    @property_test
    @given(texts=tables, rows=st.integers(1, 50))
    def test_come_out_once_and_in_order(
        self, labeller: Labeller, texts: list[Text], rows: int
    ) -> None:
        labelled = labeller.label(chunks_of(texts, rows))
        out = [row for chunk, _ in labelled for row in chunk.batch.to_pylist()]
        assert out == [{"row": i, TEXT: text} for i, text in enumerate(texts)]

    @property_test
    @given(texts=tables, rows=st.integers(1, 50))
    def test_have_an_answer_each(self, labeller: Labeller, texts: list[Text], rows: int) -> None:
        for chunk, answers in labeller.label(chunks_of(texts, rows)):
            assert answers.scores[0].shape == (chunk.num_rows, 3)
            assert len(answers.accepted[0].labels) == chunk.num_rows
            assert len(answers.status) == len(answers.errors) == chunk.num_rows

    def test_may_be_a_slice_of_a_larger_batch(self, labeller: Labeller) -> None:
        (whole,) = chunks_of(["tv", None, "my bill", "angry"], 4)
        part = labeller.submit(Chunk(0, 0, whole.batch.slice(1, 2))).result(timeout=30)
        assert bits(part) == bits(classify(labeller, None, "my bill"))


class TestEqualTexts:
    """Law 3."""

    def test_are_classified_once_a_chunk(self, opened: Open) -> None:
        labeller = opened(kind=CountingClassifier, m={})
        classify(labeller, *["my bill", "angry", "my bill", None] * 50)
        assert sum(only_group(labeller, CountingClassifier).calls) == 2

    @pytest.fixture
    def counting(
        self, opened: Open, write_model: WriteModel
    ) -> tuple[Labeller, list[CountingTokenizer]]:
        """Three models, the first two with equal tokenizers, and the tokenizer of each."""
        words = {"a": WORDS, "b": WORDS, "c": (*WORDS, "more")}
        folders = {name: write_model(name, words=its) for name, its in words.items()}
        labeller = opened(**{name: {"path": path} for name, path in folders.items()})
        paths = [path / "tokenizer.json" for path in folders.values()]
        tokenizers = [CountingTokenizer(path.read_bytes()) for path in paths]
        for group, tokenizer in zip(labeller.groups, tokenizers, strict=True):
            group.tokenizer = tokenizer
        return labeller, tokenizers

    def test_are_tokenised_once_for_each_distinct_tokenizer(
        self, counting: tuple[Labeller, list[CountingTokenizer]]
    ) -> None:
        labeller, (first, second, third) = counting
        classify(labeller, "tv", "my bill", "tv", None, " ", "my bill")
        assert sorted(first.asked + second.asked) == ["my bill", "tv"]
        assert sorted(third.asked) == ["my bill", "tv"]


class TestBlankTexts:
    def test_are_empty_with_nulls(self, opened: Open) -> None:
        answers = classify(opened(m={}), None, "", " ", "\t\r\n", "\u00a0\u2003")
        assert statuses(answers) == [EMPTY] * 5
        assert np.isnan(answers.scores[0]).all()
        assert (answers.accepted[0].labels == NO_LABEL).all()
        assert answers.errors.null_count == 5

    def test_do_not_get_the_none_label(self, opened: Open) -> None:
        labeller = opened(m={"threshold": 2.0, "none_label": "none"})
        accepted = classify(labeller, None, "tv").accepted[0]
        assert accepted.labels[:, 0].tolist() == [NO_LABEL, 3]
        assert accepted.answered.tolist() == [False, True]


class TestLongTexts:
    def test_are_truncated_to_what_fits(self, opened: Open) -> None:
        answers = classify(opened(m={"max_length": 5}), "my bill is too high", "my bill is")
        assert statuses(answers) == [TRUNCATED, OK]
        assert bits(answers)[0] == bits(answers)[1]
        assert answers.errors.null_count == 2

    def test_are_truncated_if_one_model_cuts_them(self, opened: Open) -> None:
        labeller = opened(short={"max_length": 3}, long={})
        assert statuses(classify(labeller, "my bill", "tv")) == [TRUNCATED, OK]

    def test_fail_where_the_config_says_so(self, opened: Open) -> None:
        labeller = opened(m={"max_length": 5, "on_long": "error"})
        answers = classify(labeller, "my bill is too high", "my bill is")
        assert statuses(answers) == [FAILED, OK]
        assert answers.errors.to_pylist() == ["m: 7 tokens, more than max_length 5", None]
        assert np.isnan(answers.scores[0]).all(axis=1).tolist() == [True, False]

    def test_are_not_computed_where_they_fail(self, opened: Open) -> None:
        labeller = opened(kind=CountingClassifier, m={"max_length": 5, "on_long": "error"})
        classify(labeller, "my bill is too high", "tv")
        assert only_group(labeller, CountingClassifier).calls == [1]

    def test_fail_by_one_model_and_keep_the_answers_of_another(self, opened: Open) -> None:
        labeller = opened(strict={"max_length": 3, "on_long": "error"}, lax={"max_length": 3})
        answers = classify(labeller, "my bill")
        assert statuses(answers) == [FAILED]
        assert answers.errors.to_pylist() == ["strict: 4 tokens, more than max_length 3"]
        assert not np.isnan(answers.scores[1]).any()


class TestFailures:
    def test_nan_fails_the_text_by_its_model_and_spares_the_others(self, opened: Open) -> None:
        answers = classify(opened(mood={"made": {"nan_word": "tv"}}, topic={}), "my tv", "my bill")
        assert statuses(answers) == [FAILED, OK]
        assert answers.errors.to_pylist() == [f"mood: {NOT_A_NUMBER}", None]
        assert answers.accepted[0].labels[0, 0] == NO_LABEL
        assert not np.isnan(answers.scores[1]).any()

    def test_infinite_logits_fail_the_text_like_nan(self, opened: Open) -> None:
        answers = classify(opened(kind=InfiniteClassifier, m={}), "tv", "my bill")
        assert answers.errors.to_pylist() == [f"m: {NOT_A_NUMBER}", None]

    @pytest.fixture
    def breaks_on_angry(self, opened: Open, write_model: WriteModel) -> Labeller:
        """Its tokenizer gives "angry" an id beyond the weights of its graph.

        The probe draws from as many ids as there are words, so that it does not meet this one.
        """
        folder = write_model()
        content = json.loads((folder / "tokenizer.json").read_text())
        content["model"]["vocab"]["angry"] = 1000
        (folder / "tokenizer.json").write_text(json.dumps(content))
        return opened(m={"path": folder})

    def test_a_text_that_breaks_the_graph_spares_those_in_its_call(
        self, breaks_on_angry: Labeller
    ) -> None:
        answers = classify(breaks_on_angry, "my bill", "my angry", "my tv")
        assert statuses(answers) == [OK, FAILED, OK]
        others = bits(classify(breaks_on_angry, "my bill", "my tv"))
        assert [bits(answers)[0], bits(answers)[2]] == others

    def test_its_error_names_the_model_and_what_the_runtime_says(
        self, breaks_on_angry: Labeller
    ) -> None:
        (error,) = classify(breaks_on_angry, "my angry").errors.to_pylist()
        assert error.startswith("m: ")
        assert "indices element out of data bounds, idx=1000" in error
        assert "\n" not in error

    def test_a_text_that_fails_twice_names_both_models(self, opened: Open) -> None:
        strict = {"max_length": 3, "on_long": "error"}
        labeller = opened(a={"made": {"nan_word": "tv"}}, b=strict)
        assert classify(labeller, "my tv").errors.to_pylist() == [
            f"a: {NOT_A_NUMBER}; b: 4 tokens, more than max_length 3"
        ]

    def test_equal_texts_fail_alike(self, opened: Open) -> None:
        answers = classify(opened(m={"made": {"nan_word": "tv"}}), "tv", "my", "tv")
        assert answers.errors.to_pylist() == [f"m: {NOT_A_NUMBER}", None, f"m: {NOT_A_NUMBER}"]

    def test_an_error_outside_the_models_reaches_the_caller(self, opened: Open) -> None:
        labeller = opened(m={})
        labeller.groups[0].template = BrokenTemplate(*astuple(labeller.groups[0].template))
        with pytest.raises(RuntimeError, match="can't measure 1 texts up to None"):
            classify(labeller, "tv")

    @pytest.mark.parametrize(
        ("activation", "failed"), [("softmax", True), ("sigmoid", False), ("none", True)]
    )
    @pytest.mark.parametrize("layout", list(Layout))
    def test_a_score_that_is_no_finite_number_is_no_label(
        self, opened: Open, activation: str, failed: bool, layout: Layout
    ) -> None:
        """The sigmoid of an infinite logit is 1; the others have no finite score."""
        labeller = opened(kind=InfiniteClassifier, m={"activation": activation, "none_label": "x"})
        (chunk,) = chunks_of(["tv", "my bill"], 2)
        answers = labeller.submit(chunk).result(timeout=30)
        assert statuses(answers) == [FAILED if failed else OK, OK]
        group = ColumnGroup("m", labeller.models[0].rules)
        built = Columns((group,), layout, ".").build(0, chunk.rows, answers)
        first = built.to_pylist()[0]
        shown = first["m"] if layout is Layout.NESTED else first
        label = "label" if layout in (Layout.NESTED, Layout.LONG) else "m.label"
        assert (shown is None or shown[label] is None) == failed
        assert first["labelf.status"] == ("failed" if failed else "ok")


class TestTexts:
    """Whatever a text holds, it harms no other."""

    @pytest.fixture
    def breaks(self, opened: Open, write_model: WriteModel) -> Labeller:
        """Its tokenizer knows no unknown words, and panics over a long row of "a"."""
        folder = write_model()
        tokenizer = HfTokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.model = WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="none")
        panics = Split(Regex(r"(?:a|a|aa)+$"), "isolated")
        tokenizer.pre_tokenizer = Sequence_([panics, WhitespaceSplit()])
        tokenizer.save(str(folder / "tokenizer.json"))
        return opened(m={"path": folder}, other={})

    def test_that_the_tokenizer_fails_on_spare_the_others(self, breaks: Labeller) -> None:
        others = [" ".join(words) for words in itertools.permutations(WORDS[4:], 3)]
        panic = "a" * 3000 + "b"
        answers = classify(breaks, *others[:300], "my unheard bill", panic, *others[300:])
        failed = [row for row, status in enumerate(statuses(answers)) if status is FAILED]
        assert failed == [300, 301]
        assert answers.errors.to_pylist()[300:302] == [
            "m: can't be tokenised (WordLevel error: Missing [UNK] token from the vocabulary)",
            "m: can't be tokenised (Onig: Regex search error: retry-limit-in-match over)",
        ]
        assert np.isnan(answers.scores[0][failed]).all()
        assert not np.isnan(answers.scores[1]).any()
        spared = [row for row in range(len(others) + 2) if row not in failed]
        alone = bits(classify(breaks, *others))
        assert [bits(answers)[row] for row in spared] == alone

    def test_that_the_tokenizer_fails_on_are_asked_anew(self, breaks: Labeller) -> None:
        first, second = (classify(breaks, "unheard", "tv") for _ in range(2))
        assert statuses(first) == statuses(second) == [FAILED, OK]
        assert (first.spent.recalled, second.spent.recalled) == (0, 1)

    def test_of_all_kinds_score_as_they_do_alone(self, opened: Open) -> None:
        labeller = opened(m={})
        odd = [
            "a\0b",
            "\x01\x1b[31m",
            "\u202eשלום عربى",
            "👩\u200d👩\u200d👧",
            "\ufffd",
            "\u200b",
            "tv",
        ]
        odd += ["[SEP]", "my [SEP] bill", "tv " * 100_000, "x" * 2_000_000]
        answers = classify(labeller, *odd)
        assert statuses(answers) == [OK] * 9 + [TRUNCATED, OK]
        other = opened(n={})
        assert bits(answers) == [bits(classify(other, text))[0] for text in odd]


class TestLabel:
    @pytest.fixture
    def labeller(self, opened: Open) -> Labeller:
        return opened(m={})

    def test_keeps_several_chunks_in_flight_and_in_order(self, opened: Open) -> None:
        # The first chunk can't be done before the second is computed.
        labelled = opened(kind=WaitingClassifier, m={}).label(
            chunks_of(["tv", "my bill", "my tv"], 1)
        )
        assert [(chunk.number, statuses(answers)) for chunk, answers in labelled] == [
            (0, [OK]),
            (1, [OK]),
            (2, [OK]),
        ]

    def test_reads_its_source_only_so_far_ahead(self, labeller: Labeller) -> None:
        source = chunks_of(["tv"] * 100, 1)
        labelled = labeller.label(source)
        for _ in range(10):
            next(labelled)
        assert next(source).number <= 10 + CHUNKS_IN_FLIGHT

    @pytest.mark.parametrize("good", [0, 1, 5])
    def test_passes_on_an_exception_of_the_source(self, labeller: Labeller, good: int) -> None:
        def failing() -> Iterable[Chunk]:
            yield from chunks_of(["tv"] * good, 1)
            raise ValueError("row 6 can't be read")

        with pytest.raises(ValueError, match="row 6 can't be read"):
            list(labeller.label(failing()))
        assert statuses(classify(labeller, "tv")) == [OK]


class TestClose:
    @pytest.fixture
    def futures(self, opened: Open) -> list[Future[Answers]]:
        """Five chunks of one thread, during the first of which the labeller is closed."""
        labeller = opened(1, kind=WaitingClassifier, m={})
        group = only_group(labeller, WaitingClassifier)
        futures = [labeller.submit(chunk) for chunk in chunks_of(["tv"] * 5, 1)]
        assert group.begun.wait(timeout=10)
        closing = Thread(target=labeller.close, daemon=True)
        closing.start()
        closing.join(timeout=0.1)
        assert closing.is_alive()
        group.may.set()
        closing.join(timeout=10)
        assert not closing.is_alive()
        return futures

    def test_waits_for_the_call_that_has_begun(self, futures: list[Future[Answers]]) -> None:
        assert statuses(futures[0].result(timeout=1)) == [OK]

    def test_leaves_nobody_waiting_for_the_calls_that_it_drops(
        self, futures: list[Future[Answers]]
    ) -> None:
        assert not wait(futures, timeout=1).not_done

    def test_leaves_the_groups_to_another_labeller(self, opened: Open) -> None:
        labeller = opened(m={})
        before = classify(labeller, "tv")
        labeller.close()
        with Labeller(labeller.groups, 2).load() as other:
            assert bits(classify(other, "tv")) == bits(before)

    def test_twice_is_as_good_as_once(self, opened: Open) -> None:
        with opened(m={}) as labeller:
            classify(labeller, "tv")
        labeller.close()


class TestStop:
    """A call that would never end is ended, and is no failure of its text."""

    @pytest.fixture
    def model(self, make_config: Callable[..., Config], tmp_path: Path) -> AnnouncingClassifier:
        folder = write_endless_model(tmp_path / "endless")
        return AnnouncingClassifier(make_config({"name": "m", "path": folder}).local_models, {})

    @pytest.fixture
    def cache(self, tmp_path: Path) -> Path:
        return tmp_path / "cache.sqlite"

    @pytest.fixture
    def stopped(self, model: AnnouncingClassifier, cache: Path) -> Iterator[list[Future[Answers]]]:
        """Two chunks: the one was answered, and one text of the other never would be."""
        labeller = Labeller([model], 2, cache=cache).load()
        first, second = chunks_of(["tv", "my bill", "my tv", "angry"], 2)
        futures = [labeller.submit(first)]
        wait(futures, timeout=30)
        model.begun.clear()
        futures.append(labeller.submit(second))
        assert model.begun.wait(timeout=30)
        began = time.monotonic()
        labeller.stop()
        assert time.monotonic() - began < 20
        yield futures
        labeller.stop()

    def test_ends_the_call_without_an_answer(self, stopped: list[Future[Answers]]) -> None:
        assert statuses(stopped[0].result(timeout=0)) == [OK, OK]
        with pytest.raises(CancelledError):
            stopped[1].result(timeout=0)

    def test_leaves_nothing_of_it_in_the_cache(
        self, stopped: list[Future[Answers]], cache: Path
    ) -> None:
        assert all(future.done() for future in stopped)
        with closing(sqlite3.connect(cache)) as connection:
            rows = connection.execute("SELECT length, logits FROM answer").fetchall()
        assert all(np.isfinite(np.frombuffer(logits, np.float32)).all() for _, logits in rows)
        assert sorted(length for length, _ in rows)[:2] == [3, 4]
        assert len(rows) <= 3  # "my tv" may have had a call of its own

    def test_is_for_ever(self, stopped: list[Future[Answers]], model: AnnouncingClassifier) -> None:
        assert all(future.done() for future in stopped)
        with pytest.raises(Stopped):
            model.logits(TokenIds.of([[4]]), np.zeros(1, np.int64))
        with Labeller([model], 1).load() as again, pytest.raises(CancelledError):
            classify(again, "tv")

    def test_is_what_an_error_does(self, model: AnnouncingClassifier) -> None:
        def interrupted() -> Iterator[Chunk]:
            yield from chunks_of(["angry"], 1)
            assert model.begun.wait(timeout=30)
            raise KeyboardInterrupt

        def run(labeller: Labeller) -> None:
            with labeller:
                list(labeller.load().label(interrupted()))

        labeller = Labeller([model], 2)
        with pytest.raises(KeyboardInterrupt):
            run(labeller)
        with pytest.raises(Stopped):
            model.logits(TokenIds.of([[4]]), np.zeros(1, np.int64))

    def test_ends_the_loading_too(self, make_config: Callable[..., Config], tmp_path: Path) -> None:
        folder = write_endless_model(tmp_path / "endless", since=0)
        labeller = Labeller.open(make_config({"name": "m", "path": folder}), 1)
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(labeller.load)
            with pytest.raises(TimeoutError):
                loading.result(timeout=0.5)
            labeller.stop()
            with pytest.raises(Stopped):
                loading.result(timeout=2)
