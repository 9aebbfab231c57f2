"""Zero-shot by NLI: transformers' rules and scores, and the laws that hold for every model."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import WORDS, Moves, WriteModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.interface import Batching
from labelf_cli.classifiers.zero_shot import NliClassifier
from labelf_cli.config import Config
from labelf_cli.errors import ConfigError, ModelError
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status
from labelf_cli.sequences import Sequences
from labelf_cli.tokens import TokenIds

DATA = Path(__file__).parents[1] / "data"
NLI = ("contradiction", "neutral", "entailment")
LABELS = ["my bill", "tv", "no signal no signal tv"]
ENDS, HYPOTHESIS = 3, "the {}"
"""Special tokens of a pair, and a template of the tiny models' words."""

MakeConfig = Callable[..., Config]
Open = Callable[..., NliClassifier]


def label2id(*labels: str) -> dict[str, Any]:
    return {"label2id": {label: i for i, label in enumerate(labels)}}


def entry(path: Path, **keys: object) -> dict[str, object]:
    asked = {"labels": LABELS, "hypothesis_template": HYPOTHESIS}
    return {"name": "m", "path": path, "kind": "zero-shot"} | asked | keys


@pytest.fixture
def nli(write_model: WriteModel) -> Path:
    """A tiny NLI export: a linear bag of the words of text and hypothesis."""
    return write_model("nli", NLI, config=label2id(*NLI))


@pytest.fixture
def opened(make_config: MakeConfig) -> Open:
    """A function that opens one zero-shot model; keywords are keys of the config."""

    def open_(path: Path, **keys: object) -> NliClassifier:
        (group,) = open_groups(make_config(entry(path, **keys)).models)
        assert isinstance(group, NliClassifier)
        return group

    return open_


def ask(labeller: Labeller, *texts: str | None) -> Answers:
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    return labeller.submit(Chunk(0, 0, batch)).result(timeout=30)


def classify(config: Config, *texts: str | None) -> Answers:
    with Labeller.open(config, 2) as labeller:
        return ask(labeller.load(), *texts)


def ids_of(*texts: str) -> TokenIds:
    return TokenIds.of([[WORDS.index(word) for word in text.split()] for text in texts])


@pytest.mark.parametrize("family", ["zero_shot/bert", "zero_shot/roberta"])
def test_labels_and_scores_are_those_of_transformers(make_config: MakeConfig, family: str) -> None:
    golden = json.loads((DATA / family / "golden.json").read_text("utf-8"))
    keys = ("labels", "multi_label", "hypothesis_template")
    asked = [
        entry(DATA / family, name=f"m{i}", **{key: case[key] for key in keys})
        for i, case in enumerate(golden["golden"])
    ]
    answers = classify(make_config(*asked), *golden["texts"])
    assert len(golden["golden"]) == 8
    for case, scores in zip(golden["golden"], answers.scores, strict=True):
        assert [case["labels"][i] for i in scores.argmax(axis=1)] == case["best"]
        np.testing.assert_allclose(scores, case["scores"], rtol=0, atol=1e-4)


class TestLogits:
    @staticmethod
    def naive(group: NliClassifier, text: str, label: str) -> list[float]:
        """All that the tiny model says of a text and the hypothesis for a label."""
        ids = ids_of(f"[CLS] {text} [SEP] the {label} [SEP]").flat[None].astype(np.int64)
        said = group._graph.session.run(Sequences(ids, np.ones_like(ids), np.zeros_like(ids)))
        return [float(logit) for logit in said[0]]

    def test_are_entailment_where_labels_compete(self, opened: Open, nli: Path) -> None:
        group = opened(nli)
        (logits,) = group.logits(ids_of("angry", "too high"), np.array([1, 0]))
        expected = [[self.naive(group, t, la)[2] for la in LABELS] for t in ("too high", "angry")]
        assert logits.tolist() == expected
        assert group.models[0].activation.value == "softmax"

    def test_are_entailment_less_contradiction_where_each_stands_alone(
        self, opened: Open, nli: Path
    ) -> None:
        for keys in ({"multi_label": True}, {"labels": LABELS[:1]}):
            group = opened(nli, **keys)
            (logits,) = group.logits(ids_of("angry"), np.array([0]))
            said = [self.naive(group, "angry", label) for label in group.models[0].labels.value]
            assert logits.tolist() == [[np.float32(its[2]) - np.float32(its[0]) for its in said]]
            assert group.models[0].activation.value == "sigmoid"

    def test_set_entailment_against_the_last_where_it_comes_first(
        self, opened: Open, write_model: WriteModel
    ) -> None:
        labels = ("Entailment", "neutral", "contradiction")
        group = opened(write_model("nli", NLI, config=label2id(*labels)), multi_label=True)
        (logits,) = group.logits(ids_of("angry"), np.array([0]))
        said = [self.naive(group, "angry", label) for label in LABELS]
        assert logits.tolist() == [[np.float32(its[0]) - np.float32(its[2]) for its in said]]

    def test_that_are_infinite_fail_their_row(
        self, make_config: MakeConfig, write_model: WriteModel
    ) -> None:
        path = write_model("nli", NLI, config=label2id(*NLI), nan_word="angry")
        answers = classify(make_config(entry(path, multi_label=True)), "angry", "tv")
        assert answers.status.tolist() == [Status.FAILED, Status.OK]


