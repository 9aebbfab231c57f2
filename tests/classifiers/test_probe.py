"""The probe: how texts may share a call of a model without a bit of their scores moving."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from conftest import WORDS, Moves, WriteModel, write_tokenizer

from labelf_cli.classifiers.interface import Batching, Because, Group, Model
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.classifiers.probe import find_batching
from labelf_cli.config import Config, ModelConfig
from labelf_cli.errors import ModelError
from labelf_cli.predictions import Floats, rules
from labelf_cli.tokens import Ints, TokenIds, Tokenizer

Open = Callable[..., OnnxClassifier]
Answer = Callable[[Ints], Floats]
"""What a fake model says about texts of these lengths: [n] int64 → [n × 2] float32."""

LEFT_IN_PLACE = (Batching.PADDED, "18 probe texts gave the same bits alone and padded")


class FakeGroup(Group):
    """Models whose logits are functions of the lengths of the texts in a call."""

    def __init__(self, tokenizer: Tokenizer, answers: dict[str, Answer]) -> None:
        self.tokenizer = tokenizer
        self.template = tokenizer.template(0, pad_left=False, cut_left=False)
        self.max_length = Because(None, "no limit known")
        self.num_bytes, self.token_budget = 0, 1024
        self.models = tuple(_model(name) for name in answers)
        self.calls: list[list[int]] = []
        self.ids: list[int] = []
        self._answers = tuple(answers.values())

    @property
    def digests(self) -> tuple[str, ...]:
        return tuple(model.name for model in self.models)

    def load(self) -> Because[Batching]:
        return find_batching(self)

    def logits(self, ids: TokenIds, rows: Ints) -> tuple[Floats, ...]:
        lengths = ids.lengths[rows]
        self.calls.append(lengths.tolist())
        self.ids = ids.flat.tolist()
        return tuple(answer(lengths) for answer in self._answers)

    def stop(self) -> None:
        pass


def _model(name: str) -> Model:
    labels = ("a", "b")
    return Model(
        name=name,
        id=None,
        labels=Because(labels, "labels in the config"),
        activation=Because("softmax", "activation in the config"),
        rules=rules(ModelConfig(name=name, path=Path()), labels, multi_label=False),
    )


Fake = Callable[..., FakeGroup]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A function that makes a group of fake models; keywords are their names."""
    write_tokenizer(tmp_path / "tokenizer.json")
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    return lambda **answers: FakeGroup(tokenizer, answers)


def steady(lengths: Ints) -> Floats:
    """Logits of a text alone, whatever it shares a call with."""
    return np.stack([1 / lengths, -1 / lengths], axis=1).astype(np.float32)


def moved(where: Callable[[Ints], npt.NDArray[np.bool_]]) -> Answer:
    """Logits that are one bit up where a condition on the lengths in a call holds."""

    def answer(lengths: Ints) -> Floats:
        logits = steady(lengths)
        return np.where(where(lengths)[:, None], np.nextafter(logits, np.float32(np.inf)), logits)

    return answer


def failing(when: Callable[[Ints], bool], message: str) -> Answer:
    """Logits that can't be had where a condition on the lengths in a call holds."""

    def answer(lengths: Ints) -> Floats:
        if when(lengths):
            raise RuntimeError(message)
        return steady(lengths)

    return answer


class TestGraphs:
    """Real graphs, through onnxruntime."""

    @pytest.mark.parametrize(
        ("moves", "found"),
        [
            (None, LEFT_IN_PLACE),
            # A thousandth of the padded length: 3 + 2 special tokens alone, 64 padded.
            ("padding", (Batching.EQUAL_LENGTH, "padded texts moved logits by up to 0.06")),
            # A thousandth of the batch size: 1 alone, 3 together.
            ("batch", (Batching.ONE_TEXT, "texts that share a call moved logits by up to 0.002")),
        ],
        ids=["by nothing", "by padding", "by company"],
    )
    def test_are_run_in_the_freest_way_that_moves_no_bit(
        self, write_model: WriteModel, opened: Open, moves: Moves | None, found: object
    ) -> None:
        assert opened(write_model(moves=moves)).load() == found

    def test_that_answer_nan_are_compared_by_their_bits(
        self, write_model: WriteModel, opened: Open
    ) -> None:
        assert opened(write_model(nan_word="tv")).load() == LEFT_IN_PLACE

    def test_with_a_short_maximum_length_are_probed_too(
        self, write_model: WriteModel, opened: Open
    ) -> None:
        found = opened(write_model(moves="batch"), max_length=4).load()
        assert found.value is Batching.ONE_TEXT

    @pytest.fixture
    def opened(self, make_config: Callable[..., Config]) -> Open:
        def open_(path: Path, **keys: object) -> OnnxClassifier:
            return OnnxClassifier(make_config({"name": "m", "path": path, **keys}).local_models, {})

        return open_