class TestLongTexts:
    """Only the text is cut, for each hypothesis to what that one leaves."""

    def test_keep_what_fits_beside_each_hypothesis(self, opened: Open, nli: Path) -> None:
        longest = ENDS + len(f"the {LABELS[2]}".split())
        cut, whole = opened(nli, max_length=longest + 2), opened(nli)
        long, short = "angry too high high high", "angry too"
        assert cut.template.lengths(ids_of(short, long), None).tolist() == [
            longest + 2,
            longest + 5,
        ]
        (of_long,) = cut.logits(ids_of(long), np.array([0]))
        (of_short,) = whole.logits(ids_of(short), np.array([0]))
        (of_whole,) = whole.logits(ids_of(long), np.array([0]))
        # The longest hypothesis leaves two words; beside "the tv" four more fit.
        assert of_long[0, 2] == of_short[0, 2] != of_whole[0, 2]
        assert of_long[0, 1] == of_whole[0, 1] != of_short[0, 1]

    def test_are_truncated_if_one_hypothesis_cuts_them(
        self, make_config: MakeConfig, nli: Path
    ) -> None:
        longest = ENDS + len(f"the {LABELS[2]}".split())
        texts = ["angry too", "angry too high", "", None]
        answers = classify(make_config(entry(nli, max_length=longest + 2)), *texts)
        assert answers.status.tolist() == [Status.OK, Status.TRUNCATED, *[Status.EMPTY] * 2]
        assert np.isnan(answers.scores[0]).all(axis=1).tolist() == [False, False, True, True]

    def test_fail_where_the_config_says_so(self, make_config: MakeConfig, nli: Path) -> None:
        config = make_config(entry(nli, max_length=11, on_long="error"))
        answers = classify(config, "angry too high high")
        assert answers.errors.to_pylist() == ["m: 13 tokens, more than max_length 11"]

    def test_are_read_by_windows_that_fit_beside_every_hypothesis(
        self, make_config: MakeConfig, nli: Path
    ) -> None:
        asked = entry(nli, max_length=11, on_long="window", stride=0, pooling="max")
        answers = classify(make_config(asked), "angry too high", "angry too", "high")
        long, *windows = answers.scores[0]
        assert long.tolist() == np.maximum(*windows).tolist()
        assert answers.status.tolist() == [Status.OK] * 3

    def test_need_windows_wider_than_their_stride(self, opened: Open, nli: Path) -> None:
        with pytest.raises(ConfigError, match="2 leaves nothing new for a window of 2 tokens"):
            opened(nli, max_length=11, on_long="window", stride=2)

    def test_need_room_beside_the_longest_hypothesis(self, opened: Open, nli: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            opened(nli, max_length=9)
        assert str(caught.value) == (
            "model 'm', max_length: 9 leaves no room beside the 9 tokens of the longest "
            "hypothesis, special ones included (max_length in the config). Choose a larger one, or "
            "say it in fewer words"
        )
        assert opened(nli, max_length=10).max_length.value == 10


words = st.lists(st.sampled_from(WORDS[4:]), min_size=1, max_size=14).map(" ".join)


class TestScores:
    """They depend on text and model alone."""

    @pytest.fixture(params=[None, "padding", "batch"])
    def moves(self, request: pytest.FixtureRequest) -> Moves | None:
        moves: Moves | None = request.param
        return moves

    @pytest.fixture
    def labellers(
        self, make_config: MakeConfig, write_model: WriteModel, moves: Moves | None
    ) -> Iterator[dict[int, Labeller]]:
        """The same two models in pools of 1 and 3 threads, without a memo to speak of."""
        nli = write_model("nli", NLI, config=label2id(*NLI), moves=moves)
        asked = entry(nli, max_length=12), entry(nli, max_length=12, name="n", multi_label=True)
        models = make_config(*asked).models
        made = {n: Labeller(open_groups(models), n, memo_bytes=1).load() for n in (1, 3)}
        yield made
        for labeller in made.values():
            labeller.close()

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(texts=st.lists(words, min_size=1, max_size=12), threads=st.sampled_from([1, 3]))
    def test_do_not_depend_on_company_and_threads(
        self, labellers: dict[int, Labeller], texts: list[str], threads: int
    ) -> None:
        together = ask(labellers[threads], *texts)
        for place, text in enumerate(texts):
            alone = ask(labellers[1], text)
            for one, all_ in zip(alone.scores, together.scores, strict=True):
                assert one[0].tobytes() == all_[place].tobytes()

    def test_are_computed_in_the_freest_way_that_keeps_them(
        self, labellers: dict[int, Labeller], moves: Moves | None
    ) -> None:
        ways = {None: Batching.PADDED, "padding": Batching.EQUAL_LENGTH, "batch": Batching.ONE_TEXT}
        assert [its.value for its in labellers[1].batching] == [ways[moves]]

    def test_of_a_label_that_stands_alone_do_not_depend_on_the_others(
        self, make_config: MakeConfig, nli: Path
    ) -> None:
        several = make_config(entry(nli, multi_label=True))
        alone = make_config(*(entry(nli, name=f"m{i}", labels=[la]) for i, la in enumerate(LABELS)))
        together, apart = (classify(config, "angry too high") for config in (several, alone))
        assert together.scores[0][0].tolist() == [scores[0, 0] for scores in apart.scores]


class TestGroups:
    def groups(self, config: Config) -> list[list[str]]:
        return [[model.name for model in group.models] for group in open_groups(config.models)]

    def test_hold_the_models_with_equal_hypotheses(
        self, make_config: MakeConfig, nli: Path
    ) -> None:
        config = make_config(
            entry(nli, name="a"),
            entry(nli, name="b", multi_label=True, threshold=0.1),
            entry(nli, name="c", labels=LABELS[:2]),
            entry(nli, name="d", hypothesis_template="my {}"),
            {"name": "e", "path": nli},
        )
        assert self.groups(config) == [["a", "b"], ["c"], ["d"], ["e"]]

    def test_over_one_export_share_its_graph(self, make_config: MakeConfig, nli: Path) -> None:
        groups = open_groups(
            make_config(entry(nli, name="a"), entry(nli, name="b", labels=["tv"])).models
        )
        sessions = [group._graph.session for group in groups if isinstance(group, NliClassifier)]
        assert len(sessions) == 2
        assert sessions[0] is sessions[1]

    def test_answer_as_each_model_alone(self, make_config: MakeConfig, nli: Path) -> None:
        asked = [
            entry(nli, name="a"),
            entry(nli, name="b", multi_label=True),
            entry(nli, name="c", labels=["tv"]),
        ]
        together = classify(make_config(*asked), "angry", "my bill")
        for place, one in enumerate(asked):
            alone = classify(make_config(one), "angry", "my bill")
            assert together.scores[place].tobytes() == alone.scores[0].tobytes()

    def test_tokenise_a_text_once_for_all_hypotheses(
        self, make_config: MakeConfig, nli: Path
    ) -> None:
        groups = open_groups(make_config(entry(nli, name="a"), {"name": "b", "path": nli}).models)
        assert groups[0].tokenizer is groups[1].tokenizer


class TestDigests:
    @pytest.mark.parametrize(
        "keys",
        [
            {"labels": LABELS[:2]},
            {"labels": LABELS[::-1]},
            {"hypothesis_template": "my {}"},
            {"multi_label": True},
            {"max_length": 20},
        ],
        ids=str,
    )
    def test_change_with_what_decides_the_logits(
        self, opened: Open, nli: Path, keys: dict[str, object]
    ) -> None:
        assert opened(nli).digests != opened(nli, **keys).digests

    def test_change_with_the_place_of_entailment(self, opened: Open, nli: Path) -> None:
        before = opened(nli).digests
        (nli / "config.json").write_text(json.dumps(label2id("neutral", "entailment", "other")))
        assert opened(nli).digests != before

    @pytest.mark.parametrize("keys", [{"threshold": 0.9}, {"none_label": "no"}, {"name": "n"}])
    def test_stay_with_what_comes_after(
        self, opened: Open, nli: Path, keys: dict[str, Any]
    ) -> None:
        assert opened(nli).digests == opened(nli, **keys).digests


class TestRules:
    def test_are_those_of_other_models(self, make_config: MakeConfig, nli: Path) -> None:
        picky = entry(nli, label_filter=["tv"], none_label="none", thresholds={"tv": 1.0})
        answers = classify(make_config(picky), "angry")
        (accepted,) = answers.accepted
        assert (accepted.labels[0, 0], np.isnan(accepted.scores[0, 0])) == (1, True)

    def test_several_labels_have_a_threshold_of_a_half(self, opened: Open, nli: Path) -> None:
        (model,) = opened(nli, multi_label=True).models
        assert (model.rules.multi_label, set(model.rules.thresholds.tolist())) == (True, {0.5})
        (model,) = opened(nli).models
        assert (model.rules.multi_label, set(model.rules.thresholds.tolist())) == (False, {-np.inf})

    def test_an_activation_may_be_given(self, opened: Open, nli: Path) -> None:
        assert opened(nli, activation="none").models[0].activation.value == "none"


class TestRefusals:
    def refusal(self, opened: Open, path: Path, content: object) -> str:
        (path / "config.json").write_text(json.dumps(content))
        with pytest.raises(ModelError) as caught:
            opened(path)
        return str(caught.value)

    @pytest.mark.parametrize(
        ("config", "labels"),
        [
            (label2id("LABEL_0", "LABEL_1"), "LABEL_0, LABEL_1 (label2id of config.json)"),
            ({"id2label": {"0": "no", "1": "yes"}}, "no, yes (id2label of config.json)"),
            ({}, "there are none (no label2id in config.json)"),
        ],
    )
    def test_names_the_labels_none_of_which_is_entailment(
        self, opened: Open, nli: Path, config: dict[str, Any], labels: str
    ) -> None:
        assert self.refusal(opened, nli, config) == (
            f"{nli}/config.json: no label begins with 'entail': {labels}. Zero-shot needs an NLI "
            "model; if it is one, name its labels there"
        )

    @pytest.mark.parametrize("place", [3, -1, "2", None, 1])
    def test_of_labels_that_are_not_numbered(self, opened: Open, nli: Path, place: object) -> None:
        content = label2id(*NLI)
        content["label2id"]["entailment"] = place
        assert "label2id does not number the labels from 0 on" in self.refusal(opened, nli, content)

    def test_of_a_graph_with_other_logits(self, opened: Open, nli: Path) -> None:
        (nli / "config.json").write_text(json.dumps(label2id("entailment", "not_entailment")))
        with pytest.raises(ModelError, match="answers 1 texts with 1 × 3 numbers, not 1 × 2"):
            opened(nli).load()

    def test_of_a_tokenizer_without_pairs(self, opened: Open, nli: Path) -> None:
        content = json.loads((nli / "tokenizer.json").read_text())
        content["post_processor"]["pair"] = content["post_processor"]["single"] * 2
        (nli / "tokenizer.json").write_text(json.dumps(content))
        with pytest.raises(ModelError, match=r"can't be used for zero-shot \(its post-processor"):
            opened(nli)

    def test_entailment_may_stand_in_id2label_alone(self, opened: Open, nli: Path) -> None:
        (nli / "config.json").write_text(json.dumps({"id2label": dict(enumerate(NLI))}))
        assert opened(nli).explained["entailment"].rule == "id2label of config.json"


def test_the_cache_tells_labels_and_templates_apart(
    make_config: MakeConfig, nli: Path, tmp_path: Path
) -> None:
    def spent(texts: Sequence[str], **keys: object) -> tuple[int, int]:
        config = make_config(entry(nli, **keys))
        with Labeller.open(config, 1, tmp_path / "cache.sqlite") as labeller:
            answers = ask(labeller.load(), *texts)
        return answers.spent.cached, answers.spent.calls

    texts = ["angry", "my bill"]
    assert spent(texts) == (0, 1)
    assert spent(texts, threshold=0.9) == (2, 0)
    assert spent(texts, labels=LABELS[:2]) == (0, 1)
    assert spent(texts, hypothesis_template="my {}") == (0, 1)
    assert spent(texts, multi_label=True) == (0, 1)