class TestQuestions:
    """What the probe asks (law 1)."""

    @pytest.fixture
    def group(self, fake: Fake) -> FakeGroup:
        group = fake(m=steady)
        group.load()
        return group

    @pytest.fixture
    def alone(self, group: FakeGroup) -> list[int]:
        return sorted(call[0] for call in group.calls if len(call) == 1)

    def test_at_least_16_texts_of_3_to_64_tokens_are_asked_alone(self, alone: list[int]) -> None:
        assert len(alone) >= 16
        assert (alone[0], alone[-1]) == (3, 64)

    def test_all_of_them_are_asked_again_together_at_equal_length(
        self, group: FakeGroup, alone: list[int]
    ) -> None:
        equal = [call for call in group.calls if len(call) > 1 and len(set(call)) == 1]
        assert sorted(length for call in equal for length in call) == alone

    def test_all_of_them_are_asked_again_padded(self, group: FakeGroup, alone: list[int]) -> None:
        assert alone in [sorted(call) for call in group.calls]

    def test_every_load_asks_the_same(self, group: FakeGroup, fake: Fake) -> None:
        again = fake(m=steady)
        again.load()
        assert (again.calls, again.ids) == (group.calls, group.ids)

    def test_only_ids_of_the_vocabulary_are_asked(self, group: FakeGroup) -> None:
        assert set(group.ids) == set(range(len(WORDS)))


class TestVerdict:
    """One bit of one answer decides."""

    def test_a_text_that_moves_in_company(self, fake: Fake) -> None:
        answer = moved(lambda lengths: (lengths == 33) & (len(lengths) > 1))
        rule = "texts that share a call moved logits by up to 2e-09"
        assert fake(m=answer).load() == (Batching.ONE_TEXT, rule)

    def test_a_text_that_moves_when_it_is_padded(self, fake: Fake) -> None:
        answer = moved(lambda lengths: (lengths == 5) & (lengths.max() > 5))
        rule = "padded texts moved logits by up to 1e-08"
        assert fake(m=answer).load() == (Batching.EQUAL_LENGTH, rule)

    def test_the_longest_text_beside_padded_ones(self, fake: Fake) -> None:
        answer = moved(lambda lengths: (lengths == lengths.max()) & (len(set(lengths)) > 1))
        assert fake(m=answer).load().value is Batching.EQUAL_LENGTH

    def test_the_sign_of_a_zero(self, fake: Fake) -> None:
        def signed(lengths: Ints) -> Floats:
            return np.full((len(lengths), 2), -0.0 if len(lengths) > 1 else 0.0, np.float32)

        assert fake(m=signed).load().value is Batching.ONE_TEXT

    def test_an_infinite_answer_is_no_move(self, fake: Fake) -> None:
        answer = fake(m=lambda lengths: steady(lengths) * np.float32(np.inf))
        assert answer.load() == LEFT_IN_PLACE

    def test_any_member_of_a_group(self, fake: Fake) -> None:
        answer = moved(lambda lengths: lengths < lengths.max())
        found = fake(first=steady, second=answer, third=steady).load()
        assert found.value is Batching.EQUAL_LENGTH


class TestFailures:
    def test_in_company_leave_one_text_a_call(self, fake: Fake) -> None:
        answer = failing(lambda lengths: len(lengths) > 1, "batch size is 1\nin node 7")
        rule = "texts that share a call make it fail (batch size is 1)"
        assert fake(m=answer).load() == (Batching.ONE_TEXT, rule)

    def test_with_padding_leave_equal_lengths(self, fake: Fake) -> None:
        answer = failing(lambda lengths: len(set(lengths)) > 1, "no padding")
        rule = "padded texts make it fail (no padding)"
        assert fake(m=answer).load() == (Batching.EQUAL_LENGTH, rule)

    def test_may_come_without_words(self, fake: Fake) -> None:
        answer = failing(lambda lengths: len(lengths) > 1, "")
        assert fake(m=answer).load().value is Batching.ONE_TEXT

    def test_on_one_text_refuse_the_group(self, fake: Fake) -> None:
        answer = failing(lambda lengths: lengths[0] == 64, "no position 65")
        with pytest.raises(ModelError) as refusal:
            fake(mood=answer, product=steady).load()
        assert str(refusal.value) == (
            "model 'mood, product': fails on a probe text (no position 65)"
        )
